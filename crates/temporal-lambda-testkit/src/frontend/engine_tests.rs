//! The history engine without a worker: what a server does in the moments that are hard to hit.

use super::{
    ActivityStatus, FrontendError, MockFrontend, WorkflowStart, WorkflowStatus,
    dispatch::{Answer, Call},
};
use http::HeaderMap;
use prost::Message;
use std::time::Duration;
use temporalio_common::protos::temporal::api::{
    command::v1::{self as orders, Command, command::Attributes as Order},
    common::v1::{ActivityType, WorkflowType},
    enums::v1::{CommandType, EventType, TaskQueueType},
    failure::v1::{ApplicationFailureInfo, Failure, failure::FailureInfo},
    taskqueue::v1::TaskQueue,
    workflowservice::v1 as api,
};
use tokio::time::Instant;
use tonic::{Code, Status};

const SHORT: Duration = Duration::from_millis(1);

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
        let proto = request.encode_to_vec().into();
        let call = Call::over_the_wire("test".to_owned(), rpc, HeaderMap::new(), proto);
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
                    command_type: CommandType::Unspecified.into(),
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

    async fn fail_activity(&self, token: &[u8], non_retryable: bool) {
        let info = ApplicationFailureInfo { non_retryable, ..Default::default() };
        let request = api::RespondActivityTaskFailedRequest {
            namespace: "default".to_owned(),
            task_token: token.to_vec(),
            failure: Some(Failure {
                message: "broken".to_owned(),
                failure_info: Some(FailureInfo::ApplicationFailureInfo(info)),
                ..Default::default()
            }),
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

#[tokio::test(start_paused = true)]
async fn a_workflow_may_not_close_over_news() {
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    wire.0.signal_workflow("w", "wake", Vec::new()).expect("started");
    let error = wire.complete(&task.task_token, vec![done()]).await.expect_err("news");
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "UnhandledCommand"));

    let task = wire.workflow_task().await;
    assert_eq!((task.attempt, task.previous_started_event_id), (1, 0));
    wire.complete(&task.task_token, vec![done()]).await.expect("nothing new");
    assert_eq!(wire.0.workflow_status("w").expect("known"), WorkflowStatus::Completed(vec![]));
    let expected = [
        EventType::WorkflowTaskFailed,
        EventType::WorkflowExecutionSignaled,
        EventType::WorkflowTaskScheduled,
        EventType::WorkflowTaskStarted,
        EventType::WorkflowTaskCompleted,
        EventType::WorkflowExecutionCompleted,
    ];
    assert_eq!(wire.events()[3..], expected);
}

