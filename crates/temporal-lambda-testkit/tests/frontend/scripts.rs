//! Scripts: in which order calls use them up.

use std::time::Duration;

use prost::Message as _;
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::frontend::{MockFrontend, Rpc};
use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    enums::v1::TaskQueueKind,
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{
        DescribeNamespaceRequest, DescribeNamespaceResponse, PollWorkflowTaskQueueRequest,
        RespondNexusTaskFailedResponse,
    },
};
use tokio::time::{Instant, timeout};

use crate::wire::Wire;

/// What becomes of some calls of `DescribeNamespace`: `.` answered as usual, `h` hangs, `c` cut, `f`
/// failed.
async fn fates(frontend: &MockFrontend, calls: usize) -> String {
    let wire = Wire(frontend.clone());
    let mut fates = String::new();
    for _ in 0..calls {
        let request =
            DescribeNamespaceRequest { namespace: "default".to_owned(), ..Default::default() };
        let call = wire.call::<DescribeNamespaceResponse>("DescribeNamespace", request);
        fates.push(match timeout(Duration::from_secs(1), call).await {
            Err(_) => 'h',
            Ok(Ok(_)) => '.',
            Ok(Err(status)) if status.code() == Code::Unavailable => 'c',
            Ok(Err(_)) => 'f',
        });
    }
    fates
}

#[tokio::test(start_paused = true)]
async fn scripts_are_used_up_in_the_order_in_which_they_were_written() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    frontend.on(Rpc::DescribeNamespace).hang().times(2).after(1);
    frontend.on(Rpc::DescribeNamespace).fail(Code::Internal, "x");
    frontend.on(Rpc::DescribeNamespace).drop_connection().after(2);
    assert_eq!(fates(&frontend, 8).await, ".hhf..c.");
}

#[tokio::test(start_paused = true)]
async fn a_script_for_always_ends_when_it_is_cleared() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    frontend.on(Rpc::DescribeNamespace).fail(Code::Internal, "x").always();
    assert_eq!(fates(&frontend, 4).await, "ffff");
    frontend.clear_scripts(&Rpc::DescribeNamespace);
    assert_eq!(fates(&frontend, 2).await, "..");
}

#[tokio::test(start_paused = true)]
async fn a_script_for_no_times_and_scripts_of_other_rpcs_change_nothing() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    frontend.on(Rpc::DescribeNamespace).hang().times(0);
    frontend.on(Rpc::GetSystemInfo).hang();
    assert_eq!(fates(&frontend, 2).await, "..");
}

#[tokio::test(start_paused = true)]
async fn a_scripted_failure_can_come_late() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let late = Duration::from_millis(500);
    frontend.on(Rpc::DescribeNamespace).fail(Code::Internal, "x").delayed_by(late);
    let began = Instant::now();
    assert_eq!(fates(&frontend, 1).await, "f");
    assert!(began.elapsed() >= late);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_on_record_with_what_it_says_of_its_sender() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let request = PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(TaskQueue {
            name: "sticky-1".to_owned(),
            kind: TaskQueueKind::Sticky.into(),
            normal_name: "orders".to_owned(),
        }),
        ..Default::default()
    };
    let wire = Wire(frontend.clone());
    wire.call_within::<()>(Some("1S"), "PollWorkflowTaskQueue", request).await.expect_err("short");
    wire.call::<()>("SomethingNew", ()).await.expect_err("unknown");

    wire.raw("ShutdownWorker", &[0xff, 0xff]).await.expect_err("it cannot be read");

    let [poll, unknown, unreadable] = &frontend.seen()[..] else { panic!("{:?}", frontend.seen()) };
    assert_eq!((unreadable.rpc.name(), unreadable.namespace.as_str()), ("ShutdownWorker", ""));
    assert_eq!((poll.namespace.as_str(), poll.task_queue.as_str()), ("default", "orders"));
    assert_eq!(poll.sticky_queue.as_deref(), Some("sticky-1"));
    assert_eq!(poll.rpc.name(), "PollWorkflowTaskQueue");
    assert_eq!(unknown.rpc, Rpc::Other("SomethingNew".to_owned()));
    assert_eq!(unknown.namespace, "");
}

#[tokio::test(start_paused = true)]
async fn a_malformed_answer_is_no_message_of_any_type() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    frontend.on(Rpc::RecordWorkerHeartbeat).malformed();
    let wire = Wire(frontend);
    let answer = wire.raw("RecordWorkerHeartbeat", &[]).await.expect("an answer");
    // One message has fields, the other has none.
    assert!(DescribeNamespaceResponse::decode(&answer[..]).is_err());
    assert!(RespondNexusTaskFailedResponse::decode(&answer[..]).is_err());
}
