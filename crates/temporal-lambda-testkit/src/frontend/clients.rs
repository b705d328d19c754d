//! What clients, rather than workers, call: enough to start a workflow and wait for its result.

use super::{
    MockFrontend,
    dispatch::Call,
    state::State,
    workflows::{WorkflowStart, WorkflowStatus},
};
use prost::Message;
use std::time::Duration;
use temporalio_common::protos::temporal::api::{
    enums::v1::HistoryEventFilterType,
    history::v1::History,
    workflowservice::v1::{
        GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse,
        StartWorkflowExecutionRequest, StartWorkflowExecutionResponse,
    },
};
use tokio::time::Instant;
use tonic::Status;
use uuid::Uuid;

/// After how long a server answers a wait for history with nothing new.
const HISTORY_WAIT: Duration = Duration::from_secs(20);

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
            let current = state.current_run(&start.workflow_id);
            if current.is_ok_and(|run| run.status == WorkflowStatus::Running) {
                return Err(Status::already_exists("Workflow execution is already running."));
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
