//! The mock beside a real server: the same calls, the same answers.

use std::time::Duration;

use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::frontend::MockFrontend;
use temporal_lambda_testkit::server::DevServer;
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::command::v1::{
    Command, ScheduleActivityTaskCommandAttributes, command::Attributes as Order,
};
use temporalio_common::protos::temporal::api::common::v1::{
    ActivityType, Payload, Payloads, WorkflowType,
};
use temporalio_common::protos::temporal::api::enums::v1::{
    CommandType, TaskQueueKind, TaskQueueType,
};
use temporalio_common::protos::temporal::api::errordetails::v1::WorkflowExecutionAlreadyStartedFailure;
use temporalio_common::protos::temporal::api::failure::v1::{
    ApplicationFailureInfo, Failure, failure::FailureInfo,
};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1 as api;
use temporalio_common::protos::utilities::decode_status_detail;
use tokio::time::Instant;

use crate::{TestResult, raw::Raw};

const LONG: Option<&str> = Some("30S");

/// Runs `facts` on the mock over loopback and on a dev server; with `ends_polls`, on those that end
/// polls at `ShutdownWorker`.
async fn on_both(ends_polls: bool, facts: impl AsyncFn(&str, Raw)) -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let mut server = DevServer::builder();
    if ends_polls {
        frontend.end_polls_at_shutdown();
        server = server.dynamic_config("frontend.enableCancelWorkerPollsOnShutdown", true);
    }
    let served = frontend.serve().await?;
    facts("mock", Raw::connect(&served.address().to_string()).await).await;
    let server = server.start().await?;
    facts("server", Raw::connect(&server.address()).await).await;
    server.stop().await;
    Ok(())
}

fn namespace() -> String {
    "default".to_owned()
}

fn queue() -> Option<TaskQueue> {
    Some(TaskQueue { name: "q".to_owned(), ..Default::default() })
}

async fn poll_workflow(
    raw: &Raw,
    timeout: Option<&str>,
    worker: &str,
) -> Result<api::PollWorkflowTaskQueueResponse, Status> {
    let request = api::PollWorkflowTaskQueueRequest {
        namespace: namespace(),
        task_queue: queue(),
        worker_instance_key: worker.to_owned(),
        ..Default::default()
    };
    raw.call("PollWorkflowTaskQueue", timeout, request).await
}

async fn poll_activity(
    raw: &Raw,
    timeout: Option<&str>,
) -> Result<api::PollActivityTaskQueueResponse, Status> {
    let request = api::PollActivityTaskQueueRequest {
        namespace: namespace(),
        task_queue: queue(),
        ..Default::default()
    };
    raw.call("PollActivityTaskQueue", timeout, request).await
}

async fn start(raw: &Raw) -> Result<api::StartWorkflowExecutionResponse, Status> {
    let request = api::StartWorkflowExecutionRequest {
        namespace: namespace(),
        workflow_id: "w".to_owned(),
        workflow_type: Some(WorkflowType { name: "W".to_owned() }),
        task_queue: queue(),
        identity: "test".to_owned(),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    };
    raw.call("StartWorkflowExecution", LONG, request).await
}

/// A workflow's activity, in the hands of this client.
async fn held_activity(raw: &Raw) -> api::PollActivityTaskQueueResponse {
    start(raw).await.expect("starts");
    let task = poll_workflow(raw, LONG, "").await.expect("a task");
    let schedule = ScheduleActivityTaskCommandAttributes {
        activity_id: "1".to_owned(),
        activity_type: Some(ActivityType { name: "A".to_owned() }),
        task_queue: queue(),
        start_to_close_timeout: Duration::from_secs(30).try_into().ok(),
        heartbeat_timeout: Duration::from_secs(20).try_into().ok(),
        ..Default::default()
    };
    let command = Command {
        command_type: CommandType::ScheduleActivityTask.into(),
        attributes: Some(Order::ScheduleActivityTaskCommandAttributes(schedule)),
        ..Default::default()
    };
    let request = api::RespondWorkflowTaskCompletedRequest {
        namespace: namespace(),
        task_token: task.task_token,
        commands: vec![command],
        ..Default::default()
    };
    let done: Result<api::RespondWorkflowTaskCompletedResponse, _> =
        raw.call("RespondWorkflowTaskCompleted", LONG, request).await;
    done.expect("schedules");
    poll_activity(raw, LONG).await.expect("a task")
}

