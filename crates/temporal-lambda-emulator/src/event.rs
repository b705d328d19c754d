//! What happens in an emulator, as it happens.

use std::sync::Arc;

use crate::{invocation::Invocation, log::LogLine};

/// One step in the life of an execution environment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvEvent {
    /// The process was started (in-process: the task).
    Spawned,
    /// It asked for its first event: init is over.
    Ready,
    /// It registered an extension, by this name.
    ExtensionRegistered {
        /// The extension's name.
        name: String,
    },
    /// It asked to be restored from a snapshot (SnapStart).
    RestoreRequested,
    /// An event was given to it.
    EventHandedOut {
        /// The invocation.
        request_id: String,
    },
    /// It posted a response.
    ResponsePosted {
        /// The invocation.
        request_id: String,
    },
    /// It posted an error.
    ErrorPosted {
        /// The invocation.
        request_id: String,
        /// The error's type.
        error_type: String,
    },
    /// It posted to `/init/error`.
    InitErrorPosted {
        /// The error's type.
        error_type: String,
    },
    /// It posted to `/restore/error`.
    RestoreErrorPosted {
        /// The error's type.
        error_type: String,
    },
    /// It was stopped (SIGSTOP) until the next event.
    Frozen,
    /// It was continued (SIGCONT).
    Thawed,
    /// It was asked to end (SIGTERM).
    Terminated,
    /// It was killed (SIGKILL; in-process: aborted).
    Killed,
    /// It ended.
    Exited {
        /// The exit code, when it exited.
        code: Option<i32>,
        /// The signal that ended it, when one did.
        signal: Option<i32>,
    },
}

/// Something that happened, for live views. Subscribe with
/// [`LambdaEmulator::subscribe`](super::LambdaEmulator::subscribe) or
/// [`Function::subscribe`](super::Function::subscribe).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum EmulatorEvent {
    /// A function was invoked; it may still have to wait for an environment.
    Invoked {
        /// The function's name.
        function: Arc<str>,
        /// The invocation.
        request_id: String,
    },
    /// A step in an environment's life.
    Environment {
        /// The function's name.
        function: Arc<str>,
        /// The environment's ID.
        environment: Arc<str>,
        /// The process, while there is one.
        pid: Option<u32>,
        /// The step.
        event: EnvEvent,
    },
    /// An environment wrote a line.
    Log {
        /// The function's name.
        function: Arc<str>,
        /// The environment's ID.
        environment: Arc<str>,
        /// The line.
        line: LogLine,
    },
    /// An invocation (one attempt of it) ended.
    Finished {
        /// The function's name.
        function: Arc<str>,
        /// Its record.
        invocation: Arc<Invocation>,
    },
    /// An `Event` invocation failed and will be tried again.
    Retrying {
        /// The function's name.
        function: Arc<str>,
        /// The invocation.
        request_id: String,
        /// The attempt to come, from 2.
        attempt: u32,
    },
    /// An `Event` invocation found all environments busy, and will be tried again.
    Throttled {
        /// The function's name.
        function: Arc<str>,
        /// The invocation.
        request_id: String,
    },
    /// An `Event` invocation was older than the function's `max_event_age`, and is tried no more.
    Dropped {
        /// The function's name.
        function: Arc<str>,
        /// The invocation.
        request_id: String,
    },
    /// Somebody called the control plane (Lambda's API, or STS).
    ApiCall {
        /// The operation, such as `GetFunction`, `Invoke` or `AssumeRole`.
        operation: &'static str,
        /// What it was about: the function or role, as the caller wrote it. Empty for operations
        /// whose path names none, such as `CreateFunction` and `ListFunctions`.
        target: String,
        /// The HTTP status of the answer.
        status: u16,
    },
}

impl EmulatorEvent {
    /// The function that this is about; `None` for control plane calls.
    pub fn function(&self) -> Option<&str> {
        match self {
            Self::Invoked { function, .. }
            | Self::Environment { function, .. }
            | Self::Log { function, .. }
            | Self::Finished { function, .. }
            | Self::Retrying { function, .. }
            | Self::Throttled { function, .. }
            | Self::Dropped { function, .. } => Some(function),
            Self::ApiCall { .. } => None,
        }
    }
}
