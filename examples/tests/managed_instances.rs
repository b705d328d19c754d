use std::{collections::HashSet, time::Duration};

use futures::future::join_all;
use temporal_lambda_tests::{Invoked as _, World, temporal::workers};

/// Invocations at once in the environment.
const INVOCATIONS: usize = 3;
/// What the example has memory for.
const PICTURES: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn workers_in_one_environment_share_a_limit_that_is_smaller_than_their_slots() {
    let world = World::new("managed").await;
    let temporal = world.temporal().await;
    let config = world.config("pictures", env!("CARGO_BIN_EXE_managed-instances"));
    let config = config.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s").timeout(Duration::from_secs(60));
    let function = world.add(config.concurrency(1).environment_concurrency(INVOCATIONS));
    let ids: Vec<_> = (0..4 * INVOCATIONS).map(|number| world.id(number)).collect();
    for id in &ids {
        temporal.start(&world.name, id, "Scale", 300).await;
    }
    let at_once = async || {
        let invocations = join_all((0..INVOCATIONS).map(|_| function.invoke("{}"))).await;
        for invocation in invocations {
            assert_eq!(invocation.unwrap().report()["reason"], "idle");
        }
    };
    at_once().await;
    for id in &ids {
        // What a busy server brought too late.
        while !temporal.has_ended(id).await {
            at_once().await;
        }
    }
    let (mut most, mut identities) = (0, HashSet::new());
    for id in &ids {
        let at_once = temporal.result(id).await.as_u64().unwrap();
        assert!(at_once <= PICTURES, "{at_once} at once");
        most = most.max(at_once);
        identities.extend(workers(&temporal.history(id).await));
    }
    assert_eq!(most, PICTURES, "pictures are scaled side by side");
    assert!(identities.len() > 1, "the work is shared: {identities:?}");
    assert_eq!(function.environments().len(), 1, "all in one process");
}
