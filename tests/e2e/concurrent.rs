//! Several invocations at once in one process, as on Lambda Managed Instances.

use std::{collections::HashSet, time::Duration};

use futures::future::join_all;
use serde_json::Value;
use temporal_lambda_test_timing::eventually;
use temporal_lambda_tests::{
    Invoked as _, Proxy, Temporal, World, invoked::tasks, server, temporal::workers,
};

use crate::{HELLO, LOGS_MOVES};

/// So many at once.
const MANY: usize = 4;
/// So many workflows for them.
const WORKFLOWS: usize = 6 * MANY;

#[tokio::test(flavor = "multi_thread")]
async fn one_process_serves_several_at_once_each_with_its_own_worker_on_a_shared_connection() {
    let proxy = Proxy::to(server::shared().address()).await;
    let world = World::at(&proxy.address(), "concurrent").await;
    // Not through the proxy, which counts the function's connections.
    let temporal = Temporal::connect(server::shared().address()).await;
    temporal.make_current(world.version()).await;
    let hello = world.config("hello", HELLO).concurrency(1).environment_concurrency(MANY);
    let hello = hello.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s").timeout(Duration::from_secs(60));
    let hello = world.add(hello);

    for round in ["cold", "warm"] {
        let ids: Vec<_> =
            (0..WORKFLOWS).map(|number| world.id(format!("{round}-{number}"))).collect();
        for id in &ids {
            temporal.start(&world.name, id, "SleepWorkflow", 200).await;
        }
        let at_once = async || {
            let invocations = join_all((0..MANY).map(|_| hello.invoke("{}"))).await;
            invocations.into_iter().map(|it| it.expect("it is served")).collect::<Vec<_>>()
        };
        let mut invocations = at_once().await;
        let mut identities = HashSet::new();
        for invocation in &invocations {
            let (report, identity) = (invocation.report(), invocation.identity(&hello));
            assert_eq!(report["identity"], identity.as_str(), "each under its own identity");
            assert_eq!(report["reason"], "idle");
            identities.insert(identity);
        }
        assert_eq!(identities.len(), MANY);
        let count = |key: &str, value: Value| {
            invocations.iter().filter(|it| it.report()[key] == value).count()
        };
        let is_cold = round == "cold";
        assert_eq!(count("cold_start", true.into()), usize::from(is_cold));
        assert_eq!(count("connection", "new".into()), usize::from(is_cold));

        for id in &ids {
            // What a busy server brought too late.
            while !temporal.has_ended(id).await {
                invocations.extend(at_once().await);
            }
        }
        identities.extend(invocations.iter().map(|it| it.identity(&hello)));
        let done = tasks(&invocations, "activity", "completed");
        assert_eq!(done, WORKFLOWS as u64, "each task is counted by one of them");

        let mut seen = HashSet::new();
        for id in &ids {
            seen.extend(workers(&temporal.history(id).await));
        }
        assert!(seen.is_subset(&identities), "{seen:?}");
        assert!(seen.len() > 1, "the work is shared");
    }
    assert_eq!(hello.environments().len(), 1, "all in one process");
    assert_eq!(proxy.accepted(), 1, "over one connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_at_once_keeps_its_own_deadline() {
    let world = World::new("deadlines").await;
    let hello = world.config("hello", HELLO).concurrency(1).environment_concurrency(2);
    let hello = hello
        .timeout(Duration::from_secs(6))
        .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "500ms")
        .env("RUST_LOG", LOGS_MOVES);
    let hello = world.add(hello);
    let polls = || {
        let environments = hello.environments();
        environments.iter().any(|env| env.log().iter().any(|line| line.text.contains("Polling")))
    };
    let second = async {
        eventually("polling by the first invocation", polls).await;
        hello.invoke("{}").await
    };
    let (first, second) = tokio::join!(hello.invoke("{}"), second);
    for invocation in [first.expect("it is served"), second.expect("it is served")] {
        let report = invocation.report();
        assert_eq!(report["reason"], "deadline_near");
        let took = invocation.duration;
        // 6 s, less a buffer of 2.5 s; in four fifths of what is left polls may begin.
        assert!(took >= Duration::from_millis(2780), "{took:?}");
    }
    assert_eq!(hello.environments().len(), 1);
}
