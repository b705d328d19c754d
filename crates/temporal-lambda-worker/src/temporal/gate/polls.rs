//! How long a poll asks for, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use temporalio_client::Connection;
use temporalio_client::callback_based::{GrpcRequest, GrpcSuccessResponse};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use super::forward::{self, Answer};
use super::horizon::Horizon;
use super::tasks::Tasks;

/// The server answers a poll this long before the time that the poll asks for is over, so that
/// the answer is in time: 1 s. (`returnEmptyTaskTimeBudget` of its matching service.)
const ANSWERED_EARLIER: Duration = Duration::from_secs(1);

/// The most that a poll asks for: 70 s, as in the SDK. The server answers after 60 s.
const LONGEST: Duration = Duration::from_secs(70);

/// The shortest that a poll lasts: 1.25 s. The server refuses polls that ask for less than 2 s, and
/// passes a poll on to where the task may be only for the time over 2 s that it asks for.
pub(super) const SHORTEST_WAIT: Duration = Duration::from_millis(1_250);

/// Once polls for workflow tasks end before the stop time, those for sticky tasks still begin for
/// this long: 0.3 s. Nobody else can have what lies on the worker's own queue.
pub(crate) const CLEARING: Duration = Duration::from_millis(300);

/// How long before the stop time the last of them has ended: 0.2 s. Answers take their time.
pub(super) const SPARE: Duration = Duration::from_millis(200);

/// How long before the stop time they begin to end: 1.75 s.
pub(crate) const WINDING_DOWN: Duration =
    SHORTEST_WAIT.saturating_add(CLEARING).saturating_add(SPARE);

/// When a poll has brought a task, the worker counts as busy for this long, whatever is heard of
/// it: 0.1 s. The next poll begins before the task does.
const HEARD: Duration = Duration::from_millis(100);

/// How far polling has come to its end.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Open,
    /// Polls for workflow tasks are ending; those under way are waited for until then.
    WindingDown {
        since: Instant,
        until: Instant,
    },
    /// No poll begins, but for sticky tasks until one of them ends without: then the worker's own
    /// queue is cleared.
    Ending {
        until: Instant,
        cleared: bool,
    },
    /// The SDK's core has shut down. It takes no workflow tasks any more, but activity tasks.
    Over {
        until: Instant,
    },
    Closed,
}

/// What a poll is for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Workflow,
    /// What lies on the worker's own queue.
    Sticky,
    Other,
}

impl Stage {
    /// Whether a poll may begin.
    fn admits(self, kind: Kind, now: Instant) -> bool {
        match (self, kind) {
            (Self::Open, _) | (Self::WindingDown { .. }, Kind::Other) => true,
            (Self::WindingDown { since, .. }, Kind::Sticky) => {
                now.saturating_duration_since(since) < CLEARING
            }
            // As long as it is answered in time.
            (Self::Ending { until, cleared: false, .. }, Kind::Sticky) => {
                now + SHORTEST_WAIT < until
            }
            _ => false,
        }
    }

    /// Until when a poll is waited for. `None`: as long as it takes.
    fn waits(self, kind: Kind, now: Instant) -> Option<Instant> {
        match (self, kind) {
            (Self::Open, _) | (Self::WindingDown { .. }, Kind::Other) => None,
            (Self::Closed, _) | (Self::Over { .. }, Kind::Workflow | Kind::Sticky) => Some(now),
            (
                Self::WindingDown { until, .. } | Self::Ending { until, .. } | Self::Over { until },
                _,
            ) => Some(until),
        }
    }
}

/// The polls of one worker.
#[derive(Clone)]
pub(super) struct Polls {
    horizon: Option<Horizon>,
    stage: Arc<watch::Sender<Stage>>,
    server_ends_them: Arc<AtomicBool>,
    /// When a poll last brought a task.
    got_a_task: Arc<watch::Sender<Option<Instant>>>,
    tasks: Tasks,
    running: TaskTracker,
}

impl Polls {
    /// Without a horizon, polls are as long as they can be. `running` knows of each as long as it
    /// lasts.
    pub(super) fn new(horizon: Option<Horizon>, tasks: Tasks, running: TaskTracker) -> Self {
        let stage = Arc::new(watch::Sender::new(Stage::Open));
        Self {
            horizon,
            stage,
            server_ends_them: Arc::default(),
            got_a_task: Arc::default(),
            tasks,
            running,
        }
    }

    /// Sets whether the server ends polls when it hears that their worker shuts down.
    pub(super) fn set_server_ends_them(&self, it_does: bool) {
        self.server_ends_them.store(it_does, Ordering::Relaxed);
    }

    /// Whether the server does.
    pub(super) fn server_ends_them(&self) -> bool {
        self.server_ends_them.load(Ordering::Relaxed)
    }

