//! When polls begin, how long they last, and how they end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use prost::Message as _;
use temporalio_client::callback_based::{GrpcRequest, GrpcSuccessResponse};
use temporalio_client::tonic::{Code, Status};
use tokio::time::{Instant, sleep_until, timeout};

use super::wire::{Task, asked_time, set_asked_time, task_token};
use super::{Gate, Timing};
use crate::connection::{Answer, answered_with, is_throttled};
use crate::lifecycle::POLL_SPARE;
use crate::temporal::in_flight::{Brought, Kind, PollUnderWay};

/// The server answers a poll this long before the time that the poll asks for is over, so that
/// the answer is in time: 1 s. (`returnEmptyTaskTimeBudget` of its matching service.)
const ANSWERED_EARLIER: Duration = Duration::from_secs(1);

/// The most that a poll asks for where the SDK sets nothing: 70 s. The server answers after 60 s.
const LONGEST: Duration = Duration::from_secs(70);

/// The shortest that a poll lasts: 1.25 s. The server refuses polls that ask for less than 2 s, and
/// passes a poll on to where the task may be only for the time over 2 s that it asks for.
pub(super) const SHORTEST: Duration = Duration::from_millis(1_250);

/// Polls for the sticky queue may still begin for this long when others are held back, and last
/// this much longer: 0.3 s. So one is there when the server closes that queue.
pub(super) const CLEARING: Duration = Duration::from_millis(300);

/// A poll that begins with a task in flight lasts this much longer than the idle timeout: 0.3 s. If
/// the task takes no longer, the poll is the last one.
const WORK: Duration = Duration::from_millis(300);

/// A poll lasts this much longer than a quiet worker stays: 0.1 s. One that ended just before would
/// be followed by another.
const AFTER: Duration = Duration::from_millis(100);

/// A poll that the server refuses for the number of calls is made again after 0.1 s, then after twice the
/// time before, until it is 2 s; every 0.1 s when polling is about to end.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A server that ends polls when it is told to has this long: 1 s.
const ENDED_WITHIN: Duration = Duration::from_secs(1);

/// Which polls may begin.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stage {
    Open,
    /// None, except where `sticky` says so.
    Held {
        since: Instant,
        sticky: Sticky,
        /// Whether the server is told to end those under way.
        server_ends_them: bool,
    },
    /// No further polls; those under way end now.
    Closed,
}

