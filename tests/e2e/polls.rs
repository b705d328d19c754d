//! The end of long polls, on servers that do and do not end them by themselves.

use std::time::Duration;

use temporal_lambda_test_timing::assert_soon;
use temporal_lambda_testkit::server::DevServer;
use temporal_lambda_tests::{Invoked as _, World};

use crate::HELLO;

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
    let hello = world.add(world.config("hello", HELLO).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    let mut drained = Vec::new();
    for number in 0..3 {
        let id = world.id(number);
        temporal.start(&world.name, &id, "HelloWorkflow", "you").await;
        let report = hello.invoke("{}").await.unwrap().report();
        assert_eq!(report["reason"], "idle", "{report}");
        drained.push(Duration::from_millis(report["state_ms"]["draining"].as_u64().unwrap()));
        assert!(temporal.has_ended(&id).await, "{report}");
    }
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
    let invocation = hello.invoke("{}").await.unwrap();
    let report = invocation.report();
    assert_eq!(report["reason"], "idle", "{report}");
    assert!(temporal.has_ended(&id).await, "{report}");
    // Not 60 s, which polls last where nothing is asked for.
    assert_soon("the end of the polls", invocation.duration, Duration::from_secs(6));
    println!("{:?} with an idle timeout of 3 s", invocation.duration);
}
