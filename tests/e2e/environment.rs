//! What happens to an environment besides being invoked: its end, and snapshots of it.

use temporal_lambda_test_timing::test_timeout;
use temporal_lambda_testkit::lambda::EnvEvent;
use temporal_lambda_tests::{Invoked as _, Proxy, Temporal, World, server, world::position};

use crate::{ENDING, HELLO};

#[tokio::test(flavor = "multi_thread")]
async fn at_its_end_the_environment_lets_go_and_runs_the_users_hook() {
    let world = World::new("end").await;
    let function = world.add(world.config_with_short_idle("ending", ENDING));
    function.invoke("{}").await.unwrap().report();
    let environment = function.environments().remove(0);
    world.lambda.shutdown().await;
    let (code, signal) = environment.gone(test_timeout()).await.expect("it is gone");
    assert_eq!((code, signal), (Some(0), None), "it ended by itself, within Lambda's time");
    let log: Vec<_> = environment.log().into_iter().map(|line| line.text).collect();
    let at = |text: &str| {
        log.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {log:?}"))
    };
    assert!(at("hook: the invocation ends") < at("hook: the environment ends"), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_without_a_hook_for_its_end_is_ended_by_the_signal() {
    let world = World::new("signal").await;
    let function = world.add(world.config_with_short_idle("hello", HELLO));
    function.invoke("{}").await.unwrap().report();
    let environment = function.environments().remove(0);
    world.lambda.shutdown().await;
    let ended = environment.gone(test_timeout()).await.expect("it is gone");
    assert_eq!(ended, (None, Some(15)), "nothing of the library's stands in the way of SIGTERM");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_with_snap_start_is_restored_before_it_connects_or_asks_for_an_event() {
    let proxy = Proxy::to(server::shared().address()).await;
    let world = World::at(&proxy.address(), "snapshot").await;
    // Not through the proxy, which counts the function's connections.
    let temporal = Temporal::connect(server::shared().address()).await;
    temporal.make_current(world.version()).await;
    let hello = world.config("hello", HELLO).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s");
    let hello = world.add(hello.snap_start(true));
    hello.provision(1).await.unwrap();
    let environment = hello.environments().remove(0);
    let events = environment.events();
    let restored = position(&events, |event| matches!(event, EnvEvent::RestoreRequested));
    let ready = position(&events, |event| matches!(event, EnvEvent::Ready));
    assert!(restored < ready, "{events:?}");
    assert_eq!(proxy.accepted(), 0, "a snapshot with a connection in it");

    for connection in ["new", "reused"] {
        let id = world.id(connection);
        temporal.start(&world.name, &id, "HelloWorkflow", "you").await;
        let invocations = temporal.served_by(&hello, &id).await;
        assert_eq!(invocations[0].report()["connection"], connection);
    }
    assert_eq!(proxy.accepted(), 1);
    let restores = environment.events().into_iter();
    assert_eq!(restores.filter(|event| matches!(event, EnvEvent::RestoreRequested)).count(), 1);
}
