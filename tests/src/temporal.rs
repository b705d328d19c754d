//! Temporal from a test's side, over plain gRPC.

use std::time::{Duration, Instant};

use prost::Message as _;
use serde::Serialize;
use serde_json::Value;
use temporal_lambda_test_timing::{test_timeout, within};
use temporalio_client::{Connection, ConnectionOptions, Url};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, Payloads, WorkflowExecution, WorkflowType},
    deployment::v1::WorkerDeploymentOptions,
    enums::v1::{EventType, HistoryEventFilterType, WorkerVersioningMode},
    failure::v1::failure::FailureInfo,
    history::v1::{HistoryEvent, history_event::Attributes},
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{
        DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
        GetWorkflowExecutionHistoryRequest, PollActivityTaskQueueRequest,
        PollWorkflowTaskQueueRequest, SetWorkerDeploymentCurrentVersionRequest,
        SignalWorkflowExecutionRequest, StartWorkflowExecutionRequest,
    },
};
use tonic::IntoRequest as _;

/// The namespace of all tests.
const NAMESPACE: &str = "default";
const RETRY: Duration = Duration::from_millis(50);

/// A connection to a server. It lives as long as the runtime that it was made on.
#[derive(Clone)]
pub struct Temporal {
    connection: Connection,
}

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
        let target = Url::parse(&format!("http://{address}")).expect("an address");
        let options =
            ConnectionOptions::new(target).identity("test".to_owned()).dns_load_balancing(None);
        let connection = Connection::connect(options.build()).await.expect("the server answers");
        Self { connection }
    }

    /// Makes a version current, so that its workers receive tasks. The version comes into being
    /// by two polls, as a worker would make them; they are over when this returns.
    pub async fn make_current(&self, version: Version<'_>) {
        let polls = self.poll_both(version);
        let set = async {
            let began = Instant::now();
            loop {
                let request = SetWorkerDeploymentCurrentVersionRequest {
                    namespace: NAMESPACE.to_owned(),
                    deployment_name: version.deployment.to_owned(),
                    build_id: version.build_id.to_owned(),
                    ..Default::default()
                };
                let mut service = self.connection.workflow_service();
                match service.set_worker_deployment_current_version(request.into_request()).await {
                    Ok(_) => return,
                    Err(error) => assert!(began.elapsed() < test_timeout(), "{version:?}: {error}"),
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            () = polls => unreachable!("polls go on"),
            () = set => {}
        }
    }

    async fn poll_both(&self, version: Version<'_>) {
        let task_queue =
            || Some(TaskQueue { name: version.task_queue.into(), ..Default::default() });
        let deployment_options = Some(WorkerDeploymentOptions {
            deployment_name: version.deployment.to_owned(),
            build_id: version.build_id.to_owned(),
            worker_versioning_mode: WorkerVersioningMode::Versioned.into(),
        });
        let workflows = PollWorkflowTaskQueueRequest {
            namespace: NAMESPACE.to_owned(),
            task_queue: task_queue(),
            identity: "test".to_owned(),
            deployment_options: deployment_options.clone(),
            ..Default::default()
        };
        let activities = PollActivityTaskQueueRequest {
            namespace: NAMESPACE.to_owned(),
            task_queue: task_queue(),
            identity: "test".to_owned(),
            deployment_options,
            ..Default::default()
        };
        let (mut one, mut two) =
            (self.connection.workflow_service(), self.connection.workflow_service());
        loop {
            let one = one.poll_workflow_task_queue(workflows.clone().into_request());
            let two = two.poll_activity_task_queue(activities.clone().into_request());
            if let (Err(_), Err(_)) = tokio::join!(one, two) {
                // A server that refuses them because there are too many must not be asked at once.
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Starts a workflow with one argument.
    pub async fn start(&self, task_queue: &str, id: &str, kind: &str, input: impl Serialize) {
        let request = StartWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_id: id.to_owned(),
            workflow_type: Some(WorkflowType { name: kind.to_owned() }),
            task_queue: Some(TaskQueue { name: task_queue.to_owned(), ..Default::default() }),
            input: Some(Payloads { payloads: vec![json_payload(&input)] }),
            identity: "test".to_owned(),
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        };
        let mut service = self.connection.workflow_service();
        service.start_workflow_execution(request.into_request()).await.expect("it starts");
    }

    /// Waits for the end of a workflow: its result.
    ///
    /// # Panics
    /// When it does not complete, or not within [`test_timeout`].
    pub async fn result(&self, id: &str) -> Value {
        let event = within(format!("the end of {id}"), self.closed(id)).await;
        match event.attributes {
            Some(Attributes::WorkflowExecutionCompletedEventAttributes(done)) => {
                done.result.as_ref().map_or(Value::Null, from_payloads)
            }
            other => panic!("{id} ended with {other:?}"),
        }
    }

    /// The close event of a workflow, once there is one.
    async fn closed(&self, id: &str) -> HistoryEvent {
        loop {
            let mut request = history_request(id);
            request.wait_new_event = true;
            request.history_event_filter_type = HistoryEventFilterType::CloseEvent.into();
            let mut service = self.connection.workflow_service();
            let response = service.get_workflow_execution_history(request.into_request()).await;
            let events = response.expect("a history").into_inner().history.unwrap_or_default();
            // Without an end, the last event so far is given.
            if let Some(event) = events.events.into_iter().last()
                && is_end(event.event_type())
            {
                return event;
            }
        }
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
        let mut service = self.connection.workflow_service();
        service.signal_workflow_execution(request.into_request()).await.expect("it is taken");
    }

    /// Whether a workflow has ended.
    pub async fn has_ended(&self, id: &str) -> bool {
        self.history(id).await.last().is_some_and(|event| is_end(event.event_type()))
    }

    /// The events of a workflow so far.
    pub async fn history(&self, id: &str) -> Vec<HistoryEvent> {
        let mut service = self.connection.workflow_service();
        let request = history_request(id).into_request();
        let response = service.get_workflow_execution_history(request).await;
        response.expect("a history").into_inner().history.unwrap_or_default().events
    }

    /// What `temporal workflow describe` shows.
    pub async fn describe(&self, id: &str) -> DescribeWorkflowExecutionResponse {
        let request = DescribeWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            execution: Some(execution(id)),
        };
        let mut service = self.connection.workflow_service();
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

fn is_end(kind: EventType) -> bool {
    matches!(
        kind,
        EventType::WorkflowExecutionCompleted
            | EventType::WorkflowExecutionFailed
            | EventType::WorkflowExecutionTimedOut
            | EventType::WorkflowExecutionTerminated
            | EventType::WorkflowExecutionCanceled
    )
}

fn history_request(id: &str) -> GetWorkflowExecutionHistoryRequest {
    GetWorkflowExecutionHistoryRequest {
        namespace: NAMESPACE.to_owned(),
        execution: Some(execution(id)),
        ..Default::default()
    }
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

fn from_payloads(payloads: &Payloads) -> Value {
    let first = payloads.payloads.first();
    first.map_or(Value::Null, |payload| {
        serde_json::from_slice(&payload.data)
            .unwrap_or_else(|_| Value::String(format!("{:?}", payload.encode_to_vec())))
    })
}
