//! The frontend without a worker: what a server does in the moments that are hard to hit.

mod activities;
mod engine;
mod polls;

use super::{
    MockFrontend, WorkflowStart,
    dispatch::{Answer, Call},
};
use http::{HeaderMap, HeaderValue};
use prost::Message;
use temporalio_common::protos::temporal::api::{
    command::v1::{self as orders, Command, command::Attributes as Order},
    common::v1::{ActivityType, Payload, Payloads},
    enums::v1::{CommandType, EventType},
    failure::v1::{ApplicationFailureInfo, Failure, failure::FailureInfo},
    taskqueue::v1::TaskQueue,
    workflowservice::v1 as api,
};
use tonic::Status;

/// What the SDK asks its polls to last.
const LONG: &str = "70S";

struct Wire(MockFrontend);

impl Wire {
    fn with_workflow() -> Self {
        let frontend = MockFrontend::new();
        frontend.start_workflow(WorkflowStart::new("q", "W", "w"));
        Self(frontend)
    }

    async fn call<R: Message + Default>(
        &self,
        rpc: &str,
        request: impl Message,
    ) -> Result<R, Status> {
        self.call_within(Some(LONG), rpc, request).await
    }

    /// A call with this `grpc-timeout`.
    async fn call_within<R: Message + Default>(
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
        let call = Call::over_the_wire("test".to_owned(), rpc, headers, proto);
        match self.0.handle(call).await? {
            Answer::Message(bytes) => Ok(R::decode(&bytes[..]).expect("a message of that type")),
            Answer::Cut => panic!("nothing cuts here"),
        }
    }

    async fn workflow_task(&self) -> api::PollWorkflowTaskQueueResponse {
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

    async fn activity_task(&self) -> api::PollActivityTaskQueueResponse {
        let request = api::PollActivityTaskQueueRequest {
            namespace: "default".to_owned(),
            task_queue: Some(queue()),
            ..Default::default()
        };
        self.call("PollActivityTaskQueue", request).await.expect("polls")
    }

    async fn complete(&self, token: &[u8], commands: Vec<Order>) -> Result<(), Status> {
        let request = api::RespondWorkflowTaskCompletedRequest {
            namespace: "default".to_owned(),
            task_token: token.to_vec(),
            commands: commands
                .into_iter()
                .map(|order| Command {
                    command_type: command_type(&order).into(),
                    attributes: Some(order),
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
    async fn fail_activity(
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

    fn events(&self) -> Vec<EventType> {
        let history = self.0.workflow_history("w").expect("started");
        for (index, event) in history.iter().enumerate() {
            assert_eq!(event.event_id, index as i64 + 1, "ids have no gaps");
        }
        history.iter().map(|event| event.event_type()).collect()
    }
}

fn queue() -> TaskQueue {
    TaskQueue { name: "q".to_owned(), ..Default::default() }
}

fn done() -> Order {
    Order::CompleteWorkflowExecutionCommandAttributes(Default::default())
}

fn activity() -> Order {
    Order::ScheduleActivityTaskCommandAttributes(orders::ScheduleActivityTaskCommandAttributes {
        activity_id: "1".to_owned(),
        activity_type: Some(ActivityType { name: "A".to_owned() }),
        task_queue: Some(queue()),
        ..Default::default()
    })
}

/// Payloads with this one value.
fn details(value: u32) -> Payloads {
    let payload = Payload { data: value.to_string().into_bytes(), ..Default::default() };
    Payloads { payloads: vec![payload] }
}

/// The type of a command, as far as the frontend looks at it.
fn command_type(order: &Order) -> CommandType {
    match order {
        Order::StartChildWorkflowExecutionCommandAttributes(_) => {
            CommandType::StartChildWorkflowExecution
        }
        _ => CommandType::Unspecified,
    }
}