/// What polls for the sticky queue do while others are held back.
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
        // The next poll there opens it.
        self.sticky_queue_is_closed.store(false, Ordering::SeqCst);
        if self.shutdown_is_told.swap(false, Ordering::SeqCst) {
            self.identity.renew();
        }
        self.move_on(Stage::Open);
    }

    /// Holds back every poll that has not begun, but for the sticky queue.
    pub(super) fn hold(&self, server_ends_them: bool) {
        let sticky = Sticky::Begin;
        self.move_on(Stage::Held { since: Instant::now(), sticky, server_ends_them });
    }

    /// Says what polls for the sticky queue do while others are held back.
    pub(super) fn hold_sticky(&self, sticky: Sticky) {
        let since = Instant::now();
        self.stage.send_if_modified(|stage| {
            let Stage::Held { server_ends_them, .. } = *stage else { return false };
            *stage = Stage::Held { since, sticky, server_ends_them };
            true
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

    /// A poll, from when it may begin until the server answers it or nobody waits for it any
    /// longer.
    pub(super) async fn poll(&self, call: GrpcRequest) -> Answer {
        let _running = self.running.token();
        let kind = Kind::of(&call);
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(under_way) = self.begin(kind).await else { return Ok(nothing()) };
            let GrpcRequest { service, rpc, headers, proto } = &call;
            let (service, rpc) = (service.clone(), rpc.clone());
            let call = GrpcRequest { service, rpc, headers: headers.clone(), proto: proto.clone() };
            match self.poll_once(call, kind, under_way).await {
                // The SDK would pause for up to 10 s: more than many an invocation has, and in that time
                // nobody would have what comes to the sticky queue.
                Err(status) if is_throttled(&status) => {
                    self.pause(pause).await;
                    pause = LONGEST_PAUSE.min(2 * pause);
                }
                answer => return answer,
            }
        }
    }

    async fn poll_once(&self, call: GrpcRequest, kind: Kind, under_way: PollUnderWay) -> Answer {
        let mut call = self.identity.sign(call);
        let rpc = call.rpc.clone();
        let lasts = self.time_to_last(kind, asked_time(&call).unwrap_or(LONGEST));
        let began = Instant::now();
        let due = began + lasts;
        set_asked_time(&mut call, lasts + ANSWERED_EARLIER);
        let answer = tokio::select! {
            biased;
            answer = self.server.call(call) => answer,
            is_silent = self.nobody_waits(kind, due) => {
                if is_silent {
                    let status = Status::deadline_exceeded("no answer came in time");
                    self.trouble.poll_failed(&rpc, &status, began.elapsed());
                }
                return Ok(nothing());
            }
        };
        let brought = answer.and_then(|answer| Ok((brought(kind, &answer.proto)?, answer)));
        match brought {
            // The server words the end of a poll in this way, too, if it is told of it just as the poll begins.
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

    /// Waits before a poll that was refused is made again: not for long if polling is about to end.
    async fn pause(&self, pause: Duration) {
        let mut stage = self.stage.subscribe();
        let pause = if self.are_held() { FIRST_PAUSE } else { pause };
        let _ = timeout(pause, stage.changed()).await;
    }

    /// Waits until such a poll may begin, and counts it. `None`: it never may.
    async fn begin(&self, kind: Kind) -> Option<PollUnderWay> {
        let mut stage = self.stage.subscribe();
        loop {
            // The sender lives as long as `self`.
            let _ = stage.wait_for(|it| *it == Stage::Closed || self.admits(*it, kind)).await;
            let under_way = self.in_flight.poll_begins(kind);
            // Looked at again, now that whoever waits for polls cannot overlook this one.
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
            Stage::Held { sticky: Sticky::Begin, .. } if kind == Kind::Sticky => {
                let ends = Instant::now() + SHORTEST;
                let in_time = self.timing.stop.is_none_or(|stop| ends <= stop);
                // Where the server refuses polls, one that it takes is worth the time.
                in_time || self.server.is_throttling()
            }
            Stage::Held { .. } | Stage::Closed => false,
        }
    }

    /// How long a poll lasts that begins now and for which the SDK asks so long a time.
    fn time_to_last(&self, kind: Kind, asked: Duration) -> Duration {
        let longest = asked.saturating_sub(ANSWERED_EARLIER).max(SHORTEST);
        let now = Instant::now();
        let is_busy = self.in_flight.is_busy();
        let sticky = kind == Kind::Sticky && self.in_flight.has_sticky();
        let clearing = if sticky { CLEARING } else { Duration::ZERO };
        // A server that ends polls when told to needs no help with idleness.
        let idle_end = match self.server_ends_polls.load(Ordering::Relaxed) {
            true => None,
            false => self.timing.idle_end(now, is_busy, clearing),
        };
        let end = [idle_end, self.timing.before_stop()];
        match end.into_iter().flatten().min() {
            Some(end) => end.saturating_duration_since(now).clamp(SHORTEST, longest),
            None => longest,
        }
    }

    /// Waits until nobody waits any longer for a poll that the server should answer at `due`. Says
    /// whether that is the server's fault.
    async fn nobody_waits(&self, kind: Kind, due: Instant) -> bool {
        let mut stage = self.stage.subscribe();
        loop {
            let now = *stage.borrow_and_update();
            let until = match now {
                Stage::Open => None,
                Stage::Closed => return false,
                // The SDK offers no Nexus handlers yet: such a poll brings a worker's orders only.
                Stage::Held { .. } if kind == Kind::Nexus => return false,
                Stage::Held { sticky: Sticky::EndNow, .. } if kind == Kind::Sticky => return false,
                Stage::Held { server_ends_them: false, .. } => Some((due + POLL_SPARE, true)),
                Stage::Held { sticky: Sticky::Begin, .. } => None,
                Stage::Held { since, .. } => Some((since + ENDED_WITHIN, false)),
            };
            let over = async {
                match until {
                    None => std::future::pending().await,
                    Some((until, is_silent)) => {
                        sleep_until(until).await;
                        is_silent
                    }
                }
            };
            tokio::select! {
                is_silent = over => return is_silent,
                _ = stage.changed() => {}
            }
        }
    }
}

/// What a poll brought, by the bytes that it was answered with.
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

/// What the server answers when there was no task.
fn nothing() -> GrpcSuccessResponse {
    answered_with(Vec::new())
}

impl Timing {
    /// When a poll must have ended so that none is under way at the stop time.
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
