//! The six states that users see, and the steps that they are made of.

use serde::{Deserialize, Serialize};

/// Where an invocation stands: the six states of the lifecycle.
///
/// Every [`Step`] belongs to exactly one of them. There are no others, and there will be none before
/// the next major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// The execution environment is up and has served no invocation yet.
    ColdStart,
    /// `configure` runs, then the connection to Temporal is made or taken over.
    Configuring,
    /// There is a connection; the worker is created and `on_start` runs.
    Connected,
    /// The worker polls and works; towards the end, its last polls end.
    Polling,
    /// Polling has ended: drain the worker, shutdown hooks, `on_shutdown`.
    Draining,
    /// The invocation is over.
    TornDown,
}

macro_rules! fieldless {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant),* }

        impl $name {
            pub(crate) const ALL: [Self; [$(stringify!($variant)),*].len()] = [$(Self::$variant),*];

            /// Every variant, in declaration order.
            pub fn all() -> impl ExactSizeIterator<Item = Self> + Clone {
                Self::ALL.into_iter()
            }

            /// The variant's name, as it stands in the table and in traces.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),* }
            }
        }
    };
}

fieldless! {
    /// One step of an invocation. The columns of the [table](super::table).
    Step {
        /// Nothing was invoked yet.
        ColdStart,
        /// The user's `configure` runs.
        Configuring,
        /// The connection to Temporal is being made, or a warm one checked.
        Connecting,
        /// The worker is being created and registered on its connection.
        Creating,
        /// The user's `on_start` runs; the worker does not poll yet.
        Starting,
        /// The worker polls and works.
        Polling,
        /// No poll begins any more; the polls under way are ending, and what they bring is worked
        /// on.
        Quiescing,
        /// No poll is under way, and the worker has begun to shut down: tasks in flight may end,
        /// then activities are cancelled.
        Stopping,
        /// The shutdown hooks run, one after the other.
        Hooks,
        /// The user's `on_shutdown` runs.
        Farewell,
        /// Whatever was cut short is given a last moment to end.
        Settling,
        /// Over; nothing of this invocation runs any more.
        Healthy,
        /// Over, but something could not be stopped: no invocation may follow.
        Poisoned,
    }
}

fieldless! {
    /// What can happen. The rows of the [table](super::table).
    Event {
        /// Lambda handed over an event, with time to work.
        Invoked,
        /// Lambda handed over an event whose deadline is past, or so near that nothing fits.
        InvokedTooLate,
        /// `configure` returned, and what it left makes sense.
        Configured,
        /// There is a connection to Temporal.
        Connected,
        /// The worker exists and is registered on its connection.
        WorkerCreated,
        /// `on_start` returned: the worker starts to poll.
        WorkerStarted,
        /// `configure`, connecting, worker creation or `on_start` failed.
        Failed,
        /// A task is in flight where there was none.
        Busy,
        /// The last task in flight has ended.
        Quiet,
        /// Nothing was in flight for the idle timeout.
        Idle,
        /// The stop time is so near that a poll that begins now would outlast it.
        StopNear,
        /// One of the last polls brought a task, and there is time to poll on.
        Resumed,
        /// No poll is under way.
        PollsEnded,
        /// No poll is under way, and no task is in flight.
        Quiesced,
        /// The time for work is over; what is left is for shutting down.
        DeadlineNear,
        /// The invocation's cancellation token was cancelled, or its future dropped.
        Cancelled,
        /// The worker ended without an error.
        WorkerStopped,
        /// The worker ended with an error, or its thread panicked.
        WorkerFailed,
        /// The grace period and the time to react to cancellation are over.
        GraceOver,
        /// A shutdown hook ended, and there are more.
        HookEnded,
        /// The last shutdown hook ended.
        HooksEnded,
        /// `on_shutdown` ended.
        ShutdownEnded,
        /// The step has used up its time.
        CapPassed,
        /// Nothing of this invocation runs any more.
        Settled,
    }
}

impl Step {
    /// The state that this step belongs to.
    pub const fn state(self) -> State {
        match self {
            Self::ColdStart => State::ColdStart,
            Self::Configuring | Self::Connecting => State::Configuring,
            Self::Creating | Self::Starting => State::Connected,
            Self::Polling | Self::Quiescing => State::Polling,
            Self::Stopping | Self::Hooks | Self::Farewell | Self::Settling => State::Draining,
            Self::Healthy | Self::Poisoned => State::TornDown,
        }
    }

    /// Whether the invocation is over.
    pub const fn is_torn_down(self) -> bool {
        matches!(self.state(), State::TornDown)
    }
}

impl State {
    /// Every state, in the order of an invocation's life.
    pub const ALL: [Self; 6] = [
        Self::ColdStart,
        Self::Configuring,
        Self::Connected,
        Self::Polling,
        Self::Draining,
        Self::TornDown,
    ];

    /// The state's name, as it stands in reports, traces and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ColdStart => "ColdStart",
            Self::Configuring => "Configuring",
            Self::Connected => "Connected",
            Self::Polling => "Polling",
            Self::Draining => "Draining",
            Self::TornDown => "TornDown",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