#[tokio::test(start_paused = true)]
async fn what_arrives_during_a_task_comes_after_it_and_makes_another() {
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    wire.0.cancel_workflow("w").expect("started");
    wire.complete(&task.task_token, vec![]).await.expect("no close");
    let task = wire.workflow_task().await;
    assert_eq!(task.previous_started_event_id, 3);
    assert_eq!(
        wire.events()[3..5],
        [EventType::WorkflowTaskCompleted, EventType::WorkflowExecutionCancelRequested]
    );
    let canceled = Order::CancelWorkflowExecutionCommandAttributes(Default::default());
    wire.complete(&task.task_token, vec![canceled]).await.expect("closes");
    assert_eq!(wire.0.workflow_status("w").expect("known"), WorkflowStatus::Canceled);
    // Each token is good for one answer.
    let again = wire.complete(&task.task_token, vec![]).await.expect_err("answered");
    assert_eq!(again.code(), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn an_activity_is_retried_until_its_failure_forbids_it() {
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    wire.complete(&task.task_token, vec![activity()]).await.expect("schedules");
    let begin = Instant::now();
    for attempt in 1..4 {
        let task = wire.activity_task().await;
        assert_eq!(task.attempt, attempt);
        wire.fail_activity(&task.task_token, attempt == 3).await;
    }
    assert_eq!(begin.elapsed().as_secs(), 1 + 2);
    assert_eq!(wire.0.activity_attempts("w/1").expect("known"), 3);
    wire.workflow_task().await;
    assert_eq!(
        wire.events()[4..7],
        [
            EventType::ActivityTaskScheduled,
            EventType::ActivityTaskStarted,
            EventType::ActivityTaskFailed
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_activity_that_nobody_has_is_canceled_at_once() {
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    wire.complete(&task.task_token, vec![activity()]).await.expect("schedules");
    wire.0.signal_workflow("w", "wake", Vec::new()).expect("started");
    let task = wire.workflow_task().await;
    let cancel = Order::RequestCancelActivityTaskCommandAttributes(
        orders::RequestCancelActivityTaskCommandAttributes { scheduled_event_id: 5 },
    );
    wire.complete(&task.task_token, vec![cancel]).await.expect("cancels");
    assert_eq!(wire.0.activity_status("w/1").expect("known"), ActivityStatus::Canceled);
    wire.workflow_task().await;
    assert_eq!(
        wire.events()[9..11],
        [EventType::ActivityTaskCancelRequested, EventType::ActivityTaskCanceled]
    );
}

#[tokio::test(start_paused = true)]
async fn a_closed_workflow_leaves_nothing_behind() {
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    let timer = Order::StartTimerCommandAttributes(orders::StartTimerCommandAttributes {
        timer_id: "1".to_owned(),
        start_to_fire_timeout: Duration::from_secs(5).try_into().ok(),
    });
    wire.complete(&task.task_token, vec![activity(), timer]).await.expect("schedules");
    let held = wire.activity_task().await;
    wire.0.signal_workflow("w", "wake", Vec::new()).expect("started");
    let task = wire.workflow_task().await;
    wire.complete(&task.task_token, vec![done()]).await.expect("closes");

    assert_eq!(wire.0.activity_status("w/1").expect("known"), ActivityStatus::Abandoned);
    let beat = api::RecordActivityTaskHeartbeatRequest {
        namespace: "default".to_owned(),
        task_token: held.task_token,
        ..Default::default()
    };
    let beat = wire
        .call::<api::RecordActivityTaskHeartbeatResponse>("RecordActivityTaskHeartbeat", beat)
        .await;
    assert_eq!(beat.expect_err("abandoned").code(), Code::NotFound);
    let events = wire.events();
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(wire.events(), events, "the timer is gone");
}

#[tokio::test(start_paused = true)]
async fn a_workflow_continues_as_another_run() {
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    let attributes = orders::ContinueAsNewWorkflowExecutionCommandAttributes {
        workflow_type: Some(WorkflowType { name: "Next".to_owned() }),
        ..Default::default()
    };
    let order = Order::ContinueAsNewWorkflowExecutionCommandAttributes(attributes);
    wire.complete(&task.task_token, vec![order]).await.expect("continues");
    assert_eq!(wire.0.workflow_status("w").expect("known"), WorkflowStatus::Running);
    let next = wire.workflow_task().await;
    assert_eq!(next.workflow_type.unwrap_or_default().name, "Next");
    assert_ne!(next.workflow_execution, task.workflow_execution);
    assert_eq!(next.previous_started_event_id, 0);
}

#[tokio::test(start_paused = true)]
async fn what_it_cannot_do_is_on_record() {
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    let child = Order::StartChildWorkflowExecutionCommandAttributes(Default::default());
    wire.complete(&task.task_token, vec![child]).await.expect("accepted");
    assert_eq!(wire.0.unsupported_commands().len(), 1);
    let error = wire.call::<()>("CountWorkflowExecutions", ()).await.expect_err("unknown");
    assert_eq!(error.code(), Code::Unimplemented);
}

#[tokio::test(start_paused = true)]
async fn polls_end_with_their_worker_or_their_time() {
    let wire = Wire(MockFrontend::new());
    let poll = |key: &str| {
        let request = api::PollActivityTaskQueueRequest {
            namespace: "default".to_owned(),
            task_queue: Some(queue()),
            worker_instance_key: key.to_owned(),
            ..Default::default()
        };
        wire.call::<api::PollActivityTaskQueueResponse>("PollActivityTaskQueue", request)
    };
    let goodbye = async {
        wire.0.wait_until(|frontend| frontend.open_polls().len() == 2).await?;
        let request = api::ShutdownWorkerRequest {
            namespace: "default".to_owned(),
            worker_instance_key: "one".to_owned(),
            task_queue_types: vec![TaskQueueType::Activity.into()],
            ..Default::default()
        };
        let said = wire.call::<api::ShutdownWorkerResponse>("ShutdownWorker", request).await;
        said.expect("accepted");
        wire.0.wait_until(|frontend| frontend.open_polls().len() == 1).await
    };
    tokio::select! {
        _ = poll("two") => panic!("that worker is still there"),
        (one, said) = async { tokio::join!(poll("one"), goodbye) } => {
            assert!(one.expect("answered").task_token.is_empty());
            said.expect("in time");
        }
    }
    assert!(wire.0.open_polls().is_empty(), "a dropped call is no open poll");

    wire.0.long_poll_timeout(Duration::from_secs(60));
    let begin = Instant::now();
    assert!(poll("two").await.expect("answered").task_token.is_empty());
    assert_eq!(begin.elapsed().as_secs(), 60);
    let error = wire.0.wait_until_within(SHORT, |_| false).await.expect_err("never");
    assert!(matches!(error, FrontendError::TimedOut { .. }));
}
