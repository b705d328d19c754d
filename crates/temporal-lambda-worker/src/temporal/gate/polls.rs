//! Polls: when one may begin, how long it lasts, and how it ends.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prost::Message as _;
use temporalio_client::callback_based::{GrpcRequest, GrpcSuccessResponse};
use temporalio_client::tonic::{Code, Status};
use tokio::time::{Instant, sleep_until, timeout};

use super::wire::{Task, asked_time, set_asked_time, task_token};
use super::{Gate, Timing, copy};
use crate::connection::{Answer, answered_with, is_throttled};
use crate::lifecycle::POLL_SPARE;
use crate::temporal::in_flight::{Brought, Kind, PollUnderWay};

/// How long before the end of the time that a poll asks for the server answers it: 1 s
/// (`returnEmptyTaskTimeBudget` of its matching service).
const ANSWERED_EARLIER: Duration = Duration::from_secs(1);

/// The time that a poll asks for where the SDK sets none: 70 s. The server answers after 60 s.
const LONGEST: Duration = Duration::from_secs(70);

/// The shortest time that a poll lasts: 1.25 s. The server refuses polls that ask for less than 2 s, and forwards a
/// poll to the partition that has the task only for the part of its time over 2 s.
pub(super) const SHORTEST: Duration = Duration::from_millis(1_250);

/// Polls for the sticky queue may still begin for this long when others are held back, and last this much longer:
/// 0.3 s. So one is under way when the server closes that queue.
pub(super) const CLEARING: Duration = Duration::from_millis(300);

/// A poll that begins with a task in flight lasts this much longer than the idle timeout: 0.3 s. If
/// the task takes no longer, the poll is the last one.
const WORK: Duration = Duration::from_millis(300);

/// A poll lasts this much longer than a quiet worker stays: 0.1 s. A poll that ended just before the worker is idle
/// would be followed by another.
const AFTER: Duration = Duration::from_millis(100);

/// A call that the server refuses for the number of calls is made again after 0.1 s, then after twice the
/// time before, until it is 2 s; every 0.1 s when polling is about to end.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The part of a poll in which only the partition that it reached can bring a task: the last 0.9 s. Until 1 s before
/// the end that partition passes the poll on; 0.1 s is for the way.
const NOT_PASSED_ON: Duration = Duration::from_millis(900);

/// Which polls may begin.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stage {
    Open,
    /// None, except for the sticky queue where `sticky` allows it.
    Held {
        sticky: Sticky,
    },
    /// No further polls; those under way end now.
    Closed,
}

/// The state of polls for the sticky queue while others are held back.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Sticky {
    /// They begin, as before.
    Begin,
    /// None begins; those under way go on.
    GoOn,
    /// None begins, and those under way end.
    EndNow,
}

impl Gate {
    /// Lets polls begin again, those that were held back too.
    pub(in crate::temporal) fn resume(&self) {
        self.unsticking.store(false, Ordering::SeqCst);
        // The next poll on the sticky queue opens it again.
        self.sticky_queue_is_closed.store(false, Ordering::SeqCst);
        if self.shutdown_is_told.swap(false, Ordering::SeqCst) {
            self.identity.renew();
        }
        self.move_on(Stage::Open);
    }

    /// Holds back every poll that has not begun, but for the sticky queue.
    pub(super) fn hold(&self) {
        self.move_on(Stage::Held { sticky: Sticky::Begin });
    }

    /// Sets the state of polls for the sticky queue while others are held back.
    pub(super) fn hold_sticky(&self, sticky: Sticky) {
        self.stage.send_if_modified(|stage| {
            let held = matches!(stage, Stage::Held { .. });
            if held {
                *stage = Stage::Held { sticky };
            }
            held
        });
    }

    /// Ends all polls now, for good.
    pub(in crate::temporal) fn close(&self) {
        self.unsticking.store(true, Ordering::SeqCst);
        self.stage.send_replace(Stage::Closed);
    }

