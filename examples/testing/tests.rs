//! The worker against a mock of Temporal: no server, no network, no Lambda.

use std::sync::atomic::Ordering;
use std::time::Duration;

use temporal_lambda_testkit::UnderTest;
use temporal_lambda_testkit::context::TestContext;
use temporal_lambda_testkit::frontend::{
    ActivityStart, ActivityStatus, MockFrontend, Rpc, WorkflowStart,
};
use temporal_lambda_worker::{BoxError, Fault, LambdaWorkerHandler, Reason};

use crate::{Orders, TASK_QUEUE};

/// The worker on a frontend, and the prototype that knows the leases.
fn set_up(
    frontend: &MockFrontend,
) -> Result<(Orders, LambdaWorkerHandler<UnderTest<Orders>>), BoxError> {
    let orders = Orders::default();
    let under_test = UnderTest::new(orders.clone(), frontend);
    Ok((orders, under_test.until_idle(Duration::from_millis(200)).handler()?))
}

fn leases_out(orders: &Orders) -> usize {
    orders.leases.load(Ordering::SeqCst)
}

#[tokio::test]
async fn an_order_is_charged() -> Result<(), BoxError> {
    let frontend = MockFrontend::new();
    let (orders, handler) = set_up(&frontend)?;
    frontend.start_workflow(WorkflowStart::new(TASK_QUEUE, "Order", "order-1").arg(&4200_u64));

    let report = handler.handle(TestContext::new().event(())).await?;

    let receipt: String = frontend.workflow_result("order-1").await?.json()?;
    assert_eq!(receipt, "receipt for 4200");
    assert_eq!(report.reason, Some(Reason::Idle));
    assert_eq!(report.tasks.activity.completed, 1);
    assert_eq!(leases_out(&orders), 0);
    Ok(())
}

#[tokio::test]
async fn nothing_cannot_be_charged() -> Result<(), BoxError> {
    let frontend = MockFrontend::new();
    let (_, handler) = set_up(&frontend)?;
    let nothing = ActivityStart::new(TASK_QUEUE, "Payments::charge", "nothing").arg(&0_u64);
    frontend.schedule_activity(nothing);

    let report = handler.handle(TestContext::new().event(())).await?;

    let ActivityStatus::Failed(failure) = frontend.activity_result("nothing").await? else {
        return Err("it was charged".into());
    };
    assert!(failure.message.contains("nothing to charge"), "{}", failure.message);
    assert_eq!(report.tasks.activity.failed, 1);
    Ok(())
}

#[tokio::test]
async fn an_activity_is_given_up_before_the_deadline_and_the_lease_is_given_back()
-> Result<(), BoxError> {
    let frontend = MockFrontend::new();
    let (orders, handler) = set_up(&frontend)?;
    frontend.schedule_activity(ActivityStart::new(TASK_QUEUE, "Payments::ask_bank", "bank"));

    let event = TestContext::new().lasting(Duration::from_secs(5)).event(());
    let report = handler.handle(event).await?;

    assert_eq!(report.reason, Some(Reason::DeadlineNear));
    assert!(report.time_left_ms > Some(0));
    assert_eq!(leases_out(&orders), 0);
    Ok(())
}

#[tokio::test]
async fn a_refused_key_fails_the_invocation_and_the_lease_is_given_back() -> Result<(), BoxError> {
    let frontend = MockFrontend::new();
    frontend.require_api_key("the one that the worker has not");
    let (orders, handler) = set_up(&frontend)?;

    let Err(error) = handler.handle(TestContext::new().event(())).await else {
        return Err("it was let in".into());
    };

    assert!(matches!(error.fault(), Fault::Refused { .. }), "{error}");
    assert!(error.fault().is_permanent());
    assert_eq!(leases_out(&orders), 0);
    Ok(())
}

#[tokio::test]
async fn a_lost_connection_does_not_lose_an_order() -> Result<(), BoxError> {
    let frontend = MockFrontend::new();
    frontend.on(Rpc::RespondWorkflowTaskCompleted).drop_connection();
    let (_, handler) = set_up(&frontend)?;
    frontend.start_workflow(WorkflowStart::new(TASK_QUEUE, "Order", "order-2").arg(&100_u64));

    handler.handle(TestContext::new().event(())).await?;

    assert_eq!(frontend.workflow_result("order-2").await?.json::<String>()?, "receipt for 100");
    Ok(())
}
