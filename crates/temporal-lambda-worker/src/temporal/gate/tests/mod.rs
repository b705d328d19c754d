//! The gate between a scripted server and calls as a worker makes them, with the clock paused.

mod fixture;
mod giving_back;
mod refused;
mod told;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_util::FutureExt as _;
use prost::Message as _;
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::tonic::{Code, IntoRequest as _};
use temporalio_common::protos::temporal::api::enums::v1::TaskQueueKind::{Normal, Sticky};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    RespondWorkflowTaskCompletedRequest, RespondWorkflowTaskFailedRequest, ShutdownWorkerRequest,
};
use tokio::sync::Notify;
use tokio::time::{Instant, advance};

use super::Heard;
use fixture::{Fixture, Server, a_moment};

const SECOND: Duration = Duration::from_secs(1);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(start_paused = true)]
async fn a_poll_asks_for_the_time_until_polling_may_end_and_one_second() {
    let cases = [
        (None, None, 70_000),
        (Some(120_000), None, 70_000),
        // The server answers 0.3 s before the stop time.
        (Some(20_000), None, 20_700),
        (Some(1_000), None, 2_250),
        // The idle timeout, and 0.3 s for the task that the poll brings.
        (Some(20_000), Some(5_000), 6_300),
        (None, Some(2_000), 3_300),
        (None, Some(100), 2_250),
    ];
    for (stop, idle, asked) in cases {
        let fixture = Fixture::new(Server::default(), stop, idle.map(ms)).await;
        let _poll = fixture.poll(Normal);
        a_moment().await;
        assert_eq!(fixture.server.times(), [asked], "{stop:?} {idle:?}");
    }
    // For a quiet worker it is known when it will be idle.
    let fixture = Fixture::new(Server::default(), Some(20_000), Some(5 * SECOND)).await;
    fixture.idle_end.send_replace(Some(Instant::now() + 2 * SECOND));
    let _poll = fixture.poll(Normal);
    a_moment().await;
    // 0.1 s more, so that no other poll begins just before.
    assert_eq!(fixture.server.times(), [3_100]);
    // A worker with a task in flight is not quiet, whatever was known before.
    fixture.hand_out("task");
    a_moment().await;
    let _poll = fixture.poll(Normal);
    a_moment().await;
    assert_eq!(fixture.server.times(), [3_100, 6_300]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_asks_for_no_more_than_the_sdk_does() {
    let fixture = Fixture::new(Server::default(), None, None).await;
    let _poll = fixture.poll_for(Normal, 11 * SECOND);
    a_moment().await;
    assert_eq!(fixture.server.times(), [11_000]);
}

#[tokio::test(start_paused = true)]
async fn completions_make_no_workflow_sticky_from_3_15_s_before_the_stop_time_on() {
    let fixture = Fixture::new(Server::default(), Some(10_000), None).await;
    for (after, sticks) in [(6_849, true), (1, false)] {
        advance(ms(after)).await;
        fixture.complete("task").await;
        let call = fixture.server.asked("RespondWorkflowTaskCompleted").pop().unwrap();
        let request = RespondWorkflowTaskCompletedRequest::decode(call.proto).unwrap();
        assert_eq!(request.sticky_attributes.is_some(), sticks);
    }
}

#[tokio::test(start_paused = true)]
async fn the_worker_is_told_that_the_server_does_not_end_polls_so_that_it_drops_those_held_back() {
    for ends_polls in [true, false] {
        let server = Server { ends_polls, ..Server::default() };
        let fixture = Fixture::new(server, None, None).await;
        assert!(!fixture.describe().await);
        // The server is asked once; later calls are answered from memory.
        assert_eq!(fixture.server.asked("DescribeNamespace").len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn no_poll_begins_while_polls_are_held_back_and_they_begin_when_polling_resumes() {
    let fixture = Fixture::new(Server::default(), None, Some(2 * SECOND)).await;
    let quiescing = fixture.quiesce();
    a_moment().await;
    let mut held = fixture.poll(Normal);
    a_moment().await;
    assert!(fixture.server.times().is_empty() && (&mut held).now_or_never().is_none());
    quiescing.abort();
    fixture.gate.resume();
    a_moment().await;
    assert_eq!(fixture.server.times().len(), 1, "the poll under way goes on");
    fixture.hand_out("task");
    assert_eq!(held.await.unwrap(), "task");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_polls_is_reported_when_the_last_is_answered_and_no_earlier() {
    let mut fixture = Fixture::new(Server::default(), None, Some(2 * SECOND)).await;
    let (poll, activities) = (fixture.poll(Normal), fixture.poll_activities());
    a_moment().await;
    let _quiescing = fixture.quiesce();
    a_moment().await;
    fixture.server.answer_polls.notify_one();
    a_moment().await;
    assert!(fixture.told().is_empty(), "a poll is still under way");
    fixture.server.answer_polls.notify_one();
    a_moment().await;
    assert_eq!(fixture.told(), ["PollsEnded"]);
    assert!(poll.is_finished() && activities.is_finished());
}

#[tokio::test(start_paused = true)]
async fn after_a_task_of_the_last_poll_the_end_of_polls_is_reported_when_the_worker_has_it() {
    let mut fixture = Fixture::new(Server::default(), None, Some(2 * SECOND)).await;
    let _poll = fixture.poll(Normal);
    a_moment().await;
    let _quiescing = fixture.quiesce();
    a_moment().await;
    fixture.hand_out("task");
    a_moment().await;
    assert_eq!(fixture.told(), ["Busy"], "a shutdown of the worker would lose the task now");
    fixture.in_flight.workflow_task_is_seen("run of task");
    a_moment().await;
    assert_eq!(fixture.told(), ["PollsEnded"]);
    fixture.complete("task").await;
    assert_eq!(fixture.told(), ["Quiet"]);
}

#[tokio::test(start_paused = true)]
async fn a_workflow_task_is_in_flight_until_the_last_page_of_its_completion_is_answered() {
    let mut fixture = Fixture::new(Server::default(), None, Some(2 * SECOND)).await;
    let poll = fixture.poll(Normal);
    a_moment().await;
    fixture.hand_out("task");
    assert_eq!(poll.await.unwrap(), "task");
    fixture.in_flight.workflow_task_is_seen("run of task");
    fixture.send_page("task").await;
    assert_eq!(fixture.told(), ["Busy"]);
    fixture.complete("task").await;
    assert_eq!(fixture.told(), ["Quiet"]);
}

/// The answer to a client that runs in the worker's process and asks for the first task of its workflow.
#[tokio::test(start_paused = true)]
async fn a_workflow_task_that_comes_with_the_start_of_its_workflow_is_in_flight_until_it_is_answered()
 {
    let mut fixture = Fixture::new(Server::default(), None, Some(2 * SECOND)).await;
    fixture.start_workflow().await;
    assert!(fixture.told().is_empty(), "a workflow that starts without a task");
    *fixture.server.task.lock().unwrap() = Some("task");
    fixture.start_workflow().await;
    assert_eq!(fixture.told(), ["Busy"]);
    let _quiescing = fixture.quiesce();
    a_moment().await;
    assert!(fixture.told().is_empty(), "the worker has not seen the task yet");
    fixture.in_flight.workflow_task_is_seen("run of task");
    a_moment().await;
    assert_eq!(fixture.told(), ["PollsEnded"]);
    fixture.complete("task").await;
    assert_eq!(fixture.told(), ["Quiet"]);
}

#[tokio::test(start_paused = true)]
async fn completions_ask_for_no_sticky_queue_while_polls_are_held_back() {
    let fixture = Fixture::new(Server::default(), None, Some(2 * SECOND)).await;
    for held in [false, true, false] {
        let quiescing = held.then(|| fixture.quiesce());
        a_moment().await;
        fixture.complete("task").await;
        if let Some(quiescing) = quiescing {
            quiescing.abort();
            fixture.gate.resume();
        }
    }
    let sticky = fixture.server.asked("RespondWorkflowTaskCompleted").into_iter().map(|call| {
        let request = RespondWorkflowTaskCompletedRequest::decode(call.proto).unwrap();
        request.sticky_attributes.is_some()
    });
    assert!(sticky.eq([true, false, true]));
}

#[tokio::test(start_paused = true)]
async fn a_poll_on_the_sticky_queue_is_not_waited_for_if_no_workflow_is_sticky() {
    let mut fixture = Fixture::new(Server::default(), None, Some(2 * SECOND)).await;
    let sticky = fixture.poll(Sticky);
    a_moment().await;
    let _quiescing = fixture.quiesce();
    a_moment().await;
    assert!(sticky.is_finished());
    assert_eq!(fixture.told(), ["PollsEnded"]);
}

/// Server 1.32.0 answers so if the shutdown arrives just as the poll begins.
#[tokio::test(start_paused = true)]
async fn a_sticky_poll_that_the_server_ends_with_a_status_counts_as_answered() {
    let server = Server { ends_by_status: true, ..Server::default() };
    let mut fixture = Fixture::with_sticky_workflow(server).await;
    let poll = fixture.poll(Sticky);
    advance(ms(60)).await;
    a_moment().await;
    let _quiescing = fixture.quiesce();
    a_moment().await;
    assert_eq!(poll.await.unwrap(), "", "the worker has an answer without a task");
    assert_eq!(fixture.told(), ["PollsEnded"]);
    assert!(fixture.gate.trouble.noted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_the_server_leaves_unanswered_is_given_up_0_3_s_after_its_time() {
    let mut fixture = Fixture::new(Server::default(), None, Some(2 * SECOND)).await;
    let poll = fixture.poll(Normal);
    a_moment().await;
    let _quiescing = fixture.quiesce();
    a_moment().await;
    // The server should have answered after 2.3 s.
    advance(ms(2_599)).await;
    a_moment().await;
    assert!(!poll.is_finished() && fixture.told().is_empty());
    advance(ms(2)).await;
    a_moment().await;
    assert!(poll.is_finished());
    assert_eq!(fixture.told(), ["PollsEnded"]);
    let trouble = fixture.gate.trouble.noted();
    assert_eq!((trouble[0].status.as_str(), trouble[0].count), ("DeadlineExceeded", 1));
    // The server may have waited for a task all the time.
    assert!(fixture.gate.trouble.fault(false).is_none());
}

#[tokio::test(start_paused = true)]
async fn workflow_tasks_that_a_dropped_worker_has_not_answered_are_failed() {
    let fixture = Fixture::new(Server::default(), None, None).await;
    let poll = fixture.poll(Normal);
    a_moment().await;
    fixture.hand_out("task");
    assert_eq!(poll.await.unwrap(), "task");
    fixture.gate.close();
    fixture.gate.give_back().await;
    let failed = fixture.server.asked("RespondWorkflowTaskFailed").pop().unwrap();
    let failed = RespondWorkflowTaskFailedRequest::decode(failed.proto).unwrap();
    assert_eq!((failed.task_token.as_slice(), failed.namespace.as_str()), (&b"task"[..], "n"));
    // An answer of the worker comes too late now.
    let request =
        RespondWorkflowTaskCompletedRequest { task_token: "task".into(), ..Default::default() };
    let mut worker = fixture.worker.clone();
    let late = worker.respond_workflow_task_completed(request.into_request()).await;
    assert_eq!(late.unwrap_err().code(), Code::Cancelled);
    assert!(fixture.server.asked("RespondWorkflowTaskCompleted").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_keeps_a_shutdown_worker_waiting_for_0_1_s_and_gets_the_call_all_the_same() {
    let shutdowns_wait = Some(Arc::new(Notify::new()));
    let server = Server { shutdowns_wait, ..Server::default() };
    let fixture = Fixture::new(server, None, None).await;
    let since = Instant::now();
    let mut service = fixture.worker.workflow_service();
    service.shutdown_worker(ShutdownWorkerRequest::default().into_request()).await.unwrap();
    assert_eq!(since.elapsed(), ms(100));
    assert_eq!(fixture.server.shutdowns_heard.load(SeqCst), 0);
    fixture.server.shutdowns_wait.as_ref().unwrap().notify_one();
    a_moment().await;
    assert_eq!(fixture.server.shutdowns_heard.load(SeqCst), 1);
}

/// From the second attempt on the SDK does not answer a workflow task that fails.
#[tokio::test(start_paused = true)]
async fn a_workflow_task_that_failed_is_no_longer_in_flight_and_is_reported() {
    let mut fixture = Fixture::new(Server::default(), None, Some(2 * SECOND)).await;
    let poll = fixture.poll(Normal);
    a_moment().await;
    fixture.hand_out("task");
    assert_eq!(poll.await.unwrap(), "task");
    fixture.in_flight.workflow_task_failed("run of task", "no such type");
    assert_eq!(fixture.told(), ["Busy", "Quiet"]);
    let failed = fixture.in_flight.counts().1;
    assert_eq!((failed[0].workflow_id.as_str(), failed[0].attempt), ("workflow of task", 1));
    assert_eq!(failed[0].failure, "no such type");
    let _quiescing = fixture.quiesce();
    a_moment().await;
    assert_eq!(fixture.told(), ["PollsEnded"]);
}
