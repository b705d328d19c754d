//! Activities at the end of an invocation, and what counts as work.

use std::time::Duration;

use temporal_lambda_test_timing::assert_soon;
use temporal_lambda_testkit::lambda::Invocation;
use temporal_lambda_tests::{
    Invoked as _, World,
    invoked::{invoked_until, invoked_until_a_task, tasks},
    temporal::{count, timeouts, workers},
};
use temporalio_common::protos::temporal::api::enums::v1::EventType;

use crate::{HELLO, PROBE};

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_shorter_than_the_grace_period_completes() {
    let world = World::new("grace").await;
    let temporal = world.temporal().await;
    // Polling stops after 2 s, activities are cancelled after 32 s.
    let probe = world
        .config("probe", PROBE)
        .timeout(Duration::from_secs(34))
        .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "30s")
        .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "3s");
    let probe = world.add(probe);
    let id = world.id("it");
    temporal.start(&world.name, &id, "Doze", 3000).await;
    let first = invoked_until_a_task(&probe, "activity", "completed").await;
    assert_eq!(first.report()["reason"], "deadline_near");
    assert!(first.duration >= Duration::from_secs(3), "it waited for the activity");
    assert_soon("an invocation with an activity", first.duration, Duration::from_secs(3));
    let history = temporal.history(&id).await;
    assert_eq!(count(&history, EventType::ActivityTaskCompleted), 1);

    // The workflow goes on in the next invocation.
    let second = temporal.served_by(&probe, &id).await.pop().unwrap();
    assert_eq!(temporal.result(&id).await, 1, "one attempt");
    let history = temporal.history(&id).await;
    assert_eq!(timeouts(&history), 0);
    let workers = workers(&history);
    for invocation in [first, second] {
        assert!(workers.contains(&invocation.identity(&probe)), "{workers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_longer_is_cancelled_and_tried_again_in_the_next_invocation() {
    let world = World::new("longer").await;
    let temporal = world.temporal().await;
    // Polling stops after 3 s, activities are cancelled after 3.3 s.
    let short = world
        .config("short", HELLO)
        .timeout(Duration::from_secs(8))
        .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "300ms")
        .env("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "5s");
    let short = world.add(short);
    // The server tries again a second after an attempt that failed.
    let long = world.add(world.config("long", HELLO).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "4s"));
    let id = world.id("it");
    temporal.start(&world.name, &id, "SleepWorkflow", 4000).await;
    let first = invoked_until_a_task(&short, "activity", "cancelled").await;
    assert_eq!(first.report()["tasks"]["activity"]["abandoned"], 0);
    assert!(first.duration >= Duration::from_millis(3250), "{:?}", first.duration);

    let second = temporal.served_by(&long, &id).await.pop().unwrap();
    // One that does not end within 250 ms after its cancellation, as on a busy machine, is dropped, and tried again as well.
    let ended = |outcome| tasks(short.invocations(), "activity", outcome);
    let attempts = ended("cancelled") + ended("abandoned") + 1;
    assert_eq!(temporal.result(&id).await, attempts, "one in each invocation");
    let history = temporal.history(&id).await;
    assert_eq!(timeouts(&history), 0, "the server knew at once that it had to try again");
    assert!(workers(&history).contains(&second.identity(&long)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ignores_its_cancellation_is_dropped_and_tried_again() {
    let world = World::new("stubborn").await;
    let temporal = world.temporal().await;
    let probe = world
        .config("probe", PROBE)
        .timeout(Duration::from_secs(4))
        .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "300ms")
        .env("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "1200ms")
        .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "3s");
    let probe = world.add(probe);
    let id = world.id("it");
    temporal.start(&world.name, &id, "Stubborn", ()).await;
    let first = invoked_until_a_task(&probe, "activity", "abandoned").await;
    let report = first.report();
    assert_eq!(report["poisoned"], false);
    assert!(first.time_left_at_response > Duration::from_millis(100), "{}", first.outcome);
    // Its hooks had their time.
    assert_eq!(report["on_shutdown"]["outcome"], "ok");

    let second = temporal.served_by(&probe, &id).await.remove(0);
    assert!(!second.cold, "the environment is healthy");
    assert_eq!(temporal.result(&id).await, 2, "two attempts");
    assert_eq!(timeouts(&temporal.history(&id).await), 0, "it was not waited for");
}

/// Nothing can cancel it; whatever it returned would be in the workflow's history for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_local_one_that_outlasts_the_grace_period_is_run_again_and_its_workflow_ends_right() {
    let world = World::new("local").await;
    let temporal = world.temporal().await;
    let short = world
        .config("short", PROBE)
        .timeout(Duration::from_secs(4))
        .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "300ms")
        .env("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "1200ms");
    let short = world.add(short);
    let long = world.config("long", PROBE).timeout(Duration::from_secs(60));
    let long = world.add(long.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    let id = world.id("it");
    temporal.start(&world.name, &id, "LocalDoze", 4500).await;
    let first = invoked_until_a_task(&short, "local_activity", "abandoned").await;
    assert_eq!(first.report()["poisoned"], false);

    let rest = temporal.served_by(&long, &id).await;
    assert_eq!(tasks(&rest, "local_activity", "completed"), 1);
    assert_eq!(temporal.result(&id).await, 1, "nobody cancelled it");
    // The server was told that the workflow task would not be completed.
    assert_eq!(timeouts(&temporal.history(&id).await), 0, "it was not waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_one_is_a_failed_attempt_and_nothing_else() {
    let world = World::new("panics").await;
    let temporal = world.temporal().await;
    let probe = world.add(world.config("probe", PROBE).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    let id = world.id("it");
    temporal.start(&world.name, &id, "Panics", ()).await;
    let invocations = temporal.served_by(&probe, &id).await;
    assert_eq!(temporal.result(&id).await, 2, "two attempts");
    assert_eq!(tasks(&invocations, "activity", "failed"), 1);
    assert_eq!(tasks(&invocations, "activity", "completed"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_runs_the_worker_is_not_idle() {
    let world = World::new("busy").await;
    let temporal = world.temporal().await;
    let probe = world.config("probe", PROBE).timeout(Duration::from_secs(60));
    // The server may take a while to bring an activity of a version that is new to it.
    let probe = world.add(probe.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    for (kind, counted) in [("Doze", "activity"), ("LocalDoze", "local_activity")] {
        let id = world.id(kind);
        temporal.start(&world.name, &id, kind, 3000).await;
        let invocation = invoked_until_a_task(&probe, counted, "completed").await;
        assert_eq!(invocation.report()["reason"], "idle");
        if !temporal.has_ended(&id).await {
            temporal.served_by(&probe, &id).await;
        }
        assert_eq!(temporal.result(&id).await, 1, "within the first attempt");
        assert!(invocation.duration >= Duration::from_secs(5), "it was idle before it ended");
        assert_soon("an invocation", invocation.duration, Duration::from_secs(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_know_how_much_time_the_invocation_has() {
    let world = World::new("time-left").await;
    let temporal = world.temporal().await;
    let probe = world.add(world.config("probe", PROBE).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "3s"));
    let id = world.id("it");
    temporal.start(&world.name, &id, "TimeLeft", ()).await;
    temporal.served_by(&probe, &id).await;
    let left = temporal.result(&id).await.as_u64().unwrap();
    assert!((10_000..20_000).contains(&left), "{left} ms of 20 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_outlives_invocations_without_a_workflow_task_that_times_out() {
    let world = World::new("patient").await;
    let temporal = world.temporal().await;
    let probe = world.add(world.config("probe", PROBE).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    let id = world.id("it");
    // It fires when nobody polls any more.
    temporal.start(&world.name, &id, "Patient", 9000).await;
    let has_timer = async |_: &Invocation| {
        let history = temporal.history(&id).await;
        (count(&history, EventType::TimerStarted) == 1).then_some(())
    };
    invoked_until(&probe, "a timer", has_timer).await;
    assert_eq!(count(&temporal.history(&id).await, EventType::TimerFired), 0);
    temporal.wait_for(&id, EventType::TimerFired).await;
    // On the sticky queue of the worker that left, the task would not be found until its timeout of
    // 10 s, when this invocation is long over.
    temporal.served_by(&probe, &id).await;
    assert_eq!(temporal.result(&id).await, 2, "one attempt of each");
    assert_eq!(timeouts(&temporal.history(&id).await), 0);
}