fn details(value: &str) -> Option<Payloads> {
    let payload = Payload { data: value.as_bytes().to_vec(), ..Default::default() };
    Some(Payloads { payloads: vec![payload] })
}

#[tokio::test]
async fn polls_end_and_are_refused_as_on_a_server() -> TestResult {
    on_both(false, async |side, raw| {
        for timeout in ["1S", "2S"] {
            let workflow = poll_workflow(&raw, Some(timeout), "").await.expect_err("short");
            let activity = poll_activity(&raw, Some(timeout)).await.expect_err("short");
            for refused in [workflow, activity] {
                assert_eq!(refused.code(), Code::FailedPrecondition, "{side} {timeout}");
                assert_eq!(refused.message(), "Context timeout is too short.", "{side} {timeout}");
            }
        }
        let refused = poll_workflow(&raw, None, "").await.expect_err("no deadline");
        assert_eq!(refused.code(), Code::InvalidArgument, "{side}");
        assert_eq!(refused.message(), "Context timeout is not set.", "{side}");

        let began = Instant::now();
        let empty = poll_workflow(&raw, Some("4S"), "").await.expect("a server answers");
        assert!(empty.task_token.is_empty(), "{side}");
        assert!(began.elapsed().as_secs() >= 3, "{side}: {:?}", began.elapsed());
    })
    .await
}

/// Whether a poll has ended as it should. A server that hears just as the poll begins that it is to end it
/// says `Cancelled`.
fn is_ended<T>(answer: &Result<T, Status>) -> bool {
    answer.as_ref().map_or_else(|status| status.code() == Code::Cancelled, |_| true)
}

/// Whether a namespace says that polls end at `ShutdownWorker`, and whether they do.
async fn ends_polls(raw: &Raw) -> (bool, bool) {
    let request = api::DescribeNamespaceRequest { namespace: namespace(), ..Default::default() };
    let described: api::DescribeNamespaceResponse =
        raw.call("DescribeNamespace", LONG, request).await.expect("described");
    let says = described.namespace_info.and_then(|info| info.capabilities).expect("some");

    let began = Instant::now();
    let poll = async {
        let answer = poll_workflow(raw, Some("10S"), "me").await;
        assert!(is_ended(&answer), "{answer:?}");
        // Nine seconds, if nothing ends it.
        began.elapsed().as_secs() < 9
    };
    let shut_down = async {
        // So that the poll is there first; one that comes later ends at once.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let request = api::ShutdownWorkerRequest {
            namespace: namespace(),
            worker_instance_key: "me".to_owned(),
            task_queue: "q".to_owned(),
            task_queue_types: vec![TaskQueueType::Workflow.into()],
            ..Default::default()
        };
        let said: Result<api::ShutdownWorkerResponse, _> =
            raw.call("ShutdownWorker", LONG, request).await;
        said.expect("accepted");
    };
    let (ended, ()) = tokio::join!(poll, shut_down);
    (says.worker_poll_complete_on_shutdown, ended)
}

#[tokio::test]
async fn shutdown_worker_leaves_polls_alone_as_on_a_stock_server() -> TestResult {
    on_both(false, async |side, raw| {
        assert_eq!(ends_polls(&raw).await, (false, false), "{side}");
    })
    .await
}

#[tokio::test]
async fn shutdown_worker_ends_polls_as_on_a_server_that_was_told_to() -> TestResult {
    on_both(true, async |side, raw| {
        assert_eq!(ends_polls(&raw).await, (true, true), "{side}");
    })
    .await
}

