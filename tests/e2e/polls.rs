//! The end of long polls, on servers that do and do not end them by themselves.

use std::time::Duration;

use temporal_lambda_test_timing::assert_soon;
use temporal_lambda_testkit::{lambda::Invocation, server::DevServer};
use temporal_lambda_tests::{
    Invoked as _, World,
    invoked::invoked_until,
    temporal::{count, timeouts},
};
use temporalio_common::protos::temporal::api::enums::v1::EventType;

use crate::{HELLO, SWARMING};

/// Less than the shortest poll lasts, let alone the 3 s that polls are waited for.
const AT_ONCE: Duration = Duration::from_millis(1_000);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_them_is_not_waited_for() {
    let server = DevServer::builder()
        .dynamic_config("frontend.enableCancelWorkerPollsOnShutdown", true)
        .start()
        .await
        .unwrap();
    let world = World::at(&server.address(), "ended").await;
    let temporal = world.temporal().await;
    let hello = world.config("hello", HELLO).timeout(Duration::from_secs(60));
    let hello = world.add(hello.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    let (mut drained, mut first_polls) = (Vec::new(), Vec::new());
    for number in 0..3 {
        let id = world.id(number);
        temporal.start(&world.name, &id, "HelloWorkflow", "you").await;
        for invocation in temporal.served_by(&hello, &id).await {
            let report = invocation.report();
            assert_eq!(report["reason"], "idle", "{report}");
            drained.push(Duration::from_millis(report["state_ms"]["draining"].as_u64().unwrap()));
            first_polls.push(Duration::from_millis(report["first_poll_ms"].as_u64().unwrap()));
        }
    }
    println!("drained in {drained:?}, first polls after {first_polls:?}");
    // A busy machine may make some of them late, but waiting would make all of them so.
    assert!(drained.iter().min() < Some(&AT_ONCE), "{drained:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_ends_them_soon_after_the_idle_timeout() {
    let world = World::new("soon").await;
    let temporal = world.temporal().await;
    let hello = world.config("hello", HELLO).timeout(Duration::from_secs(90));
    let hello = world.add(hello.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "3s"));
    let id = world.id("it");
    temporal.start(&world.name, &id, "HelloWorkflow", "you").await;
    let invocation = temporal.served_by(&hello, &id).await.pop().unwrap();
    let report = invocation.report();
    assert_eq!(report["reason"], "idle", "{report}");
    // Not 60 s, which polls last where nothing is asked for.
    assert_soon("the end of the polls", invocation.duration, Duration::from_secs(6));
    println!("{:?} with an idle timeout of 3 s", invocation.duration);
}

/// The workflow is sticky to a worker that has left. Its sticky queue is closed, so its next task is
/// there for anybody at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_to_a_workflow_whose_worker_has_left_waits_for_nothing_but_the_next_invocation() {
    let world = World::new("left").await;
    let temporal = world.temporal().await;
    let function = world.config("swarming", SWARMING).timeout(Duration::from_secs(60));
    let function = world.add(function.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    let id = world.id("it");
    let completed = async |tasks: usize| {
        let are_completed = async |invocation: &Invocation| {
            assert_eq!(invocation.report()["reason"], "idle");
            let history = temporal.history(&id).await;
            (count(&history, EventType::WorkflowTaskCompleted) >= tasks).then_some(())
        };
        invoked_until(&function, &format!("{tasks} workflow tasks"), are_completed).await;
    };
    temporal.start(&world.name, &id, "Mailbox", 2).await;
    completed(1).await;
    temporal.signal(&id, "put", 1).await;
    completed(2).await;
    assert_eq!(timeouts(&temporal.history(&id).await), 0);

    // Nobody polls for 10 s: that is in the history, and the task is where it was.
    temporal.signal(&id, "put", 2).await;
    temporal.wait_for(&id, EventType::WorkflowTaskTimedOut).await;
    completed(3).await;
    assert_eq!(temporal.result(&id).await, 2);
}