    fn move_on(&self, to: Stage) {
        self.stage.send_if_modified(|stage| {
            let open = *stage != Stage::Closed;
            if open {
                *stage = to;
            }
            open
        });
    }

    /// Makes a poll when it may begin, and waits until the server answers it or the poll is given up.
    pub(super) async fn poll(&self, call: GrpcRequest) -> Answer {
        let _running = self.running.token();
        let kind = Kind::of(&call);
        self.while_throttled(|| self.poll_once(&call, kind)).await
    }

    /// Makes a call again while the server refuses it for the number of calls, until the worker is gone. The SDK would
    /// pause for 1 to 10 s after a refusal. Many invocations are shorter, and tasks on the sticky queue would wait
    /// meanwhile.
    pub(super) async fn while_throttled<F>(&self, call: impl Fn() -> F) -> Answer
    where
        F: Future<Output = Answer>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            let answer = call().await;
            if !answer.as_ref().is_err_and(is_throttled) {
                return answer;
            }
            self.pause(pause).await;
            if self.is_left.load(Ordering::SeqCst) {
                return answer;
            }
            pause = LONGEST_PAUSE.min(2 * pause);
        }
    }

    async fn poll_once(&self, call: &GrpcRequest, kind: Kind) -> Answer {
        let Some(under_way) = self.begin(kind).await else { return Ok(nothing()) };
        let mut call = self.identity.sign(copy(call));
        let rpc = call.rpc.clone();
        let lasts = self.time_to_last(kind, asked_time(&call).unwrap_or(LONGEST));
        let began = Instant::now();
        let due = began + lasts;
        self.note_passed_on(kind, due);
        set_asked_time(&mut call, lasts + ANSWERED_EARLIER);
        let answer = tokio::select! {
            biased;
            answer = self.server.call(call) => answer,
            is_silent = self.nobody_waits(kind, due) => {
                if is_silent {
                    self.server.is_in_doubt();
                    let status = Status::deadline_exceeded("no answer came in time");
                    self.trouble.poll_failed(&rpc, &status, began.elapsed());
                }
                return Ok(nothing());
            }
        };
        let brought = answer.and_then(|answer| Ok((brought(kind, &answer.proto)?, answer)));
        match brought {
            // The server ends a poll with this status, too, if it is asked to just as the poll begins.
            Err(status) if status.code() == Code::Cancelled && self.are_held() => Ok(nothing()),
            Err(status) => {
                self.trouble.poll_failed(&rpc, &status, began.elapsed());
                Err(status)
            }
            Ok((brought, answer)) => {
                self.trouble.poll_is_taken();
                if let Some(brought) = brought {
                    under_way.ends_with(brought);
                }
                Ok(answer)
            }
        }
    }

    /// Notes how long the server passes a poll on that should end at `due`. A sticky queue has one partition.
    fn note_passed_on(&self, kind: Kind, due: Instant) {
        let until = due.checked_sub(NOT_PASSED_ON).filter(|_| kind != Kind::Sticky);
        let mut known = self.passed_on_until.lock().unwrap_or_else(PoisonError::into_inner);
        *known = (*known).max(until);
    }

    /// Waits until the server passes none of the polls on that have begun.
    pub(super) async fn until_no_poll_is_passed_on(&self) {
        let until = *self.passed_on_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }

    /// Waits before a refused call is made again, for a shorter time if polling is about to end.
    async fn pause(&self, pause: Duration) {
        let mut stage = self.stage.subscribe();
        let pause = if self.are_held() { FIRST_PAUSE } else { pause };
        let _ = timeout(pause, stage.changed()).await;
    }

    /// Waits until a poll of this kind may begin, and counts it. `None`: no poll may begin any more.
    async fn begin(&self, kind: Kind) -> Option<PollUnderWay> {
        let mut stage = self.stage.subscribe();
        loop {
            // The sender lives as long as `self`.
            let _ = stage.wait_for(|it| *it == Stage::Closed || self.admits(*it, kind)).await;
            let under_way = self.in_flight.poll_begins(kind);
            // Checked again now that this poll counts as under way, so that a change in between is not missed.
            let now = *self.stage.borrow();
            if self.admits(now, kind) {
                return Some(under_way);
            }
            if now == Stage::Closed {
                return None;
            }
        }
    }

    fn are_held(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Held { .. })
    }

    fn admits(&self, stage: Stage, kind: Kind) -> bool {
        match stage {
            Stage::Open => true,
            Stage::Held { sticky: Sticky::Begin } if kind == Kind::Sticky => {
                let ends = Instant::now() + SHORTEST;
                let in_time = self.timing.stop.is_none_or(|stop| ends <= stop);
                // Where the server refuses polls, waiting for one that it accepts is worth the time.
                in_time || self.server.is_throttling()
            }
            Stage::Held { .. } | Stage::Closed => false,
        }
    }

    /// How long a poll lasts that begins now; `asked` is the time that the SDK asks for.
    fn time_to_last(&self, kind: Kind, asked: Duration) -> Duration {
        let longest = asked.saturating_sub(ANSWERED_EARLIER).max(SHORTEST);
        let now = Instant::now();
        let is_busy = self.in_flight.is_busy();
        let sticky = kind == Kind::Sticky && self.in_flight.has_sticky();
        let clearing = if sticky { CLEARING } else { Duration::ZERO };
        let end = [self.timing.idle_end(now, is_busy, clearing), self.timing.before_stop()];
        match end.into_iter().flatten().min() {
            Some(end) => end.saturating_duration_since(now).clamp(SHORTEST, longest),
            None => longest,
        }
    }

    /// Waits until a poll that the server should answer at `due` is given up: whether that is the server's
    /// fault.
    async fn nobody_waits(&self, kind: Kind, due: Instant) -> bool {
        let mut stage = self.stage.subscribe();
        loop {
            let now = *stage.borrow_and_update();
            let until = match now {
                Stage::Open => None,
                Stage::Closed => return false,
                // The SDK has no Nexus handlers yet: such a poll brings commands for the worker only.
                Stage::Held { .. } if kind == Kind::Nexus => return false,
                Stage::Held { sticky: Sticky::EndNow } if kind == Kind::Sticky => return false,
                Stage::Held { .. } => Some(due + POLL_SPARE),
            };
            let over = async {
                match until {
                    None => std::future::pending().await,
                    Some(until) => sleep_until(until).await,
                }
            };
            tokio::select! {
                () = over => return true,
                _ = stage.changed() => {}
            }
        }
    }
}

