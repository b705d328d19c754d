//! What clients, rather than workers, call: enough to start a workflow and wait for its result.

use super::{
    MockFrontend,
    dispatch::Call,
    engine::Run,
    state::State,
    workflows::{WorkflowStart, WorkflowStatus},
};
use prost::Message;
use std::time::Duration;
use temporalio_common::protos::{
    google::rpc::Status as RpcStatus,
    temporal::api::{
        enums::v1::HistoryEventFilterType,
        errordetails::v1::WorkflowExecutionAlreadyStartedFailure,
        history::v1::History,
        workflowservice::v1::{
            GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse,
            StartWorkflowExecutionRequest, StartWorkflowExecutionResponse,
        },
    },
    utilities::{encode_status_details, pack_any},
};
use tokio::time::Instant;
use tonic::{Code, Status};
use uuid::Uuid;

/// After how long a server answers a wait for history with nothing new.
const HISTORY_WAIT: Duration = Duration::from_secs(20);

/// The type of the detail that comes with the refusal of a second start.
const ALREADY_STARTED: &str =
    "type.googleapis.com/temporal.api.errordetails.v1.WorkflowExecutionAlreadyStartedFailure";

impl MockFrontend {
    pub(super) fn start_for_client(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: StartWorkflowExecutionRequest = call.decode()?;
        let start = WorkflowStart {
            namespace: request.namespace,
            task_queue: request.task_queue.unwrap_or_default().name,
            workflow_type: request.workflow_type.unwrap_or_default().name,
            workflow_id: request.workflow_id,
            input: request.input.unwrap_or_default().payloads,
        };
        let run_id = Uuid::new_v4().to_string();
        self.update(|state| {
            let current = state.current_run(&start.workflow_id).ok();
            if let Some(run) = current.filter(|run| run.status == WorkflowStatus::Running) {
                return Err(already_started(run));
            }
            state.start_run(start, &run_id, "");
            Ok(())
        })?;
        Ok(StartWorkflowExecutionResponse { run_id, started: true, ..Default::default() }
            .encode_to_vec())
    }

    pub(super) async fn read_history(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: GetWorkflowExecutionHistoryRequest = call.decode()?;
        let answer = if request.wait_new_event {
            let until = Instant::now() + HISTORY_WAIT;
            self.watch_state(Some(until), |state| match state.history_for(&request) {
                Ok(answer) if answer.history.is_none() => None,
                answer => Some(answer),
            })
            .await
            .unwrap_or_else(|| {
                Ok(GetWorkflowExecutionHistoryResponse {
                    history: Some(History::default()),
                    next_page_token: token_after(&request),
                    ..Default::default()
                })
            })?
        } else {
            self.lock().history_for(&request)?
        };
        Ok(answer.encode_to_vec())
    }
}

impl State {
    /// The history that a request asks for; without a history while there is nothing new.
    fn history_for(
        &self,
        request: &GetWorkflowExecutionHistoryRequest,
    ) -> Result<GetWorkflowExecutionHistoryResponse, Status> {
        let execution = request.execution.clone().unwrap_or_default();
        let run = if execution.run_id.is_empty() {
            self.current_run(&execution.workflow_id).ok()
        } else {
            self.workflows.runs.get(&execution.run_id)
        };
        let run = run.ok_or_else(|| {
            Status::not_found(format!("workflow not found for ID: {}", execution.workflow_id))
        })?;
        let events = run.history.events();
        let closed = run.status != WorkflowStatus::Running;
        let mut answer = GetWorkflowExecutionHistoryResponse::default();
        if request.history_event_filter_type() == HistoryEventFilterType::CloseEvent {
            if closed || !request.wait_new_event {
                let last = events.last().cloned();
                answer.history = Some(History { events: last.into_iter().collect() });
            }
            return Ok(answer);
        }
        let known = known_events(&request.next_page_token);
        if !request.wait_new_event || events.len() > known {
            answer.history =
                Some(History { events: events.get(known..).unwrap_or_default().to_vec() });
            if request.wait_new_event && !closed {
                answer.next_page_token = token(events.len());
            }
        }
        Ok(answer)
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

/// How many events the caller has: the page token is that number.
fn known_events(token: &[u8]) -> usize {
    std::str::from_utf8(token).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn token(known: usize) -> Vec<u8> {
    known.to_string().into_bytes()
}

/// The token with which the caller goes on waiting. It must not be empty: that is the end.
fn token_after(request: &GetWorkflowExecutionHistoryRequest) -> Vec<u8> {
    token(known_events(&request.next_page_token))
}
