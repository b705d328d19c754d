//! What happens to an environment besides being invoked: its end, and snapshots of it.

use std::time::Duration;

use temporal_lambda_testkit::lambda::EnvEvent;
use temporal_lambda_tests::{Invoked as _, SOON, World, world::position};

use crate::{ENDING, HELLO};

#[tokio::test(flavor = "multi_thread")]
async fn at_its_end_the_environment_lets_go_and_runs_the_users_hook() {
    let world = World::new("end").await;
    let function = world.add(world.brief("ending", ENDING));
    function.invoke("{}").await.unwrap().report();
    let environment = function.environments().remove(0);
    world.lambda.shutdown().await;
    let (code, signal) = environment.gone(SOON).await.expect("it is gone");
    assert_eq!((code, signal), (Some(0), None), "it ended by itself, within Lambda's time");
    let log: Vec<_> = environment.log().into_iter().map(|line| line.text).collect();
    let at = |text: &str| {
        log.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {log:?}"))
    };
    assert!(at("hook: the invocation ends") < at("hook: the environment ends"), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_restored_from_a_snapshot_connects_anew_and_works() {
    let world = World::new("snapshot").await;
    let temporal = world.temporal().await;
    let hello = world.config("hello", HELLO).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "300ms");
    let hello = world.add(hello.snap_start(true));
    for connection in ["new", "reused"] {
        let id = world.id(connection);
        temporal.start(&world.name, &id, "HelloWorkflow", "you").await;
        let invocation = hello.invoke("{}").await.unwrap();
        assert_eq!(invocation.report()["connection"], connection);
        temporal.result(&id).await;
    }
    let events = hello.environments().remove(0).events();
    position(&events, |event| matches!(event, EnvEvent::Ready));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_timeout_that_no_invocation_can_hold_is_warned_about_once() {
    let world = World::new("fit").await;
    let temporal = world.temporal().await;
    // 20 s are less than the activity's 60 s.
    let hello = world.config("hello", HELLO).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "300ms");
    let hello = world.add(hello);
    for number in 0..3 {
        let id = world.id(number);
        temporal.start(&world.name, &id, "HelloWorkflow", "you").await;
        hello.invoke("{}").await.unwrap().report();
        temporal.result(&id).await;
    }
    let environment = hello.environments().remove(0);
    let warnings = environment.log().into_iter();
    let warnings = warnings.filter(|line| line.text.contains("may take longer than an invocation"));
    assert_eq!(warnings.count(), 1);
    assert!(environment.view().pid.is_some_and(|pid| pid > 0));
    assert!(hello.idle(Duration::from_secs(5)).await.is_ok());
}
