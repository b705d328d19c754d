//! What goes into the [`Machine`](super::Machine) and what comes out of it.

use std::time::Duration;

use super::budget::{Allowance, Moment, Window};
use super::{Event, Step};

/// What the driver tells the machine. `F` is whatever the driver calls a failure; the machine
/// keeps failures in order and never looks into them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<F> {
    /// Lambda handed over an event.
    Invoked {
        /// The invocation's time.
        window: Window,
        /// The settings known before `configure`.
        allowance: Allowance,
    },
    /// `configure` returned; this is what it left.
    Configured(Allowance),
    /// There is a connection.
    Connected,
    /// The worker exists.
    WorkerCreated {
        /// How long its polls may take to end once no new one begins.
        polls_end_within: Duration,
    },
    /// `on_start` returned.
    WorkerStarted,
    /// The current step failed.
    Failed(F),
    /// A task is in flight where there was none.
    Busy,
    /// The last task in flight has ended.
    Quiet,
    /// No poll is under way, and what the last ones brought counts as in flight.
    PollsEnded,
    /// The invocation is cancelled.
    Cancelled,
    /// The worker ended without an error.
    WorkerStopped,
    /// The worker ended with an error.
    WorkerFailed(F),
    /// The hook with this number ended, well or not.
    HookEnded(usize),
    /// `on_shutdown` ended, well or not.
    ShutdownEnded,
    /// Nothing of this invocation runs any more.
    Settled,
}

impl<F> Input<F> {
    /// The event of this name. [`READINGS`](super::table::READINGS) says when it counts as another.
    pub fn event(&self) -> Event {
        match self {
            Self::Invoked { .. } => Event::Invoked,
            Self::Configured(_) => Event::Configured,
            Self::Connected => Event::Connected,
            Self::WorkerCreated { .. } => Event::WorkerCreated,
            Self::WorkerStarted => Event::WorkerStarted,
            Self::Failed(_) => Event::Failed,
            Self::Busy => Event::Busy,
            Self::Quiet => Event::Quiet,
            Self::PollsEnded => Event::PollsEnded,
            Self::Cancelled => Event::Cancelled,
            Self::WorkerStopped => Event::WorkerStopped,
            Self::WorkerFailed(_) => Event::WorkerFailed,
            Self::HookEnded(_) => Event::HookEnded,
            Self::ShutdownEnded => Event::ShutdownEnded,
            Self::Settled => Event::Settled,
        }
    }
}

/// What the driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Run the user's `configure`.
    Configure,
    /// Connect to Temporal.
    Connect,
    /// Create the worker.
    CreateWorker,
    /// Run the user's `on_start`.
    OnStart,
    /// Let the worker poll.
    Poll,
    /// Begin no poll any more; say when none is under way.
    HoldPolls,
    /// Let polls begin again.
    ResumePolls,
    /// Cut short what runs in the step that was left: drop its future.
    AbortStep,
    /// End whatever poll is still under way, and shut the worker down.
    StopWorker,
    /// Drop the activities that are still in flight.
    AbandonActivities,
    /// Drop the worker, ended or not.
    AbandonWorker,
    /// Unregister the worker from its connection.
    Finalize,
    /// Run the shutdown hook with this number.
    RunHook(usize),
    /// Run the user's `on_shutdown`.
    OnShutdown,
    /// Say when nothing of this invocation runs any more.
    Settle,
    /// Warn that there is this little time for work.
    WarnShortWork(Duration),
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause<F> {
    /// The driver's own failure.
    Reported(F),
    /// The event came when nothing fits any more.
    Late {
        /// From the arrival of the event to the deadline.
        remaining: Duration,
    },
    /// The function's time does not hold the buffer and more than [`MIN_WORK_TIME`](super::MIN_WORK_TIME).
    TooLittleTime {
        /// From the arrival of the event to the deadline.
        remaining: Duration,
        /// The shutdown deadline buffer.
        buffer: Duration,
    },
    /// The time for work was over before the worker polled.
    OutOfTime {
        /// What was going on.
        during: Step,
    },
    /// The worker ended though nobody had asked it to.
    WorkerStopped,
    /// The worker did not end within its cap.
    WorkerNotStopped,
    /// Something of the invocation still ran when its response was due.
    NotSettled,
}

/// Why an invocation went into [`State::Draining`](super::State::Draining).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The time for work was over.
    DeadlineNear,
    /// Nothing was in flight for the idle timeout.
    Idle,
    /// Cancelled, or its future dropped.
    Cancelled,
    /// Something failed; the first [`Cause`] says what.
    Failed,
}

/// One move of the lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// The step before.
    pub from: Step,
    /// What happened.
    pub event: Event,
    /// The step after; the same as before if the event was only noted.
    pub to: Step,
    /// When.
    pub at: Moment,
}

/// Why the machine did not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The event comes late or says nothing new: harmless.
    NoOp {
        /// Where the machine stands.
        step: Step,
        /// What it was told.
        event: Event,
    },
    /// The event cannot happen here: a bug of the driver.
    Illegal {
        /// Where the machine stands.
        step: Step,
        /// What it was told.
        event: Event,
    },
}
