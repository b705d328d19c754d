//! Activities: cancellations, and what one attempt leaves to the next.

use std::time::Duration;

use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::frontend::{ActivityStart, ActivityStatus, MockFrontend};
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{
    common::v1::Payloads, enums::v1::EventType, workflowservice::v1 as api,
};

use crate::wire::{Wire, activity, details};

impl Wire {
    fn with_activity(retries: u32) -> Self {
        let wire = Self(MockFrontend::new());
        let mut start = ActivityStart::new("q", "A", "a");
        start.max_attempts = retries;
        start.start_to_close_timeout = Duration::from_secs(30);
        start.heartbeat_timeout = Some(Duration::from_secs(5));
        wire.0.schedule_activity(start);
        wire
    }

    async fn cancel_activity(&self, token: &[u8]) -> Result<(), Status> {
        let request = api::RespondActivityTaskCanceledRequest {
            namespace: "default".to_owned(),
            task_token: token.to_vec(),
            ..Default::default()
        };
        self.call::<api::RespondActivityTaskCanceledResponse>(
            "RespondActivityTaskCanceled",
            request,
        )
        .await
        .map(|_| ())
    }

    async fn complete_activity(&self, token: &[u8]) -> Result<(), Status> {
        let request = api::RespondActivityTaskCompletedRequest {
            namespace: "default".to_owned(),
            task_token: token.to_vec(),
            ..Default::default()
        };
        self.call::<api::RespondActivityTaskCompletedResponse>(
            "RespondActivityTaskCompleted",
            request,
        )
        .await
        .map(|_| ())
    }

    async fn heartbeat(&self, token: &[u8], details: Option<Payloads>) {
        let request = api::RecordActivityTaskHeartbeatRequest {
            namespace: "default".to_owned(),
            task_token: token.to_vec(),
            details,
            ..Default::default()
        };
        let rpc = "RecordActivityTaskHeartbeat";
        let told = self.call::<api::RecordActivityTaskHeartbeatResponse>(rpc, request).await;
        told.expect("the task is known");
    }
}

fn refused_as_by_a_server(canceled: Result<(), Status>) {
    let refused = canceled.expect_err("nobody asked for it");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(
        refused.message(),
        "unable to mark activity as canceled without activity being request canceled first"
    );
}

#[tokio::test(start_paused = true)]
async fn an_activity_is_not_canceled_before_its_test_has_asked_for_that() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_activity(1);
    let task = wire.activity_task().await;
    refused_as_by_a_server(wire.cancel_activity(&task.task_token).await);
    assert_eq!(wire.0.activity_status("a").expect("known"), ActivityStatus::Started);

    wire.0.cancel_activity("a").expect("known");
    wire.cancel_activity(&task.task_token).await.expect("the worker still has the task");
    assert_eq!(wire.0.activity_status("a").expect("known"), ActivityStatus::Canceled);
    let again = wire.cancel_activity(&task.task_token).await.expect_err("it is closed");
    assert_eq!(again.code(), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn an_activity_of_a_workflow_is_not_canceled_before_its_test_has_asked_for_that() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    wire.complete(&task.task_token, vec![activity()]).await.expect("schedules");
    let held = wire.activity_task().await;
    refused_as_by_a_server(wire.cancel_activity(&held.task_token).await);

    wire.0.cancel_activity("w/1").expect("known");
    wire.cancel_activity(&held.task_token).await.expect("now it was asked for");
    assert_eq!(wire.0.activity_status("w/1").expect("known"), ActivityStatus::Canceled);
    wire.workflow_task().await;
    let events = wire.events();
    assert_eq!(events[5..7], [EventType::ActivityTaskStarted, EventType::ActivityTaskFailed]);
}

#[tokio::test(start_paused = true)]
async fn an_activity_that_no_worker_has_is_canceled_at_once() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_activity(1);
    wire.0.cancel_activity("a").expect("known");
    assert_eq!(wire.0.activity_status("a").expect("known"), ActivityStatus::Canceled);
    assert!(wire.no_activity_task().await, "there is nothing left to hand out");
}

#[tokio::test(start_paused = true)]
async fn an_activity_that_is_scheduled_again_is_handed_out_once() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_activity(0);
    let first = wire.activity_task().await;
    wire.fail_activity(&first.task_token, false, None).await;
    wire.0.schedule_activity(ActivityStart::new("q", "A", "a"));
    // The retry of the first one is due by then.
    tokio::time::advance(Duration::from_secs(5)).await;
    let again = wire.activity_task().await;
    assert_eq!(again.attempt, 1);
    assert!(wire.no_activity_task().await, "the retry is that of an activity that is gone");
}

#[tokio::test(start_paused = true)]
async fn an_activity_whose_cancellation_was_refused_can_still_complete() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_activity(1);
    let task = wire.activity_task().await;
    refused_as_by_a_server(wire.cancel_activity(&task.task_token).await);
    wire.complete_activity(&task.task_token).await.expect("the worker still has the task");
    assert!(wire.0.activity_result("a").await.expect("closed").json::<()>().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_next_attempt_of_an_activity_gets_the_details_of_heartbeats_and_failures() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_activity(0);
    let first = wire.activity_task().await;
    assert_eq!(first.heartbeat_details, None);
    wire.heartbeat(&first.task_token, Some(details(1))).await;
    // The SDK sends with a failure what it had not sent in a heartbeat yet.
    wire.fail_activity(&first.task_token, false, Some(details(7))).await;

    let second = wire.activity_task().await;
    assert_eq!(second.heartbeat_details, Some(details(7)));
    wire.fail_activity(&second.task_token, false, None).await;

    let third = wire.activity_task().await;
    assert_eq!(third.heartbeat_details, Some(details(7)), "a failure without leaves them");
    wire.heartbeat(&third.task_token, Some(details(8))).await;
    wire.heartbeat(&third.task_token, None).await;
    wire.fail_activity(&third.task_token, false, None).await;

    let fourth = wire.activity_task().await;
    assert_eq!(fourth.heartbeat_details, None, "a heartbeat without takes them away");
    let sent = wire.0.activity_heartbeats("a").expect("known");
    assert_eq!(sent, [details(1), details(8), Payloads::default()]);
}
