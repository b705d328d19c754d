//! One thing that went wrong, and who is at fault.

use std::time::Duration;

use super::BoxError;
use super::config::ConfigError;
use crate::lifecycle::{MIN_WORK_TIME, State};

/// One thing that went wrong. Each message says what to do; none shows a secret. What lies beneath it is its
/// [`source`](std::error::Error::source), and not in its message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Configuration: permanent until somebody changes it.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The user's `configure` returned an error.
    #[error("configure failed")]
    Configure(#[source] BoxError),
    /// The user's `on_start` returned an error.
    #[error("on_start failed")]
    OnStart(#[source] BoxError),
    /// User code panicked.
    #[error("{place} panicked: {message}")]
    #[non_exhaustive]
    Panicked {
        /// Where.
        place: &'static str,
        /// What it said.
        message: String,
    },
    /// Temporal cannot be reached.
    #[error(
        "Temporal at {target} cannot be reached: {reason}. Check TEMPORAL_ADDRESS, the function's network (VPC, security group) and the TLS settings (TEMPORAL_TLS)"
    )]
    #[non_exhaustive]
    Unreachable {
        /// The server's address.
        target: String,
        /// What the connection said.
        reason: String,
    },
    /// Temporal refuses the credentials.
    #[error(
        "Temporal at {target} refuses the credentials ({code}): {reason}. Check TEMPORAL_API_KEY or the client certificate, and that they are for this namespace"
    )]
    #[non_exhaustive]
    Refused {
        /// The server's address.
        target: String,
        /// The gRPC status code.
        code: String,
        /// What the server said.
        reason: String,
    },
    /// Temporal answered the first call with an error.
    #[error(
        "Temporal at {target} answered with {code}: {reason}. If that is not Temporal's frontend, correct TEMPORAL_ADDRESS; else try again later"
    )]
    #[non_exhaustive]
    Answered {
        /// The server's address.
        target: String,
        /// The gRPC status code.
        code: String,
        /// What the server said.
        reason: String,
    },
    /// The namespace does not exist.
    #[error(
        "namespace {namespace:?} was not found at {target}: check TEMPORAL_NAMESPACE (in Temporal Cloud it ends in the account ID)"
    )]
    #[non_exhaustive]
    NamespaceNotFound {
        /// The namespace.
        namespace: String,
        /// The server's address.
        target: String,
    },
    /// The SDK refuses to make a worker of the options.
    #[error("the worker could not be created: {reason}. Check config.worker_options")]
    #[non_exhaustive]
    WorkerCreation {
        /// What the SDK said.
        reason: String,
    },
    /// The server refused every poll of the invocation, or calls without which the worker could not
    /// end, or left them unanswered. Not the worker's fault.
    #[error(
        "Temporal at {target} refused calls of this invocation or left them unanswered: {call} ended {count} times with {code}: {reason}. \
         Look at the server's side: a rate limit, a deployment version that it does not take, an outage"
    )]
    #[non_exhaustive]
    ServerTrouble {
        /// The server's address.
        target: String,
        /// The call that ended so most often, by its name in Temporal's API.
        call: String,
        /// The gRPC status code that it ended with.
        code: String,
        /// How often.
        count: u64,
        /// What the server said last.
        reason: String,
    },
    /// The worker ended with an error.
    #[error("the worker failed: {reason}")]
    #[non_exhaustive]
    WorkerFailed {
        /// What the SDK said.
        reason: String,
    },
    /// The worker ended though nobody had asked it to.
    #[error(
        "the worker ended before its time, without an error: is something else shutting it down?"
    )]
    WorkerStopped,
    /// The worker did not end in time, not even after its activities were cancelled and dropped.
    #[error(
        "the worker did not stop within its time: an activity or a workflow blocks its thread, or the function had too little CPU. \
         Let activities react to cancellation and not block; if they do, raise the function's memory, with which Lambda gives it CPU"
    )]
    WorkerNotStopped,
    /// Something of the invocation still ran when its response was due.
    #[error(
        "something of this invocation could not be stopped, so this environment must not be used again"
    )]
    NotSettled,
    /// The event came when nothing fits any more.
    #[error("{}", late(remaining))]
    #[non_exhaustive]
    Late {
        /// From arrival to deadline; zero if the deadline was past.
        remaining: Duration,
    },
    /// The function's timeout does not hold the shutdown buffer and time for work.
    #[error(
        "too little time: the invocation has {remaining:?}, of which the shutdown deadline buffer takes {buffer:?}; \
         that leaves {:?} for work, and it must be more than {MIN_WORK_TIME:?}. Raise the function's timeout above {:?} \
         (Lambda's default is 3 s), or lower graceful_shutdown_timeout and shutdown_deadline_buffer",
        remaining.saturating_sub(*buffer), *buffer + MIN_WORK_TIME
    )]
    #[non_exhaustive]
    TooLittleTime {
        /// From arrival to deadline.
        remaining: Duration,
        /// The shutdown deadline buffer.
        buffer: Duration,
    },
    /// The time for work was over before the worker polled.
    #[error("the time for work was over before the worker polled, in {during}: {hint}")]
    #[non_exhaustive]
    OutOfTime {
        /// What was going on.
        during: State,
        /// What to look at.
        hint: &'static str,
    },
    /// An earlier invocation left something running in this environment.
    #[error(
        "this execution environment is poisoned: an earlier invocation could not be stopped. Lambda must replace it; if you embed the handler, end the process"
    )]
    Poisoned,
    /// The library contradicts itself.
    #[error("a bug in temporal-lambda-worker ended this invocation: {what}. Please report it")]
    #[non_exhaustive]
    Internal {
        /// What was missing.
        what: String,
    },
    /// The Lambda runtime itself failed.
    #[error("the Lambda runtime failed: {0}")]
    Runtime(String),
}

