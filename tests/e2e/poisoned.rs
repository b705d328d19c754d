//! Code that blocks its thread cannot be stopped: the response is still in time, and the process
//! is replaced.

use std::time::Duration;

use temporal_lambda_test_timing::test_timeout;
use temporal_lambda_testkit::lambda::{EnvEvent, Function, Invocation};
use temporal_lambda_tests::{Invoked as _, World, invoked::invoked_until, world::position};
use temporal_lambda_worker::POISONED_EXIT_CODE;

use crate::{
    PROBE,
    calls::{probe_with_short_deadline, said},
};

/// That the error was posted in time, and that the process went after that, by its own exit.
async fn assert_replaced(function: &Function, invocation: &Invocation) {
    invocation.error();
    assert!(invocation.time_left_at_response > Duration::from_millis(20), "{}", invocation.outcome);
    let env = function.environment(&invocation.environment).unwrap();
    assert_eq!(env.gone(test_timeout()).await.unwrap(), (Some(POISONED_EXIT_CODE), None));
    let events = env.events();
    let posted = position(&events, |it| matches!(it, EnvEvent::ErrorPosted { .. }));
    let exited = position(&events, |it| matches!(it, EnvEvent::Exited { .. }));
    assert!(posted < exited, "{events:?}");
    assert!(!events.contains(&EnvEvent::Killed), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_an_activity_and_the_next_invocation_is_cold_and_healthy() {
    let world = World::new("block").await;
    let temporal = world.temporal().await;
    let probe = world
        .config("probe", PROBE)
        .timeout(Duration::from_secs(4))
        .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "300ms")
        .env("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "1200ms")
        .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "1500ms");
    let probe = world.add(probe);
    let id = world.id("it");
    temporal.start(&world.name, &id, "Block", ()).await;
    let begins = async |invocation: &Invocation| {
        said(invocation).contains(&"block begins".to_owned()).then_some(())
    };
    let first = invoked_until(&probe, "the activity", begins).await.1.pop().unwrap();
    let (kind, message) = first.error();
    assert_eq!(kind, "WorkerNotStopped");
    assert!(message.contains("blocks its thread"), "{message}");
    assert!(message.contains("must not be used again"), "{message}");
    // All else had its turn.
    assert!(said(&first).iter().any(|line| line.starts_with("on_shutdown closes resource")));
    assert_replaced(&probe, &first).await;

    let second = probe.invoke("{}").await.unwrap();
    assert!(second.cold);
    assert!(second.outcome.is_success(), "{}", second.outcome);
    // The server tries the activity again once the first attempt is out of time.
    if !temporal.has_ended(&id).await {
        temporal.served_by(&probe, &id).await;
    }
    assert_eq!(temporal.result(&id).await, 2, "two attempts");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_any_callback_and_the_others_still_run() {
    let world = World::new("callbacks").await;
    let cases = [
        ("configure", "PROBE_CONFIGURE", "OutOfTime"),
        ("on-start", "PROBE_ON_START", "OutOfTime"),
        ("hook", "PROBE_HOOK", "NotSettled"),
        ("on-shutdown", "PROBE_ON_SHUTDOWN", "NotSettled"),
    ];
    for (name, variable, kind) in cases {
        let probe = world.add(probe_with_short_deadline(&world, name).env(variable, "block"));
        let invocation = probe.invoke("{}").await.unwrap();
        let (seen, message) = invocation.error();
        assert_eq!(seen, kind, "{name}: {message}");
        assert!(message.contains("must not be used again"), "{name}: {message}");
        let said = said(&invocation);
        let hooks = said.iter().filter(|line| line.starts_with("hook ")).count();
        assert_eq!(hooks, 2, "{name}: {said:?}");
        // Whoever blocks has the user's struct, so `on_shutdown` cannot have it.
        let shut_down = said.iter().any(|line| line.starts_with("on_shutdown"));
        assert_eq!(shut_down, !matches!(name, "configure" | "on-start"), "{name}: {said:?}");
        assert_replaced(&probe, &invocation).await;
    }
}
