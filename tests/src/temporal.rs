//! Temporal from a test's side: what the testkit has, with panics for errors, and what it lacks.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use temporal_lambda_test_timing::{test_timeout, within};
use temporal_lambda_testkit::lambda::{Function, Invocation};
use temporal_lambda_testkit::server::{self, connection_options};
use temporalio_client::grpc::WorkflowService as _;
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, Payloads, WorkflowExecution},
    enums::v1::{EventType, WorkflowExecutionStatus},
    failure::v1::failure::FailureInfo,
    history::v1::{HistoryEvent, history_event::Attributes},
    workflowservice::v1::{
        DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
        SignalWorkflowExecutionRequest,
    },
};
use tonic::IntoRequest as _;

use crate::invoked::invoked_until;

/// The namespace of all tests.
const NAMESPACE: &str = "default";
const RETRY: Duration = Duration::from_millis(50);

/// A connection to a server. It lives as long as the runtime that it was made on.
#[derive(Clone)]
pub struct Temporal(server::Temporal);

/// A deployment version and the task queue of its workers.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// The deployment's name.
    pub deployment: &'a str,
    /// The build ID.
    pub build_id: &'a str,
    /// The task queue.
    pub task_queue: &'a str,
}

impl Temporal {
    /// Connects to `address`, written as `127.0.0.1:<port>`.
    pub async fn connect(address: &str) -> Self {
        let options = connection_options(address).expect("an address");
        Self(server::Temporal::connect(options).await.expect("the server answers"))
    }

    /// Makes a version current, so that its workers receive tasks. The version comes into being
    /// by polls, as a worker would make them; they are over when this returns.
    pub async fn make_current(&self, version: Version<'_>) {
        let deployment = self.0.deployment(version.deployment);
        deployment
            .make_current_by_polling(version.build_id, version.task_queue, test_timeout())
            .await
            .unwrap_or_else(|error| panic!("{version:?}: {error}"));
    }

    /// Starts a workflow with one argument.
    pub async fn start(&self, task_queue: &str, id: &str, kind: &str, input: impl Serialize) {
        self.0.start_workflow(task_queue, kind, id, &input).await.expect("it starts");
    }

    /// Waits for the end of a workflow: its result.
    ///
    /// # Panics
    /// When it does not complete, or not within [`test_timeout`].
    pub async fn result(&self, id: &str) -> Value {
        let result = self.0.workflow_result(id, test_timeout()).await;
        result.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Invokes a function until a workflow has ended: the invocations, of which there is one at least.
    ///
    /// # Panics
    /// When it does not end within [`test_timeout`].
    pub async fn served_by(&self, function: &Function, id: &str) -> Vec<Invocation> {
        let ended = async |_: &Invocation| self.has_ended(id).await.then_some(());
        invoked_until(function, &format!("the end of {id}"), ended).await.1
    }

    /// Sends a signal with one argument.
    pub async fn signal(&self, id: &str, name: &str, argument: impl Serialize) {
        let request = SignalWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_execution: Some(execution(id)),
            signal_name: name.to_owned(),
            input: Some(Payloads { payloads: vec![json_payload(&argument)] }),
            identity: "test".to_owned(),
            ..Default::default()
        };
        let mut service = self.0.client().clone();
        service.signal_workflow_execution(request.into_request()).await.expect("it is taken");
    }

    /// Whether a workflow has ended.
    pub async fn has_ended(&self, id: &str) -> bool {
        let status = self.describe(id).await.workflow_execution_info.unwrap_or_default().status();
        status != WorkflowExecutionStatus::Running
    }

    /// The events of a workflow so far.
    pub async fn history(&self, id: &str) -> Vec<HistoryEvent> {
        self.0.workflow_history(id).await.expect("a history")
    }

    /// What `temporal workflow describe` shows.
    pub async fn describe(&self, id: &str) -> DescribeWorkflowExecutionResponse {
        let request = DescribeWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            execution: Some(execution(id)),
        };
        let mut service = self.0.client().clone();
        let response = service.describe_workflow_execution(request.into_request()).await;
        response.expect("a description").into_inner()
    }

    /// Waits until the history of a workflow has an event of this type.
    pub async fn wait_for(&self, id: &str, kind: EventType) -> HistoryEvent {
        let found = async {
            loop {
                let events = self.history(id).await;
                if let Some(event) = events.into_iter().find(|event| event.event_type() == kind) {
                    return event;
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        within(format!("{kind:?} in the history of {id}"), found).await
    }

    /// How many attempts the server has counted of a workflow's first pending activity.
    pub async fn pending_attempt(&self, id: &str) -> Option<i32> {
        self.describe(id).await.pending_activities.first().map(|activity| activity.attempt)
    }
}

/// How many events of this type there are.
pub fn count(events: &[HistoryEvent], kind: EventType) -> usize {
    events.iter().filter(|event| event.event_type() == kind).count()
}

/// How many tasks of a history were lost to a timeout. Of an activity whose next attempt began, the
/// history has no timeout event: it is the last failure that the next attempt was told of.
pub fn timeouts(events: &[HistoryEvent]) -> usize {
    let is_lost = |event: &&HistoryEvent| match event.attributes.as_ref() {
        Some(Attributes::WorkflowTaskTimedOutEventAttributes(_))
        | Some(Attributes::ActivityTaskTimedOutEventAttributes(_)) => true,
        Some(Attributes::ActivityTaskStartedEventAttributes(it)) => {
            let failure = it.last_failure.as_ref().and_then(|it| it.failure_info.as_ref());
            matches!(failure, Some(FailureInfo::TimeoutFailureInfo(_)))
        }
        _ => false,
    };
    events.iter().filter(is_lost).count()
}

/// The identities in a history's started events: workers, in order, each once in a row.
pub fn workers(events: &[HistoryEvent]) -> Vec<String> {
    let mut workers: Vec<String> = events
        .iter()
        .filter_map(|event| match event.attributes.as_ref()? {
            Attributes::WorkflowTaskStartedEventAttributes(it) => Some(it.identity.clone()),
            Attributes::ActivityTaskStartedEventAttributes(it) => Some(it.identity.clone()),
            _ => None,
        })
        .collect();
    workers.dedup();
    workers
}

fn execution(id: &str) -> WorkflowExecution {
    WorkflowExecution { workflow_id: id.to_owned(), run_id: String::new() }
}

fn json_payload(value: &impl Serialize) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: serde_json::to_vec(value).expect("a JSON value"),
        ..Default::default()
    }
}
