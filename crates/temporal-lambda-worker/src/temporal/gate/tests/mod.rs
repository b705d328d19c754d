//! The gate between a scripted server and calls as a worker makes them, with the clock paused.

mod stage;

use std::time::Duration;

use futures_util::FutureExt as _;
use prost::Message as _;
use temporalio_client::callback_based::GrpcRequest;
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::tonic::{Code, IntoRequest as _};
use temporalio_common::protos::temporal::api::cloud::cloudservice::v1::GetUsersRequest;
use temporalio_common::protos::temporal::api::enums::v1::TaskQueueKind;
use temporalio_common::protos::temporal::api::operatorservice::v1::ListClustersRequest;
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PollActivityTaskQueueRequest, PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest, RespondWorkflowTaskCompletedResponse,
    SetCurrentDeploymentRequest, ShutdownWorkerRequest,
};
use tokio::time::{Instant, advance};

use super::polls::SHORTEST_WAIT;
use crate::config::defaults::{
    POLL_DRAIN_TIMEOUT, SHORTEST_IDLE_TIMEOUT_TO_DRAIN_POLLS as SHORT_IDLE,
};
use stage::{Scene, Server, a_moment};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_poll_asks_for_the_time_until_polling_may_end_and_one_second() {
    let cases = [
        (None, None, 70_000),
        (Some(120_000), None, 70_000),
        // Answered 0.2 s before the stop time.
        (Some(20_000), None, 20_800),
        (Some(1_000), None, 2_250),
        // The idle timeout, and 0.3 s for what the poll brings.
        (Some(20_000), Some(5_000), 6_300),
        (None, Some(2_000), 3_300),
    ];
    for (stop, idle, asked) in cases {
        let idle = idle.map(Duration::from_millis);
        let scene = Scene::new(Server::default(), stop, idle).await;
        let _poll = scene.poll(TaskQueueKind::Normal);
        a_moment().await;
        assert_eq!(scene.server.times(), [asked], "{stop:?} {idle:?}");
    }
    // An invocation that is quiet ends when it says.
    let scene = Scene::new(Server::default(), Some(20_000), Some(5 * SECOND)).await;
    scene.next.send_replace(Some(Instant::now() + 2 * SECOND));
    let _poll = scene.poll(TaskQueueKind::Normal);
    a_moment().await;
    // And 0.1 s, so that no other poll begins just before.
    assert_eq!(scene.server.times(), [3_100]);
    // But one that has just got a task is not quiet, whatever is heard of it.
    scene.hand_out("task");
    a_moment().await;
    let _poll = scene.poll(TaskQueueKind::Normal);
    a_moment().await;
    assert_eq!(scene.server.times(), [3_100, 6_300]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_is_as_long_as_it_can_be_where_the_server_ends_it() {
    let server = Server { ends_polls: true, ..Server::default() };
    let scene = Scene::new(server, Some(20_000), Some(5 * SECOND)).await;
    let _poll = scene.poll(TaskQueueKind::Normal);
    a_moment().await;
    assert_eq!(scene.server.times(), [70_000]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_comes_after_the_stop_is_waited_for_and_so_is_its_end() {
    let scene = Scene::new(Server::default(), None, Some(2 * SECOND)).await;
    let poll = scene.poll(TaskQueueKind::Normal);
    a_moment().await;
    let gate = scene.gate.clone();
    let stopping = tokio::spawn(async move { gate.stop(POLL_DRAIN_TIMEOUT).await });
    a_moment().await;
    assert!(!stopping.is_finished(), "a poll is under way");
    scene.hand_out("task");
    assert_eq!(poll.await.unwrap(), "task");
    a_moment().await;
    assert!(!stopping.is_finished(), "a task is handed out");
    let began = Instant::now();
    scene.complete("task").await;
    stopping.await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_task_that_the_answer_to_another_brings_is_waited_for_too() {
    let scene = Scene::new(Server::default(), None, Some(2 * SECOND)).await;
    let next = PollWorkflowTaskQueueResponse { task_token: "next".into(), ..Default::default() };
    let completed =
        RespondWorkflowTaskCompletedResponse { workflow_task: Some(next), ..Default::default() };
    let asked =
        RespondWorkflowTaskCompletedRequest { task_token: "first".into(), ..Default::default() };
    scene.gate.tasks.answered(&asked.encode_to_vec(), Some(&completed.encode_to_vec()));
    assert!(scene.gate.tasks.none().now_or_never().is_none(), "the next is handed out");
    scene.complete("next").await;
    assert!(scene.gate.tasks.none().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn no_poll_begins_after_the_stop_and_it_ends_when_the_core_has_shut_down() {
    let scene = Scene::new(Server::default(), None, Some(2 * SECOND)).await;
    scene.gate.stop(POLL_DRAIN_TIMEOUT).await;
    let poll = scene.poll(TaskQueueKind::Normal);
    a_moment().await;
    assert!(!poll.is_finished(), "else the next would follow at once");
    assert_eq!(scene.server.times(), [0; 0]);
    scene.gate.core_has_shut_down();
    assert_eq!(poll.await.unwrap(), "");
    assert!(scene.running.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_waits_on_the_workers_own_queue_is_fetched_after_the_stop_until_nothing_is_there() {
    let scene = Scene::new(Server::default(), None, Some(2 * SECOND)).await;
    let busy = scene.poll(TaskQueueKind::Normal);
    a_moment().await;
    let gate = scene.gate.clone();
    let stopping = tokio::spawn(async move { gate.stop(POLL_DRAIN_TIMEOUT).await });
    a_moment().await;
    scene.hand_out("task");
    busy.await.unwrap();
    let own = scene.poll(TaskQueueKind::Sticky);
    a_moment().await;
    assert_eq!(scene.server.times().len(), 2, "it begins");
    scene.server.answer_polls.notify_one();
    assert_eq!(own.await.unwrap(), "", "nothing is there");
    let _held_back = scene.poll(TaskQueueKind::Sticky);
    a_moment().await;
    assert_eq!(scene.server.times().len(), 2, "so no more begins");
    scene.complete("task").await;
    stopping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_would_outlast_the_patience_is_dropped_at_once() {
    let scene = Scene::new(Server::default(), None, None).await;
    let poll = scene.poll(TaskQueueKind::Normal);
    a_moment().await;
    let began = Instant::now();
    scene.gate.stop(POLL_DRAIN_TIMEOUT).await;
    assert_eq!(poll.await.unwrap(), "");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_polls_is_told_all_it_needs_for_that() {
    let server = Server { ends_polls: true, ..Server::default() };
    let scene = Scene::new(server, None, None).await;
    let polls = [scene.poll(TaskQueueKind::Normal), scene.poll(TaskQueueKind::Sticky)];
    let activities = PollActivityTaskQueueRequest {
        task_queue: Some(TaskQueue { name: "everybody's".to_owned(), ..Default::default() }),
        namespace: "n".to_owned(),
        worker_instance_key: "key".to_owned(),
        ..Default::default()
    };
    let mut worker = scene.worker.clone();
    tokio::spawn(async move { worker.poll_activity_task_queue(activities.into_request()).await });
    a_moment().await;
    let began = Instant::now();
    scene.gate.stop(POLL_DRAIN_TIMEOUT).await;
    for poll in polls {
        assert_eq!(poll.await.unwrap(), "");
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    let goodbye = scene.server.asked("ShutdownWorker").remove(0);
    let goodbye = ShutdownWorkerRequest::decode(goodbye.proto).unwrap();
    assert_eq!(goodbye.namespace, "n");
    assert_eq!(goodbye.worker_instance_key, "key");
    assert_eq!(
        (goodbye.task_queue, goodbye.sticky_task_queue),
        ("everybody's".into(), "mine".into())
    );
    let mut types = goodbye.task_queue_types;
    types.sort_unstable();
    assert_eq!(types, [1, 2], "workflow and activity");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_promises_to_end_polls_and_does_not_is_not_waited_for_for_ever() {
    let server = Server { ends_polls: true, ..Server::default() };
    let mut scene = Scene::new(server, None, None).await;
    scene.server.ends_polls = false;
    let poll = scene.poll(TaskQueueKind::Normal);
    a_moment().await;
    // It hears nothing, and so says nothing.
    scene.gate.goodbye = super::Goodbye::default();
    let began = Instant::now();
    scene.gate.stop(POLL_DRAIN_TIMEOUT).await;
    assert_eq!(began.elapsed(), POLL_DRAIN_TIMEOUT);
    assert_eq!(poll.await.unwrap(), "");
}

#[tokio::test(start_paused = true)]
async fn closing_ends_every_poll() {
    let scene = Scene::new(Server::default(), None, None).await;
    let polls = [scene.poll(TaskQueueKind::Normal), scene.poll(TaskQueueKind::Sticky)];
    a_moment().await;
    assert_eq!(scene.running.len(), 2);
    scene.gate.close();
    for poll in polls {
        assert_eq!(poll.await.unwrap(), "");
    }
    assert!(scene.running.is_empty());
}

#[tokio::test(start_paused = true)]
async fn before_a_known_stop_time_workflow_polls_end_and_the_last_is_over_by_then() {
    let scene = Scene::new(Server::default(), Some(20_000), None).await;
    let poll = scene.poll(TaskQueueKind::Normal);
    a_moment().await;
    advance(20 * SECOND - super::WINDING_DOWN).await;
    scene.gate.wind_down(super::WINDING_DOWN);
    let held_back = scene.poll(TaskQueueKind::Normal);
    let own = scene.poll(TaskQueueKind::Sticky);
    a_moment().await;
    assert_eq!(scene.server.times(), [20_800, 2_550], "the worker's own queue is polled");
    assert!(!poll.is_finished() && !held_back.is_finished() && !own.is_finished());
    advance(super::CLEARING).await;
    let _later = scene.poll(TaskQueueKind::Sticky);
    a_moment().await;
    assert_eq!(scene.server.times().len(), 2, "for a moment only");
    scene.gate.close();
}

#[tokio::test(start_paused = true)]
async fn a_workflow_does_not_become_sticky_once_nobody_will_poll_for_it() {
    let scene = Scene::new(Server::default(), None, None).await;
    scene.complete("before").await;
    scene.gate.unstick().await;
    scene.complete("after").await;
    let sticky = |call: GrpcRequest| {
        RespondWorkflowTaskCompletedRequest::decode(call.proto).unwrap().sticky_attributes.is_some()
    };
    let asked = scene.server.asked("RespondWorkflowTaskCompleted");
    assert_eq!(asked.into_iter().map(sticky).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_is_described_once_per_connection_and_always_ends_polls() {
    let scene = Scene::new(Server::default(), None, None).await;
    assert!(scene.describe().await);
    assert!(scene.describe().await);
    assert_eq!(scene.server.asked("DescribeNamespace").len(), 1);
    assert!(!scene.gate.polls.server_ends_them(), "it is not the server that does");
}

#[tokio::test(start_paused = true)]
async fn other_calls_pass_with_their_headers_and_errors_come_back() {
    let scene = Scene::new(Server::default(), None, None).await;
    assert_eq!(scene.worker.identity(), "invocation");
    let mut request = ListClustersRequest::default().into_request();
    request.metadata_mut().insert("my-header", "kept".parse().unwrap());
    scene.worker.operator_service().list_clusters(request).await.unwrap();
    let asked = scene.server.asked("ListClusters").remove(0);
    assert_eq!(asked.headers["my-header"], "kept");

    let refused = SetCurrentDeploymentRequest::default().into_request();
    let refused = scene.worker.workflow_service().set_current_deployment(refused).await;
    let status = refused.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "not you"));

    let users = GetUsersRequest::default().into_request();
    let status = scene.worker.cloud_service().get_users(users).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("use a connection of your own"), "{}", status.message());
}

/// The server's numbers, as measured: it refuses 2 s and less, answers 1 s early, and passes a poll
/// on for what is left over 2 s.
#[test]
fn the_times_fit_the_servers() {
    let (refused, early, passed_on) = (2 * SECOND, SECOND, 2 * SECOND);
    assert!(SHORTEST_WAIT + early > refused);
    assert!(SHORTEST_WAIT + early > passed_on);
    assert!(SHORT_IDLE + early >= passed_on + SECOND, "passed on for a second at least");
    assert!(super::CLEARING + SHORTEST_WAIT + super::polls::SPARE == super::WINDING_DOWN);
    assert!(POLL_DRAIN_TIMEOUT > super::WINDING_DOWN);
    assert!(POLL_DRAIN_TIMEOUT >= SHORT_IDLE + Duration::from_millis(300));
}

#[test]
fn the_guide_has_the_numbers() {
    let guide = include_str!("../../../docs/guide.md");
    let window = super::WINDING_DOWN * super::horizon::WORTH_IT;
    for time in [SHORTEST_WAIT, super::WINDING_DOWN, window, SHORT_IDLE] {
        let number = format!("{} s", time.as_secs_f64());
        assert!(guide.contains(&number), "{number}");
    }
}