/// What a worker relies on that leaves: the polls on its sticky queue end, whoever says so, and those on
/// the normal one go on.
#[tokio::test]
async fn shutdown_worker_ends_polls_on_the_sticky_queue_that_it_names_and_no_others() -> TestResult
{
    for ends_polls in [false, true] {
        on_both(ends_polls, async |side, raw| {
            let poll = async |queue: TaskQueue| {
                let began = Instant::now();
                let request = api::PollWorkflowTaskQueueRequest {
                    namespace: namespace(),
                    worker_instance_key: "me".to_owned(),
                    task_queue: Some(queue),
                    ..Default::default()
                };
                let answer: Result<api::PollWorkflowTaskQueueResponse, _> =
                    raw.call("PollWorkflowTaskQueue", Some("10S"), request).await;
                assert!(is_ended(&answer), "{side}: {answer:?}");
                // Nine seconds, if nothing ends it.
                began.elapsed().as_secs() < 8
            };
            let sticky = TaskQueue {
                name: "mine".to_owned(),
                kind: TaskQueueKind::Sticky.into(),
                normal_name: "q".to_owned(),
            };
            // Again and again: one that comes before the poll ends nothing.
            let shut_down = async {
                loop {
                    let request = api::ShutdownWorkerRequest {
                        namespace: namespace(),
                        sticky_task_queue: "mine".to_owned(),
                        identity: "me".to_owned(),
                        worker_instance_key: "nobody's".to_owned(),
                        ..Default::default()
                    };
                    let said: Result<api::ShutdownWorkerResponse, _> =
                        raw.call("ShutdownWorker", LONG, request).await;
                    said.expect("accepted");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            };
            let sticky = async {
                tokio::select! {
                    ended = poll(sticky) => ended,
                    () = shut_down => unreachable!("it goes on"),
                }
            };
            let normal = queue().expect("a queue");
            let ended = tokio::join!(sticky, poll(normal));
            assert_eq!(ended, (true, false), "{side}");
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_activity_fares_as_on_a_server() -> TestResult {
    on_both(false, async |side, raw| {
        let task = held_activity(&raw).await;
        let canceled = api::RespondActivityTaskCanceledRequest {
            namespace: namespace(),
            task_token: task.task_token.clone(),
            ..Default::default()
        };
        let canceled: Result<api::RespondActivityTaskCanceledResponse, _> =
            raw.call("RespondActivityTaskCanceled", LONG, canceled).await;
        let refused = canceled.expect_err("nobody asked for it");
        assert_eq!(refused.code(), Code::InvalidArgument, "{side}");
        assert_eq!(
            refused.message(),
            "unable to mark activity as canceled without activity being request canceled first",
            "{side}"
        );

        let heartbeat = api::RecordActivityTaskHeartbeatRequest {
            namespace: namespace(),
            task_token: task.task_token.clone(),
            details: details("1"),
            ..Default::default()
        };
        let heard: Result<api::RecordActivityTaskHeartbeatResponse, _> =
            raw.call("RecordActivityTaskHeartbeat", LONG, heartbeat).await;
        heard.expect("the task is still held");
        let failed = |token: &[u8], last_heartbeat_details| {
            let request = api::RespondActivityTaskFailedRequest {
                namespace: namespace(),
                task_token: token.to_vec(),
                failure: Some(Failure {
                    message: "broken".to_owned(),
                    failure_info: Some(FailureInfo::ApplicationFailureInfo(
                        ApplicationFailureInfo::default(),
                    )),
                    ..Default::default()
                }),
                last_heartbeat_details,
                ..Default::default()
            };
            raw.call::<api::RespondActivityTaskFailedResponse>(
                "RespondActivityTaskFailed",
                LONG,
                request,
            )
        };
        failed(&task.task_token, details("7")).await.expect("the task is still held");
        let second = poll_activity(&raw, LONG).await.expect("a task");
        assert_eq!((second.attempt, second.heartbeat_details), (2, details("7")), "{side}");
        failed(&second.task_token, None).await.expect("the task is held");
        let third = poll_activity(&raw, LONG).await.expect("a task");
        assert_eq!((third.attempt, third.heartbeat_details), (3, details("7")), "{side}");
    })
    .await
}

#[tokio::test]
async fn a_second_start_is_refused_as_on_a_server() -> TestResult {
    on_both(false, async |side, raw| {
        let first = start(&raw).await.expect("starts");
        let refused = start(&raw).await.expect_err("it runs");
        assert_eq!(refused.code(), Code::AlreadyExists, "{side}");
        let expected = format!(
            "Workflow execution is already running. WorkflowId: w, RunId: {}.",
            first.run_id
        );
        assert_eq!(refused.message(), expected, "{side}");
        let detail: WorkflowExecutionAlreadyStartedFailure =
            decode_status_detail(refused.details()).expect("a detail");
        assert_eq!(detail.run_id, first.run_id, "{side}");
    })
    .await
}
