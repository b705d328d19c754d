//! What an invocation did: its return value, one log line, and what observers get.

mod callbacks;
mod counts;
pub(crate) mod error;
mod line;

use serde::{Deserialize, Serialize};

use crate::lifecycle::Ending;

pub use callbacks::{CallbackOutcome, HookReport};
pub use counts::{Counts, StateTimes, TaskCounts};
pub(crate) use error::LambdaWorkerError;

pub(crate) use line::log;

/// What one invocation did.
///
/// It is what a successful invocation returns as JSON, and what a failed one carries in its error.
/// Field names are stable: fields may be added, but are not renamed or removed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct InvocationReport {
    /// Lambda's request ID.
    pub request_id: String,
    /// The ARN that was invoked.
    pub function_arn: String,
    /// Whether this was the environment's first invocation.
    pub cold_start: bool,
    /// Why polling, or what came before it, ended. `None` while that has not happened.
    pub reason: Option<Reason>,
    /// What went wrong, the first thing first. Empty: the invocation succeeded.
    pub errors: Vec<ReportedError>,
    /// The worker's identity in workflow histories.
    pub identity: String,
    /// The namespace.
    pub namespace: String,
    /// The task queue.
    pub task_queue: String,
    /// The worker deployment's name.
    pub deployment_name: String,
    /// The build ID.
    pub build_id: String,
    /// How the connection came about; `None` if it did not.
    pub connection: Option<ConnectionUse>,
    /// Time in each state, in milliseconds. States that were not reached are zero.
    pub state_ms: StateTimes,
    /// From the arrival of the event to the moment this was written, in milliseconds.
    pub total_ms: u64,
    /// From the arrival of the event to the worker's first poll, in milliseconds; `None` if it
    /// did not poll.
    pub first_poll_ms: Option<u64>,
    /// Time left until Lambda's deadline, in milliseconds; `None` if there is none.
    pub time_left_ms: Option<u64>,
    /// What became of tasks.
    pub tasks: TaskCounts,
    /// Workflow tasks that failed, one entry for each workflow run, the latest 10 at most;
    /// `tasks.workflow.failed` counts all. From the second attempt on the SDK does not tell the
    /// server of the failure: the workflow stands still until its task times out and is tried again.
    pub failed_workflow_tasks: Vec<FailedWorkflowTask>,
    /// Calls that the server refused or left unanswered, by kind, 8 kinds at most. Not a failure of
    /// the invocation: such calls are tried again.
    pub server_trouble: Vec<ServerTrouble>,
    /// Failures of payload codecs that report them, such as transfers of large payloads. A task whose payload
    /// could not be stored or fetched fails, and Temporal tries it again.
    pub codec_failures: CodecFailures,
    /// What would be better otherwise, in the order in which it was noticed, 10 entries at most. Not a
    /// failure of the invocation. Each is a warning in the log, too.
    pub diagnoses: Vec<Diagnosis>,
    /// What became of the shutdown hooks, in order.
    pub hooks: Vec<HookReport>,
    /// What became of `on_shutdown`; `None` if it has not run.
    pub on_shutdown: Option<CallbackOutcome>,
    /// Whether something of the invocation could not be stopped: the environment serves no other.
    pub poisoned: bool,
}

/// Why an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The time for work was over.
    DeadlineNear,
    /// Nothing was in flight for the idle timeout.
    Idle,
    /// It was cancelled, or its future was dropped.
    Cancelled,
    /// Something failed; the report's `errors` say what.
    Failed,
    /// One that a later version of this crate knows, in a report that was read back.
    #[serde(other)]
    Other,
}

impl Reason {
    /// The reason's name, as it stands in reports, traces and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeadlineNear => "deadline_near",
            Self::Idle => "idle",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Other => "other",
        }
    }
}

impl From<Ending> for Reason {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::DeadlineNear => Self::DeadlineNear,
            Ending::Idle => Self::Idle,
            Ending::Cancelled => Self::Cancelled,
            Ending::Failed => Self::Failed,
        }
    }
}

/// One failure, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ReportedError {
    /// The kind of failure, as Lambda shows it: see [`Fault::error_type`](crate::Fault::error_type).
    pub error_type: String,
    /// What happened and what to do.
    pub message: String,
}

