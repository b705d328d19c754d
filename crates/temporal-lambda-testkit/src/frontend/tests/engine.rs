//! Workflow tasks and what arrives between them.

use super::{Wire, activity, done};
use crate::frontend::{ActivityStatus, FrontendError, WorkflowStatus};
use std::time::Duration;
use temporal_lambda_test_timing::TimeLimit;
use temporalio_common::protos::temporal::api::{
    command::v1::{self as orders, command::Attributes as Order},
    common::v1::WorkflowType,
    enums::v1::EventType,
    workflowservice::v1 as api,
};
use tokio::time::Instant;
use tonic::Code;

#[tokio::test(start_paused = true)]
async fn a_workflow_may_not_close_over_news() {
    let _limit = TimeLimit::of_this_test();
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
    let _limit = TimeLimit::of_this_test();
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
async fn an_activity_that_nobody_has_is_canceled_at_once() {
    let _limit = TimeLimit::of_this_test();
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
    let _limit = TimeLimit::of_this_test();
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
    let _limit = TimeLimit::of_this_test();
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
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    let child = Order::StartChildWorkflowExecutionCommandAttributes(Default::default());
    wire.complete(&task.task_token, vec![child]).await.expect("accepted");
    assert_eq!(wire.0.unsupported_commands().len(), 1);
    let error = wire.0.workflow_result("w").await.expect_err("nothing comes of it");
    let said = error.to_string();
    let named = "StartChildWorkflowExecution of \"w\"";
    assert!(said.contains("does not support") && said.contains(named), "{said}");
    let error = wire.call::<()>("CountWorkflowExecutions", ()).await.expect_err("unknown");
    assert_eq!(error.code(), Code::Unimplemented);
}

#[tokio::test(start_paused = true)]
async fn a_closed_workflow_takes_no_signal_and_ignores_a_cancellation() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire::with_workflow();
    let task = wire.workflow_task().await;
    wire.complete(&task.task_token, vec![done()]).await.expect("closes");
    let events = wire.events();
    let error = wire.0.signal_workflow("w", "late", Vec::new()).expect_err("closed");
    assert!(matches!(&error, FrontendError::ClosedWorkflow(id) if id == "w"), "{error}");
    wire.0.cancel_workflow("w").expect("a server says nothing");
    assert_eq!(wire.events(), events);
}