    /// From now on no poll for workflow tasks begins, and those under way are waited for no longer
    /// than `patience`.
    pub(super) fn wind_down(&self, patience: Duration) {
        let since = Instant::now();
        self.stage.send_if_modified(|stage| {
            let open = *stage == Stage::Open;
            if open {
                *stage = Stage::WindingDown { since, until: since + patience };
            }
            open
        });
    }

    /// From now on no poll begins, and those under way are waited for no longer than `patience`.
    pub(super) fn stop(&self, patience: Duration) {
        let mine = Instant::now() + patience;
        self.stage.send_if_modified(|stage| {
            *stage = match *stage {
                Stage::Open => Stage::Ending { until: mine, cleared: false },
                Stage::WindingDown { until, .. } => {
                    Stage::Ending { until: until.min(mine), cleared: true }
                }
                _ => return false,
            };
            true
        });
    }

    /// The core has shut down: it begins no more polls, and those that it began since the stop
    /// need not be held back any longer.
    pub(super) fn core_has_shut_down(&self) {
        self.stage.send_if_modified(|stage| {
            let Stage::Ending { until, .. } = *stage else { return false };
            *stage = Stage::Over { until };
            true
        });
    }

    /// Ends the polls.
    pub(super) fn close(&self) {
        self.stage.send_replace(Stage::Closed);
    }

    /// A poll, until the server answers it or nobody waits for it any longer.
    pub(super) async fn poll(
        &self,
        connection: &Connection,
        call: GrpcRequest,
        kind: Kind,
    ) -> Answer {
        let _running = self.running.token();
        // Before the stage is looked at: whoever waits for polls must not overlook this one.
        let under_way = (kind != Kind::Other).then(|| self.tasks.poll_begins());
        let now = Instant::now();
        let stage = *self.stage.borrow();
        if !stage.admits(kind, now) {
            drop(under_way);
            return self.hold_back().await;
        }
        let lasts = self.time_to_last(now);
        let answered = now + lasts;
        let answer = tokio::select! {
            biased;
            answer = forward::poll(connection, call, lasts + ANSWERED_EARLIER) => answer,
            () = self.nobody_waits(kind, answered) => Ok(nothing()),
        };
        if answer.as_ref().is_ok_and(|answer| !answer.proto.is_empty()) {
            self.got_a_task.send_replace(Some(Instant::now()));
        }
        if let (Some(under_way), Ok(answer)) = (under_way, &answer) {
            if kind == Kind::Sticky && answer.proto.is_empty() {
                self.note_cleared();
            }
            under_way.ends_with(&answer.proto);
        }
        answer
    }

    fn time_to_last(&self, now: Instant) -> Duration {
        // A server that ends polls when told to needs no help.
        let end = if self.server_ends_them() {
            None
        } else {
            let is_busy = self.got_a_task.borrow().is_some_and(|at| now - at < HEARD);
            self.horizon.as_ref().and_then(|horizon| horizon.earliest_end(now, is_busy))
        };
        time_to_last(end, now)
    }

    fn note_cleared(&self) {
        self.stage.send_if_modified(|stage| {
            let Stage::Ending { cleared, .. } = stage else { return false };
            !std::mem::replace(cleared, true)
        });
    }

    /// A poll that is not made. It ends when the core has shut down: before, the next would
    /// follow at once.
    async fn hold_back(&self) -> Answer {
        let mut stage = self.stage.subscribe();
        // The sender lives as long as `self`.
        let _ = stage.wait_for(|it| matches!(it, Stage::Over { .. } | Stage::Closed)).await;
        Ok(nothing())
    }

    /// Waits until nobody waits any longer for a poll that the server will answer at `answered`.
    async fn nobody_waits(&self, kind: Kind, answered: Instant) {
        let mut stage = self.stage.subscribe();
        loop {
            let until = stage.borrow_and_update().waits(kind, Instant::now());
            let over = async {
                match until {
                    None => std::future::pending().await,
                    // Neither the server nor its own time will end it soon.
                    Some(until) if answered > until && !self.server_ends_them() => {}
                    Some(until) => sleep_until(until).await,
                }
            };
            tokio::select! {
                () = over => return,
                _ = stage.changed() => {}
            }
        }
    }
}

/// How long a poll that begins `now` had better last, if polling may end at `end`.
fn time_to_last(end: Option<Instant>, now: Instant) -> Duration {
    let longest = LONGEST - ANSWERED_EARLIER;
    let Some(end) = end else { return longest };
    end.saturating_duration_since(now).clamp(SHORTEST_WAIT, longest)
}

/// What the server answers when there was no task.
pub(super) fn nothing() -> GrpcSuccessResponse {
    GrpcSuccessResponse { headers: Default::default(), proto: Vec::new() }
}
