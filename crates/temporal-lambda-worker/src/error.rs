//! What can go wrong, who is at fault, and what to do.

use std::fmt;
use std::time::Duration;

use lambda_runtime::Diagnostic;

use crate::config::ConfigError;
use crate::lifecycle::{MIN_WORK_TIME, State};
use crate::report::InvocationReport;
use crate::worker::BoxError;

/// One thing that went wrong. Each message says what to do; none shows a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Configuration: permanent until somebody changes it.
    #[error("configuration: {0}")]
    Configuration(#[from] ConfigError),
    /// The user's `configure` returned an error.
    #[error("configure failed: {0}")]
    Configure(#[source] BoxError),
    /// The user's `on_start` returned an error.
    #[error("on_start failed: {0}")]
    OnStart(#[source] BoxError),
    /// User code panicked.
    #[error("{place} panicked: {message}")]
    Panicked {
        /// Where.
        place: &'static str,
        /// What it said.
        message: String,
    },
    /// Temporal cannot be reached.
    #[error(
        "Temporal at {target} cannot be reached: {reason}. Check TEMPORAL_ADDRESS, the function's network (VPC, security group) and TLS settings"
    )]
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
    NamespaceNotFound {
        /// The namespace.
        namespace: String,
        /// The server's address.
        target: String,
    },
    /// The SDK refuses to make a worker of the options.
    #[error("the worker could not be created: {reason}. Check config.worker_options")]
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
        "the worker did not stop within its time: an activity or a workflow blocks its thread. Let activities react to cancellation and not block"
    )]
    WorkerNotStopped,
    /// Something of the invocation still ran when its response was due.
    #[error(
        "something of this invocation could not be stopped, so this environment must not be used again"
    )]
    NotSettled,
    /// The event came when nothing fits any more.
    #[error("{}", late(remaining))]
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
    TooLittleTime {
        /// From arrival to deadline.
        remaining: Duration,
        /// The shutdown deadline buffer.
        buffer: Duration,
    },
    /// The time for work was over before the worker polled.
    #[error("the time for work was over before the worker polled, in {during}: {hint}")]
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

/// An invocation that failed: what failed first, what failed later, and what was done until then.
pub struct LambdaWorkerError(Box<Inner>);

struct Inner {
    fault: Fault,
    later: Vec<Fault>,
    report: InvocationReport,
}

impl LambdaWorkerError {
    pub(crate) fn new(fault: Fault, later: Vec<Fault>, report: InvocationReport) -> Self {
        Self(Box::new(Inner { fault, later, report }))
    }

    /// What failed first.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// What failed after that, in order.
    pub fn later(&self) -> &[Fault] {
        &self.0.later
    }

    /// What the invocation did all the same.
    pub fn report(&self) -> &InvocationReport {
        &self.0.report
    }

    /// Whether this environment must not be used again. [`run_worker`](crate::run_worker) ends the
    /// process after such an error was posted; whoever embeds the handler must do so themselves.
    pub fn is_poisoned(&self) -> bool {
        self.0.report.poisoned || matches!(self.0.fault, Fault::Poisoned)
    }
}

impl From<Fault> for LambdaWorkerError {
    fn from(fault: Fault) -> Self {
        let errors = vec![crate::report::ReportedError::of(&fault)];
        Self::new(fault, Vec::new(), InvocationReport { errors, ..Default::default() })
    }
}

impl From<ConfigError> for LambdaWorkerError {
    fn from(error: ConfigError) -> Self {
        Fault::from(error).into()
    }
}

impl fmt::Display for LambdaWorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.fault)?;
        for later in &self.0.later {
            write!(f, "; then: {later}")?;
        }
        Ok(())
    }
}

/// For people, too, since `main` and `unwrap` show this: as `Display`, on several lines.
impl fmt::Debug for LambdaWorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.fault)?;
        for later in &self.0.later {
            write!(f, "\n  then: {later}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LambdaWorkerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.fault.source()
    }
}

impl From<LambdaWorkerError> for Diagnostic {
    fn from(error: LambdaWorkerError) -> Self {
        Self {
            error_type: format!("TemporalLambdaWorker.{}", error.fault().error_type()),
            error_message: error.to_string(),
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

    /// `main` and `unwrap` show an error by its `Debug`.
    #[test]
    fn debug_is_for_people_and_has_a_line_for_each_cause() {
        let report = InvocationReport { request_id: "r-1".to_owned(), ..Default::default() };
        let first = Fault::Configure("no such table".into());
        let later = vec![Fault::WorkerNotStopped, Fault::NotSettled];
        let error = LambdaWorkerError::new(first, later, report);
        let expected = format!(
            "configure failed: no such table\n  then: {}\n  then: {}",
            Fault::WorkerNotStopped,
            Fault::NotSettled
        );
        assert_eq!(format!("{error:?}"), expected);
        assert_eq!(format!("{error:#?}"), expected);
        let alone = LambdaWorkerError::from(Fault::Poisoned);
        assert_eq!(format!("{alone:?}"), alone.to_string());
    }
}