/// How an invocation came by its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectionUse {
    /// A new one was made; there was none to take over.
    New,
    /// The one of an earlier invocation was taken over.
    Reused,
    /// There was one, but its options had changed, or it was too old.
    Replaced,
    /// There was one, but it did not answer, so a new one was made.
    Reconnected,
    /// A way that a later version of this crate knows, in a report that was read back.
    #[serde(other)]
    Other,
}

impl ConnectionUse {
    /// The name, as it stands in reports and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Reused => "reused",
            Self::Replaced => "replaced",
            Self::Reconnected => "reconnected",
            Self::Other => "other",
        }
    }
}

/// Failures of payload codecs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CodecFailures {
    /// How many there were.
    pub count: u64,
    /// The latest of them in words, 5 at most.
    pub latest: Vec<String>,
}

/// A workflow task that failed: the workflow cannot go on until somebody changes something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FailedWorkflowTask {
    /// The workflow's ID.
    pub workflow_id: String,
    /// Its run ID.
    pub run_id: String,
    /// Its type; empty if it is not known.
    pub workflow_type: String,
    /// Which attempt at the task it was, from 1; 0 if it is not known.
    pub attempt: u32,
    /// What the SDK or the workflow said.
    pub failure: String,
}

/// One kind of call that the server refused or left unanswered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ServerTrouble {
    /// The call, by its name in Temporal's API.
    pub call: String,
    /// The gRPC status.
    pub status: String,
    /// How often.
    pub count: u64,
    /// What the server said the first time.
    pub first: String,
    /// What the server said the last time.
    pub last: String,
}

/// What an invocation noticed of its own accord.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What kind of thing it is.
    pub kind: DiagnosisKind,
    /// What was seen, in words, and what to change.
    pub text: String,
}

/// What a diagnosis is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DiagnosisKind {
    /// No task came to the worker, and by what the server says none will: its version is not current,
    /// its task queue is not bound to it, or the tasks wait elsewhere. Asked after three invocations in
    /// a row without a task, or when the server refuses polls; said once, until a task comes.
    InvokedForNothing,
    /// An activity may take longer than an invocation has and does not heartbeat, or the end of an
    /// invocation cut its last attempt off. The former is said once for each activity type.
    DoesNotFit,
    /// The activity slots were full for four fifths of the polling time while activities waited.
    SlotsFull,
    /// One that a later version of this crate knows, in a report that was read back. Its text says it all.
    #[default]
    #[serde(other)]
    Other,
}

impl DiagnosisKind {
    /// The kind's name, as it stands in reports and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvokedForNothing => "invoked_for_nothing",
            Self::DoesNotFit => "does_not_fit",
            Self::SlotsFull => "slots_full",
            Self::Other => "other",
        }
    }
}

/// What a worker has done so far: its part of the report.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkerReport {
    pub(crate) tasks: TaskCounts,
    pub(crate) failed_workflow_tasks: Vec<FailedWorkflowTask>,
    pub(crate) server_trouble: Vec<ServerTrouble>,
    pub(crate) diagnoses: Vec<Diagnosis>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_of_an_older_or_a_later_version_is_read_back() {
        let odd = json!({
            "reason": "because",
            "connection": "by pigeon",
            "errors": [{}],
            "diagnoses": [{"text": "look here"}],
            "hooks": [{"name": "later", "outcome": "skipped", "message": {}, "since": 1}],
            "on_shutdown": {"outcome": "failed"},
            "what is this": 5,
        });
        let report: InvocationReport = serde_json::from_value(odd).unwrap();
        assert_eq!(report.reason, Some(Reason::Other));
        assert_eq!(report.connection, Some(ConnectionUse::Other));
        assert_eq!(report.errors, [ReportedError::default()]);
        assert_eq!(report.diagnoses[0].kind, DiagnosisKind::Other);
        assert_eq!(report.hooks[0].outcome, CallbackOutcome::Other);
        assert_eq!(report.on_shutdown, Some(CallbackOutcome::Failed { message: String::new() }));
    }
}
