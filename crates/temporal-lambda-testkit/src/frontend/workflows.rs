//! Workflows from the test's side: starting them and seeing how they end.

use super::{
    DEFAULT_WAIT, FrontendError, MockFrontend,
    engine::{Arrival, Run},
    state::State,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, Payloads},
    enums::v1::CommandType,
    failure::v1::Failure,
    history::v1::HistoryEvent,
};
use tokio::time::Instant;
use uuid::Uuid;

/// A workflow to start; see [`MockFrontend::start_workflow`].
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowStart {
    /// The namespace. Default: `default`.
    pub namespace: String,
    /// The task queue of its workflow tasks.
    pub task_queue: String,
    /// The workflow type.
    pub workflow_type: String,
    /// The workflow ID.
    pub workflow_id: String,
    /// The arguments, encoded.
    pub input: Vec<Payload>,
}

impl WorkflowStart {
    /// A workflow without arguments in the namespace `default`.
    pub fn new(
        task_queue: impl Into<String>,
        workflow_type: impl Into<String>,
        workflow_id: impl Into<String>,
    ) -> Self {
        Self {
            namespace: "default".to_owned(),
            task_queue: task_queue.into(),
            workflow_type: workflow_type.into(),
            workflow_id: workflow_id.into(),
            input: Vec::new(),
        }
    }

    /// Adds an argument, as the SDK's default data converter encodes it: in JSON.
    ///
    /// # Panics
    /// When the value has no JSON form.
    pub fn arg(mut self, value: &impl Serialize) -> Self {
        self.input.push(json_payload(value));
        self
    }
}

/// How a workflow stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum WorkflowStatus {
    /// Not closed yet.
    Running,
    /// It returned this.
    Completed(Vec<Payload>),
    /// It failed with this.
    Failed(Box<Failure>),
    /// It honored a cancellation.
    Canceled,
    /// It goes on as another run; the frontend's other answers are about that one.
    ContinuedAsNew,
}

impl WorkflowStatus {
    /// The first value of the result, from JSON.
    ///
    /// # Errors
    /// [`FrontendError::NoResult`] unless it completed, [`FrontendError::NotThatJson`] when the
    /// result is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, FrontendError> {
        match self {
            Self::Completed(payloads) => first_json(payloads),
            Self::Failed(failure) => {
                Err(FrontendError::NoResult(format!("failed: {}", failure.message)))
            }
            other => Err(FrontendError::NoResult(format!("{other:?}"))),
        }
    }
}

#[derive(Default)]
pub(crate) struct Workflows {
    pub(crate) runs: HashMap<String, Run>,
    /// The current run of each workflow ID.
    pub(crate) current: HashMap<String, String>,
    /// Runs whose workflow task waits for a worker, by namespace and task queue.
    pub(crate) queues: HashMap<(String, String), VecDeque<String>>,
    /// The runs of the workflow tasks that workers hold.
    pub(crate) tokens: HashMap<Vec<u8>, String>,
    pub(crate) unsupported: Vec<(String, CommandType)>,
}

impl MockFrontend {
    /// Starts a workflow: its first task goes to the next worker that polls its task queue.
    /// Returns the run ID. A workflow of that ID that is still running is left to itself.
    pub fn start_workflow(&self, start: WorkflowStart) -> String {
        let run_id = Uuid::new_v4().to_string();
        self.update(|state| state.start_run(start, &run_id, ""));
        run_id
    }

    /// Sends a signal. The payloads are its arguments.
    ///
    /// # Errors
    /// [`FrontendError::UnknownWorkflow`]; [`FrontendError::ClosedWorkflow`] where a server answers a
    /// client `NOT_FOUND`, too.
    pub fn signal_workflow(
        &self,
        workflow_id: &str,
        signal: impl Into<String>,
        payloads: Vec<Payload>,
    ) -> Result<(), FrontendError> {
        if self.workflow_status(workflow_id)? != WorkflowStatus::Running {
            return Err(FrontendError::ClosedWorkflow(workflow_id.to_owned()));
        }
        let signal = Arrival::Signaled { name: signal.into(), input: Payloads { payloads } };
        self.arrive(workflow_id, signal)
    }