/// The task in the answer to a poll, if it has one.
fn brought(kind: Kind, proto: &[u8]) -> Result<Option<Brought>, Status> {
    let brought = match kind {
        _ if proto.is_empty() => Ok(None),
        Kind::Workflow | Kind::Sticky => {
            Task::decode(proto).map(|task| Some(Brought::Workflow(task.into())))
        }
        Kind::Activity => task_token(proto).map(|token| Some(Brought::Activity(token))),
        Kind::Nexus => Ok(None),
    };
    brought.map_err(|error| Status::internal(format!("the answer cannot be read: {error}")))
}

/// The answer to a poll without a task.
fn nothing() -> GrpcSuccessResponse {
    answered_with(Vec::new())
}

impl Timing {
    /// The moment at which polls must have ended, so that none is under way at the stop time.
    fn before_stop(&self) -> Option<Instant> {
        self.stop.map(|stop| stop.checked_sub(POLL_SPARE).unwrap_or(stop))
    }

    /// The earliest moment at which the worker may have been idle for long enough, as far as is
    /// known `now`.
    fn idle_end(&self, now: Instant, is_busy: bool, clearing: Duration) -> Option<Instant> {
        let if_quiet_soon = now.checked_add(self.idle_timeout?.saturating_add(WORK));
        let known = if is_busy { None } else { *self.next_idle_end.borrow() };
        known.and_then(|end| end.checked_add(AFTER)).or(if_quiet_soon)?.checked_add(clearing)
    }
}
