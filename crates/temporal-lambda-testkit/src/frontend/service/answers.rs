//! What workers report about their tasks, and a client's start of a workflow.

use prost::Message;
use temporalio_common::protos::{
    google::rpc::Status as RpcStatus,
    temporal::api::{
        errordetails::v1::WorkflowExecutionAlreadyStartedFailure, workflowservice::v1 as api,
    },
    utilities::{encode_status_details, pack_any},
};
use tonic::{Code, Status};

use super::Call;
use crate::frontend::{
    engine::{Engine, Refusal, Run},
    mock::MockFrontend,
    model::{WorkflowStart, WorkflowStatus},
};

/// The type of the detail that comes with the refusal of a second start.
const ALREADY_STARTED: &str =
    "type.googleapis.com/temporal.api.errordetails.v1.WorkflowExecutionAlreadyStartedFailure";

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound(text) => Self::not_found(text),
            Refusal::Invalid(text) => Self::invalid_argument(text),
        }
    }
}

impl MockFrontend {
    pub(super) fn workflow_task_completed(&self, call: &Call) -> Result<Vec<u8>, Status> {
        self.report::<_, api::RespondWorkflowTaskCompletedResponse>(
            call,
            Engine::complete_workflow_task,
        )
    }

    pub(super) fn workflow_task_failed(&self, call: &Call) -> Result<Vec<u8>, Status> {
        self.report::<_, api::RespondWorkflowTaskFailedResponse>(call, Engine::fail_workflow_task)
    }

    pub(super) fn activity_task_completed(&self, call: &Call) -> Result<Vec<u8>, Status> {
        self.report::<_, api::RespondActivityTaskCompletedResponse>(call, Engine::complete_activity)
    }

    pub(super) fn activity_task_failed(&self, call: &Call) -> Result<Vec<u8>, Status> {
        self.report::<_, api::RespondActivityTaskFailedResponse>(call, Engine::fail_activity)
    }

    pub(super) fn activity_task_canceled(&self, call: &Call) -> Result<Vec<u8>, Status> {
        self.report::<_, api::RespondActivityTaskCanceledResponse>(call, Engine::cancel_activity)
    }

    pub(super) fn activity_task_heartbeat(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: api::RecordActivityTaskHeartbeatRequest = call.decode()?;
        let (token, details) = (request.task_token, request.details);
        let cancel_requested = self.update(|state| state.engine.heartbeat(&token, details))?;
        Ok(api::RecordActivityTaskHeartbeatResponse { cancel_requested, ..Default::default() }
            .encode_to_vec())
    }

    pub(super) fn start_for_client(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: api::StartWorkflowExecutionRequest = call.decode()?;
        let start = WorkflowStart {
            namespace: request.namespace,
            task_queue: request.task_queue.unwrap_or_default().name,
            workflow_type: request.workflow_type.unwrap_or_default().name,
            workflow_id: request.workflow_id,
            input: request.input.unwrap_or_default().payloads,
        };
        let run_id = self.update(|state| match state.engine.run(&start.workflow_id) {
            Some(run) if run.status == WorkflowStatus::Running => Err(already_started(run)),
            _ => Ok(state.engine.start_workflow(start)),
        })?;
        Ok(api::StartWorkflowExecutionResponse { run_id, started: true, ..Default::default() }
            .encode_to_vec())
    }

    /// Takes a report in; the answer `A` says nothing but that it was taken.
    fn report<M: Message + Default, A: Message + Default>(
        &self,
        call: &Call,
        report: impl FnOnce(&mut Engine, M) -> Result<(), Refusal>,
    ) -> Result<Vec<u8>, Status> {
        let request = call.decode()?;
        self.update(|state| report(&mut state.engine, request))?;
        Ok(A::default().encode_to_vec())
    }
}

/// The refusal of a second start, with the detail from which an SDK makes its own error.
fn already_started(run: &Run) -> Status {
    let message = format!(
        "Workflow execution is already running. WorkflowId: {}, RunId: {}.",
        run.start.workflow_id, run.run_id
    );
    let failure = WorkflowExecutionAlreadyStartedFailure {
        run_id: run.run_id.clone(),
        first_execution_run_id: run.run_id.clone(),
        ..Default::default()
    };
    let code = Code::AlreadyExists;
    let detail = pack_any(ALREADY_STARTED.to_owned(), &failure);
    let details = RpcStatus {
        code: code.into(),
        message: message.clone(),
        details: detail.into_iter().collect(),
    };
    Status::with_details(code, message, encode_status_details(&details).into())
}