    /// Asks a workflow to cancel. One that is closed is left alone, and that is no error, as on a
    /// server.
    ///
    /// # Errors
    /// [`FrontendError::UnknownWorkflow`].
    pub fn cancel_workflow(&self, workflow_id: &str) -> Result<(), FrontendError> {
        self.arrive(workflow_id, Arrival::CancelRequested)
    }

    /// How a workflow stands now.
    ///
    /// # Errors
    /// [`FrontendError::UnknownWorkflow`].
    pub fn workflow_status(&self, workflow_id: &str) -> Result<WorkflowStatus, FrontendError> {
        let state = self.lock();
        Ok(state.current_run(workflow_id)?.status.clone())
    }

    /// A workflow's history so far.
    ///
    /// # Errors
    /// [`FrontendError::UnknownWorkflow`].
    pub fn workflow_history(&self, workflow_id: &str) -> Result<Vec<HistoryEvent>, FrontendError> {
        let state = self.lock();
        Ok(state.current_run(workflow_id)?.history.events().to_vec())
    }

    /// Waits until a workflow is closed, for at most [`DEFAULT_WAIT`]; never
    /// [`WorkflowStatus::Running`]. Cancel safe.
    ///
    /// # Errors
    /// [`FrontendError::UnknownWorkflow`], [`FrontendError::TimedOut`].
    pub async fn workflow_result(
        &self,
        workflow_id: &str,
    ) -> Result<WorkflowStatus, FrontendError> {
        self.workflow_result_within(workflow_id, DEFAULT_WAIT).await
    }

    /// [`MockFrontend::workflow_result`] with a bound of its own, on tokio's clock.
    ///
    /// # Errors
    /// [`FrontendError::UnknownWorkflow`], [`FrontendError::TimedOut`].
    pub async fn workflow_result_within(
        &self,
        workflow_id: &str,
        bound: Duration,
    ) -> Result<WorkflowStatus, FrontendError> {
        let status = self
            .watch_state(Some(Instant::now() + bound), |state| {
                match state.current_run(workflow_id) {
                    Ok(run) if run.status == WorkflowStatus::Running => None,
                    Ok(run) => Some(Ok(run.status.clone())),
                    Err(error) => Some(Err(error)),
                }
            })
            .await;
        match status {
            Some(status) => status,
            None => Err(self.timed_out(format!("workflow {workflow_id:?} to close"), bound)),
        }
    }

    /// Commands that the frontend could not carry out, with the workflow IDs that sent them.
    pub fn unsupported_commands(&self) -> Vec<(String, CommandType)> {
        self.lock().workflows.unsupported.clone()
    }

    fn arrive(&self, workflow_id: &str, arrival: Arrival) -> Result<(), FrontendError> {
        self.update(|state| {
            let run_id = state.current_run(workflow_id)?.run_id.clone();
            state.deliver(&run_id, arrival);
            Ok(())
        })
    }
}

impl State {
    pub(crate) fn current_run(&self, workflow_id: &str) -> Result<&Run, FrontendError> {
        let workflows = &self.workflows;
        workflows
            .current
            .get(workflow_id)
            .and_then(|run_id| workflows.runs.get(run_id))
            .ok_or_else(|| FrontendError::UnknownWorkflow(workflow_id.to_owned()))
    }
}

pub(crate) fn json_payload(value: &impl Serialize) -> Payload {
    let data = serde_json::to_vec(value).expect("a test's argument has a JSON form");
    Payload {
        metadata: HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]),
        data,
        ..Default::default()
    }
}

pub(crate) fn first_json<T: DeserializeOwned>(payloads: &[Payload]) -> Result<T, FrontendError> {
    // An SDK may leave out the payload of a unit result.
    let data = payloads.first().map_or(&b"null"[..], |first| &first.data);
    // A payload of `binary/null` has no data.
    let data = if data.is_empty() { b"null" } else { data };
    Ok(serde_json::from_slice(data)?)
}
