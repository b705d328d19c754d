//! Single calls to the frontend, without a worker: for the moments that are hard to hit with one.

use http::{HeaderMap, HeaderValue};
use prost::Message;
use temporal_lambda_testkit::frontend::{MockFrontend, WorkflowStart};
use temporalio_client::callback_based::GrpcRequest;
use temporalio_client::tonic::Status;
use temporalio_common::protos::temporal::api::{
    command::v1::{self as orders, Command, command::Attributes},
    common::v1::{ActivityType, Payload, Payloads},
    enums::v1::{CommandType, EventType},
    failure::v1::{ApplicationFailureInfo, Failure, failure::FailureInfo},
    taskqueue::v1::TaskQueue,
    workflowservice::v1 as api,
};

/// What the SDK asks its polls to last.
pub(crate) const LONG: &str = "70S";

pub(crate) struct Wire(pub(crate) MockFrontend);

impl Wire {
    pub(crate) fn with_workflow() -> Self {
        let frontend = MockFrontend::new();
        frontend.start_workflow(WorkflowStart::new("q", "W", "w"));
        Self(frontend)
    }

    pub(crate) async fn call<R: Message + Default>(
        &self,
        rpc: &str,
        request: impl Message,
    ) -> Result<R, Status> {
        self.call_within(Some(LONG), rpc, request).await
    }

    /// A call with this `grpc-timeout`.
    pub(crate) async fn call_within<R: Message + Default>(
        &self,
        timeout: Option<&'static str>,
        rpc: &str,
        request: impl Message,
    ) -> Result<R, Status> {
        let proto = request.encode_to_vec().into();
        let mut headers = HeaderMap::new();
        headers.extend(timeout.map(|it| {
            let name = http::HeaderName::from_static("grpc-timeout");
            (name, HeaderValue::from_static(it))
        }));
        let (service, rpc) = ("test".to_owned(), rpc.to_owned());
        let answer = (self.0.service().callback)(GrpcRequest { service, rpc, headers, proto });
        Ok(R::decode(&answer.await?.proto[..]).expect("a message of that type"))
    }

    /// A call with these bytes: the answer's.
    pub(crate) async fn raw(&self, rpc: &str, proto: &'static [u8]) -> Result<Vec<u8>, Status> {
        let (service, rpc, headers) = ("test".to_owned(), rpc.to_owned(), HeaderMap::new());
        let proto = proto.into();
        let answer = (self.0.service().callback)(GrpcRequest { service, rpc, headers, proto });
        Ok(answer.await?.proto)
    }

    pub(crate) async fn workflow_task(&self) -> api::PollWorkflowTaskQueueResponse {
        let request = api::PollWorkflowTaskQueueRequest {
            namespace: "default".to_owned(),
            task_queue: Some(queue()),
            ..Default::default()
        };
        let task: api::PollWorkflowTaskQueueResponse =
            self.call("PollWorkflowTaskQueue", request).await.expect("polls");
        assert!(!task.task_token.is_empty(), "there is a task");
        task
    }

    pub(crate) async fn activity_task(&self) -> api::PollActivityTaskQueueResponse {
        let task = self.poll_activity().await;
        assert!(!task.task_token.is_empty(), "there is a task");
        task
    }

    pub(crate) async fn no_activity_task(&self) -> bool {
        self.poll_activity().await.task_token.is_empty()
    }

    async fn poll_activity(&self) -> api::PollActivityTaskQueueResponse {
        let request = api::PollActivityTaskQueueRequest {
            namespace: "default".to_owned(),
            task_queue: Some(queue()),
            ..Default::default()
        };
        self.call("PollActivityTaskQueue", request).await.expect("polls")
    }

    pub(crate) async fn complete(
        &self,
        token: &[u8],
        commands: Vec<Attributes>,
    ) -> Result<(), Status> {
        let request = api::RespondWorkflowTaskCompletedRequest {
            namespace: "default".to_owned(),
            task_token: token.to_vec(),
            commands: commands
                .into_iter()
                .map(|attributes| Command {
                    command_type: command_type(&attributes).into(),
                    attributes: Some(attributes),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        self.call::<api::RespondWorkflowTaskCompletedResponse>(
            "RespondWorkflowTaskCompleted",
            request,
        )
        .await
        .map(|_| ())
    }

    /// Fails an activity, with the details of a heartbeat that was not sent any more.
    pub(crate) async fn fail_activity(
        &self,
        token: &[u8],
        non_retryable: bool,
        last_heartbeat_details: Option<Payloads>,
    ) {
        let info = ApplicationFailureInfo { non_retryable, ..Default::default() };
        let request = api::RespondActivityTaskFailedRequest {
            namespace: "default".to_owned(),
            task_token: token.to_vec(),
            failure: Some(Failure {
                message: "broken".to_owned(),
                failure_info: Some(FailureInfo::ApplicationFailureInfo(info)),
                ..Default::default()
            }),
            last_heartbeat_details,
            ..Default::default()
        };
        self.call::<api::RespondActivityTaskFailedResponse>("RespondActivityTaskFailed", request)
            .await
            .expect("the task is known");
    }

    pub(crate) fn events(&self) -> Vec<EventType> {
        let history = self.0.workflow_history("w").expect("started");
        for (index, event) in history.iter().enumerate() {
            assert_eq!(event.event_id, index as i64 + 1, "ids have no gaps");
        }
        history.iter().map(|event| event.event_type()).collect()
    }
}

pub(crate) fn queue() -> TaskQueue {
    TaskQueue { name: "q".to_owned(), ..Default::default() }
}

pub(crate) fn done() -> Attributes {
    Attributes::CompleteWorkflowExecutionCommandAttributes(Default::default())
}

pub(crate) fn activity() -> Attributes {
    Attributes::ScheduleActivityTaskCommandAttributes(
        orders::ScheduleActivityTaskCommandAttributes {
            activity_id: "1".to_owned(),
            activity_type: Some(ActivityType { name: "A".to_owned() }),
            task_queue: Some(queue()),
            ..Default::default()
        },
    )
}

/// Payloads with this one value.
pub(crate) fn details(value: u32) -> Payloads {
    let payload = Payload { data: value.to_string().into_bytes(), ..Default::default() };
    Payloads { payloads: vec![payload] }
}

/// The type of a command, as far as the tests use it.
fn command_type(attributes: &Attributes) -> CommandType {
    match attributes {
        Attributes::ScheduleActivityTaskCommandAttributes(_) => CommandType::ScheduleActivityTask,
        Attributes::StartTimerCommandAttributes(_) => CommandType::StartTimer,
        Attributes::StartChildWorkflowExecutionCommandAttributes(_) => {
            CommandType::StartChildWorkflowExecution
        }
        Attributes::CompleteWorkflowExecutionCommandAttributes(_) => {
            CommandType::CompleteWorkflowExecution
        }
        other => panic!("{other:?} is not used here"),
    }
}