/// A deadline that is past when its event arrives is a matter of clocks: Lambda sends no such event.
fn late(remaining: &Duration) -> String {
    if remaining.is_zero() {
        "the event's deadline was past when it arrived, by this machine's clock: that is too late to \
         begin. Compare this clock with that of whoever sent the event (one that stood still while a \
         laptop or a virtual machine slept must be set again)"
            .to_owned()
    } else {
        format!(
            "the event arrived {remaining:?} before its deadline: that is too late to begin. Raise \
             the function's timeout"
        )
    }
}

impl Fault {
    /// A short, stable name for this kind of failure; Lambda shows it as `errorType`.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Configuration(_) => "Configuration",
            Self::Configure(_) => "ConfigureFailed",
            Self::OnStart(_) => "OnStartFailed",
            Self::Panicked { .. } => "Panicked",
            Self::Unreachable { .. } => "TemporalUnreachable",
            Self::Refused { .. } => "TemporalRefused",
            Self::Answered { .. } => "TemporalAnsweredWithError",
            Self::NamespaceNotFound { .. } => "NamespaceNotFound",
            Self::WorkerCreation { .. } => "WorkerCreation",
            Self::ServerTrouble { .. } => "ServerTrouble",
            Self::WorkerFailed { .. } => "WorkerFailed",
            Self::WorkerStopped => "WorkerStopped",
            Self::WorkerNotStopped => "WorkerNotStopped",
            Self::NotSettled => "NotSettled",
            Self::Late { .. } => "TooLate",
            Self::TooLittleTime { .. } => "TooLittleTime",
            Self::OutOfTime { .. } => "OutOfTime",
            Self::Poisoned => "Poisoned",
            Self::Internal { .. } => "Internal",
            Self::Runtime(_) => "LambdaRuntime",
        }
    }

    /// Whether trying again without changing anything cannot help.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Configuration(ConfigError::ReadTooLong { .. }) => false,
            Self::Configuration(_)
            | Self::Refused { .. }
            | Self::NamespaceNotFound { .. }
            | Self::WorkerCreation { .. }
            | Self::TooLittleTime { .. } => true,
            Self::Configure(_)
            | Self::OnStart(_)
            | Self::Panicked { .. }
            | Self::Unreachable { .. }
            | Self::Answered { .. }
            | Self::ServerTrouble { .. }
            | Self::WorkerFailed { .. }
            | Self::WorkerStopped
            | Self::WorkerNotStopped
            | Self::NotSettled
            | Self::Late { .. }
            | Self::OutOfTime { .. }
            | Self::Poisoned
            | Self::Internal { .. }
            | Self::Runtime(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_after_its_deadline_names_the_clock_and_one_just_before_it_the_timeout() {
        let past = Fault::Late { remaining: Duration::ZERO }.to_string();
        assert!(past.contains("clock") && !past.contains("0ns"), "{past}");
        let late = Fault::Late { remaining: Duration::from_millis(90) }.to_string();
        assert!(late.contains("90ms") && late.contains("timeout"), "{late}");
    }
}
