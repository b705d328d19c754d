//! The connection between invocations: kept, lost, replaced. The function is frozen meanwhile.

use std::time::Duration;

use serde_json::Value;
use temporal_lambda_test_timing::{assert_soon, eventually};
use temporal_lambda_testkit::{
    frontend::MockFrontend,
    lambda::{EnvironmentState, Function},
    server::DevServer,
};
use temporal_lambda_tests::{Invoked as _, Proxy, Temporal, World, server};

use crate::{HELLO, LOGS_MOVES};

/// A function behind a proxy, and its Temporal without one.
struct Behind {
    world: World,
    temporal: Temporal,
    proxy: Proxy,
}

impl Behind {
    async fn proxy(proxy: Proxy, name: &str) -> Self {
        let temporal = Temporal::connect(server::shared().address()).await;
        let world = World::at(&proxy.address(), name).await;
        temporal.make_current(world.version()).await;
        Self { world, temporal, proxy }
    }

    async fn plain(name: &str) -> Self {
        Self::proxy(Proxy::to(server::shared().address()).await, name).await
    }

    fn hello(&self) -> Function {
        let config = self.world.config("hello", HELLO);
        self.world.add(config.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"))
    }

    /// Completes one workflow: the report of the first invocation, which does it as a rule.
    async fn complete_one(&self, hello: &Function, number: usize) -> Value {
        let id = self.world.id(number);
        self.temporal.start(&self.world.name, &id, "HelloWorkflow", number.to_string()).await;
        let report = self.temporal.served_by(hello, &id).await[0].report();
        assert_eq!(self.temporal.result(&id).await, format!("Hello, {number}!"));
        assert_eq!(hello.environments().len(), 1, "the process is the same");
        assert_eq!(hello.environments()[0].state(), EnvironmentState::Frozen);
        report
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_kept_while_frozen_and_spares_the_next_invocation_round_trips() {
    let round_trip = Duration::from_millis(100);
    let proxy = Proxy::with_round_trip(server::shared().address(), round_trip).await;
    let behind = Behind::proxy(proxy, "kept").await;
    let hello = behind.hello();
    let cold = behind.complete_one(&hello, 1).await;
    let mut warm_polls = Vec::new();
    for number in 2..=4 {
        let warm = behind.complete_one(&hello, number).await;
        assert_eq!(warm["connection"], "reused");
        warm_polls.push(warm["first_poll_ms"].as_u64().unwrap());
    }
    assert_eq!(cold["connection"], "new");
    assert_eq!(behind.proxy.accepted(), 1, "one connection for all");
    let cold_poll = cold["first_poll_ms"].as_u64().unwrap();
    let warm_poll = *warm_polls.iter().min().unwrap();
    println!("first poll after {cold_poll} ms cold, {warm_polls:?} ms warm");
    assert!(warm_poll < cold_poll, "{warm_poll} ms warm, {cold_poll} ms cold");
}

/// On a slow network each of them takes a round trip.
#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_right_after_another_asks_nothing_before_it_polls() {
    let frontend = MockFrontend::new();
    let served = frontend.serve().await.unwrap();
    let world = World::at(&served.address().to_string(), "questions").await;
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    let mut asked = Vec::new();
    for _ in 0..2 {
        let before = frontend.seen().len();
        hello.invoke("{}").await.unwrap().report();
        let calls = frontend.seen().into_iter().skip(before).map(|call| call.rpc);
        asked.push(calls.take_while(|rpc| !rpc.is_poll()).count());
    }
    assert!(asked[0] > 1, "{asked:?}");
    assert_eq!(asked[1], 0, "the server has just answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_cut_while_frozen_is_dialed_again() {
    let behind = Behind::plain("cut").await;
    let hello = behind.hello();
    behind.complete_one(&hello, 1).await;
    behind.proxy.cut();
    let report = behind.complete_one(&hello, 2).await;
    // The channel sees that the socket is closed and dials again by itself, under the probe. If
    // the probe is faster, it fails, and the connection is made anew.
    assert!(
        ["reused", "reconnected"].contains(&report["connection"].as_str().unwrap()),
        "{report}"
    );
    assert_eq!(behind.proxy.accepted(), 2);
    assert_eq!(behind.complete_one(&hello, 3).await["connection"], "reused");
    assert_eq!(behind.proxy.accepted(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_went_silent_while_frozen_is_replaced_after_half_a_second() {
    let behind = Behind::plain("black-hole").await;
    let hello = behind.world.config("hello", HELLO).timeout(Duration::from_secs(60));
    let hello = behind.world.add(hello.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    behind.complete_one(&hello, 1).await;
    behind.proxy.black_hole();
    // The server is not asked whether it is there within 5 s of its last answer.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let report = behind.complete_one(&hello, 2).await;
    assert_eq!(report["connection"], "reconnected");
    let first_poll = Duration::from_millis(report["first_poll_ms"].as_u64().unwrap());
    assert!(first_poll >= Duration::from_millis(450), "{first_poll:?}");
    assert_soon("the first poll", first_poll, Duration::from_millis(500));
    assert_eq!(behind.complete_one(&hello, 3).await["connection"], "reused");
}

/// It is not asked for: polls are the first calls on it, and nobody answers them.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_went_silent_just_after_an_answer_costs_one_invocation_its_polls() {
    let behind = Behind::plain("just-after").await;
    let hello = behind.world.config("hello", HELLO).timeout(Duration::from_secs(60));
    let hello = behind.world.add(hello.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    behind.complete_one(&hello, 1).await;
    behind.proxy.black_hole();
    let invocation = hello.invoke("{}").await.unwrap();
    assert!(invocation.log_text().contains("no answer came in time"), "{}", invocation.log_text());
    let report = behind.complete_one(&hello, 2).await;
    assert!(["new", "reconnected"].contains(&report["connection"].as_str().unwrap()), "{report}");
    assert_eq!(behind.proxy.accepted(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_goes_silent_while_the_worker_polls_does_not_spoil_the_next_invocation() {
    let behind = Behind::plain("mid-poll").await;
    let hello = behind.world.config("hello", HELLO);
    let hello = hello
        .timeout(Duration::from_secs(8))
        .env("RUST_LOG", LOGS_MOVES)
        .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "300ms")
        .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s");
    let hello = behind.world.add(hello);
    behind.complete_one(&hello, 1).await;
    let polls_begun = || {
        let log = hello.environments()[0].log();
        log.iter().filter(|line| line.text.contains(r#""to":"Polling""#)).count()
    };
    let before = polls_begun();
    let silence = async {
        eventually("polling by the second invocation", || polls_begun() > before).await;
        behind.proxy.black_hole();
    };
    let (invocation, ()) = tokio::join!(hello.invoke("{}"), silence);
    let invocation = invocation.unwrap();
    println!("{} after {:?}", invocation.outcome, invocation.duration);
    assert!(invocation.time_left_at_response > Duration::from_millis(20), "{}", invocation.outcome);
    // The server still believes in the lost polls and may give them tasks, which nobody can help;
    // but the function polls again at once.
    let report = hello.invoke("{}").await.unwrap().report();
    assert!(["new", "reconnected"].contains(&report["connection"].as_str().unwrap()), "{report}");
    assert!(report["first_poll_ms"].is_u64(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_too_old_is_replaced_and_none_is_kept_when_that_is_off() {
    let behind = Behind::plain("age").await;
    let old = behind
        .world
        .config_with_short_idle("old", HELLO)
        .env("TEMPORAL_LAMBDA_MAX_CONNECTION_AGE", "1ms");
    let off = behind
        .world
        .config_with_short_idle("off", HELLO)
        .env("TEMPORAL_LAMBDA_REUSE_CONNECTION", "false");
    for (config, expected) in [(old, ["new", "replaced"]), (off, ["new", "new"])] {
        let function = behind.world.add(config);
        for how in expected {
            assert_eq!(function.invoke("{}").await.unwrap().report()["connection"], how);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_may_be_restarted_between_invocations() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevServer::builder().db_filename(folder.path().join("db")).start().await.unwrap();
    let world = World::at(&server.address(), "restart").await;
    let temporal = world.temporal().await;
    let config = world.config("hello", HELLO).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s");
    let hello = world.add(config);
    assert_eq!(hello.invoke("{}").await.unwrap().report()["connection"], "new");

    drop(temporal);
    let server = server.restart().await.unwrap();
    let temporal = Temporal::connect(&server.address()).await;
    let id = world.id("it");
    temporal.start(&world.name, &id, "HelloWorkflow", "again").await;
    let report = temporal.served_by(&hello, &id).await[0].report();
    assert_eq!(temporal.result(&id).await, "Hello, again!");
    // As with any connection that was cut.
    assert!(
        ["reused", "reconnected"].contains(&report["connection"].as_str().unwrap()),
        "{report}"
    );
    assert_eq!(hello.environments().len(), 1, "the process is the same");
}
