//! Workflow tasks and what arrives between them.

use std::time::Duration;

use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::frontend::{ActivityStatus, WorkflowStart, WorkflowStatus};
use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    command::v1::{self as commands, command::Attributes},
    enums::v1::EventType,
    workflowservice::v1 as api,
};
use tokio::time::Instant;

use crate::wire::{Wire, activity, done};

#[tokio::test(start_paused = true)]
async fn a_workflow_may_not_close_over_what_it_has_not_seen() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    wire.complete(&task.task_token, vec![timer(1), timer(2)]).await.expect("starts timers");
    // The first timer makes the task that is held when the second one fires.
    let task = wire.workflow_task().await;
    tokio::time::advance(Duration::from_secs(2)).await;
    let error = wire.complete(&task.task_token, vec![done()]).await.expect_err("a timer fired");
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "UnhandledCommand"));

    let task = wire.workflow_task().await;
    assert_eq!((task.attempt, task.previous_started_event_id), (1, 3));
    wire.complete(&task.task_token, vec![done()]).await.expect("nothing new");
    assert_eq!(wire.0.workflow_status("w").expect("known"), WorkflowStatus::Completed(vec![]));
    let expected = [
        EventType::WorkflowTaskFailed,
        EventType::TimerFired,
        EventType::WorkflowTaskScheduled,
        EventType::WorkflowTaskStarted,
        EventType::WorkflowTaskCompleted,
        EventType::WorkflowExecutionCompleted,
    ];
    assert_eq!(wire.events()[9..], expected);
}

#[tokio::test(start_paused = true)]
async fn what_arrives_during_a_workflow_task_comes_after_it_and_makes_another() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    wire.complete(&task.task_token, vec![timer(1), timer(2)]).await.expect("starts timers");
    let task = wire.workflow_task().await;
    tokio::time::advance(Duration::from_secs(2)).await;
    wire.complete(&task.task_token, vec![]).await.expect("it does not close");
    let last = wire.workflow_task().await;
    assert_eq!(last.previous_started_event_id, 9);
    assert_eq!(wire.events()[9..11], [EventType::WorkflowTaskCompleted, EventType::TimerFired]);
    // Each token is good for one answer.
    let again = wire.complete(&task.task_token, vec![]).await.expect_err("answered");
    assert_eq!(again.code(), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn an_activity_is_retried_until_its_failure_forbids_it() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    wire.complete(&task.task_token, vec![activity()]).await.expect("schedules");
    let begin = Instant::now();
    for attempt in 1..4 {
        let task = wire.activity_task().await;
        assert_eq!(task.attempt, attempt);
        wire.fail_activity(&task.task_token, attempt == 3, None).await;
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
async fn a_closed_workflow_leaves_no_activity_and_no_timer_behind() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    wire.complete(&task.task_token, vec![activity(), timer(1), timer(5)]).await.expect("schedules");
    let held = wire.activity_task().await;
    let task = wire.workflow_task().await;
    wire.complete(&task.task_token, vec![done()]).await.expect("closes");

    assert_eq!(wire.0.activity_status("w/1").expect("known"), ActivityStatus::Abandoned);
    assert_eq!(heartbeat(&wire, held.task_token).await, Code::NotFound);
    let events = wire.events();
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(wire.events(), events, "the timer is gone");
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_is_started_again_replaces_the_run_that_was_there() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    wire.complete(&task.task_token, vec![timer(5), activity()]).await.expect("schedules");
    let held = wire.activity_task().await;
    wire.0.start_workflow(WorkflowStart::new("q", "W", "w"));
    tokio::time::advance(Duration::from_secs(10)).await;

    let next = wire.workflow_task().await;
    assert_ne!(next.workflow_execution, task.workflow_execution);
    assert_eq!(wire.events().len(), 3, "nothing of the first run is in the history");
    assert_eq!(heartbeat(&wire, held.task_token).await, Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_workflow_with_a_command_that_the_frontend_does_not_support_fails_and_says_which() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    let child = Attributes::StartChildWorkflowExecutionCommandAttributes(Default::default());
    wire.complete(&task.task_token, vec![timer(1), child, timer(2)]).await.expect("accepted");
    let status = wire.0.workflow_result("w").await.expect("it is closed");
    let error = status.json::<()>().expect_err("it failed").to_string();
    assert!(error.contains("does not support StartChildWorkflowExecution"), "{error}");
    assert!(error.contains("DevServer"), "{error}");
    assert_eq!(wire.events().last(), Some(&EventType::WorkflowExecutionFailed));
    let error = wire.call::<()>("CountWorkflowExecutions", ()).await.expect_err("unknown");
    assert_eq!(error.code(), Code::Unimplemented);
}

fn timer(seconds: u64) -> Attributes {
    Attributes::StartTimerCommandAttributes(commands::StartTimerCommandAttributes {
        timer_id: seconds.to_string(),
        start_to_fire_timeout: Duration::from_secs(seconds).try_into().ok(),
    })
}

/// How a heartbeat is refused.
async fn heartbeat(wire: &Wire, task_token: Vec<u8>) -> Code {
    let beat = api::RecordActivityTaskHeartbeatRequest {
        namespace: "default".to_owned(),
        task_token,
        ..Default::default()
    };
    let rpc = "RecordActivityTaskHeartbeat";
    let beat = wire.call::<api::RecordActivityTaskHeartbeatResponse>(rpc, beat).await;
    beat.expect_err("nobody waits for it").code()
}
