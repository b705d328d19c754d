//! The user's code around the worker: what is called, in which order, and how often, whatever
//! goes wrong.

use std::time::Duration;

use serde_json::Value;
use temporal_lambda_testkit::lambda::{FunctionConfig, Invocation, Outcome};
use temporal_lambda_tests::{Invoked as _, World};

use crate::PROBE;

/// What the probe said during an invocation.
pub(crate) fn said(invocation: &Invocation) -> Vec<String> {
    let lines = invocation.log.iter().filter_map(|line| line.text.strip_prefix("probe: "));
    lines.map(str::to_owned).collect()
}

/// A probe with little time: 2.1 s to work, 0.9 s to end.
pub(crate) fn probe_with_short_deadline(world: &World, name: &str) -> FunctionConfig {
    world
        .config_with_short_idle(name, PROBE)
        .timeout(Duration::from_secs(3))
        .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "100ms")
        .env("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "900ms")
}

/// That the hooks and `on_shutdown` ran once each, in order, at the end.
fn assert_ended_well(invocation: &Invocation, reason: &str) {
    let said = said(invocation);
    let expected = [
        format!("hook first after {reason}"),
        format!("hook second after {reason}"),
        "on_shutdown closes resource 1".to_owned(),
    ];
    assert!(said.ends_with(&expected), "{said:?}");
    for line in ["configure", "on_start", "hook first", "hook second", "on_shutdown"] {
        let times = said.iter().filter(|it| it.starts_with(line)).count();
        assert!(times <= 1, "{line} was called {times} times: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_come_in_order_and_each_invocation_has_its_own_resource() {
    let world = World::new("order").await;
    let probe = world.add(world.config_with_short_idle("probe", PROBE));
    for number in 1..=3 {
        let invocation = probe.invoke("{}").await.unwrap();
        let expected = [
            format!("configure opens resource {number}"),
            format!("on_start for {}", world.name),
            "hook first after Idle".to_owned(),
            "hook second after Idle".to_owned(),
            format!("on_shutdown closes resource {number}"),
        ];
        assert_eq!(said(&invocation), expected);
        let report = invocation.report();
        assert_eq!(report["hooks"][0]["name"], "first");
        assert_eq!(report["hooks"][1]["outcome"], "ok");
        assert_eq!(report["on_shutdown"]["outcome"], "ok");
    }
    assert_eq!(probe.environments().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_and_on_shutdown_run_once_whatever_failed() {
    let world = World::new("failures").await;
    let probe = |name: &str| probe_with_short_deadline(&world, name);
    let nowhere = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let cases = [
        (probe("a").env("PROBE_CONFIGURE", "fail"), "ConfigureFailed", "PROBE_CONFIGURE said so"),
        (probe("b").env("PROBE_CONFIGURE", "panic"), "Panicked", "configure panicked: PROBE_CONF"),
        (probe("c").env("PROBE_CONFIGURE", "hang"), "OutOfTime", "configure did not return"),
        (probe("d").env("PROBE_ON_START", "fail"), "OnStartFailed", "PROBE_ON_START said so"),
        (probe("e").env("PROBE_ON_START", "panic"), "Panicked", "on_start panicked: PROBE_ON_S"),
        (probe("f").env("PROBE_ON_START", "hang"), "OutOfTime", "on_start did not return"),
        (probe("g").timeout(Duration::from_millis(1800)), "TooLittleTime", "for work"),
        (
            probe("h").env("TEMPORAL_ADDRESS", nowhere.to_string()),
            "TemporalUnreachable",
            "TEMPORAL_ADDRESS",
        ),
        (
            probe("i").env("TEMPORAL_NAMESPACE", "no-such-namespace"),
            "NamespaceNotFound",
            "TEMPORAL_NAMESPACE",
        ),
        (
            probe("j").env("TEMPORAL_LAMBDA_WORKER_HEARTBEAT_INTERVAL", "1ms"),
            "Configuration",
            "heartbeat",
        ),
    ];
    // A few at a time, as on a machine with few cores.
    for some in cases.chunks(4) {
        let some = some.iter().map(|(config, kind, text)| {
            let function = world.add(config.clone());
            async move { (function.invoke("{}").await.unwrap(), *kind, *text) }
        });
        for (invocation, kind, text) in futures::future::join_all(some).await {
            let (seen, message) = invocation.error();
            assert_eq!(seen, kind, "{message}");
            assert!(message.contains(text), "{text} is not in {message}");
            assert_ended_well(&invocation, "Failed");
            assert!(invocation.time_left_at_response > Duration::from_millis(20), "{kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_hook_stops_neither_the_others_nor_on_shutdown_and_fails_nothing() {
    let world = World::new("hooks").await;
    let said_so = |outcome: &str, variable: &str| {
        (Value::from(outcome), Value::from(format!("{variable} said so")))
    };
    let (ok, timed_out) = (Value::from("ok"), (Value::from("timed_out"), Value::Null));
    let cases = [
        ("PROBE_HOOK", "fail", said_so("failed", "PROBE_HOOK")),
        ("PROBE_HOOK", "panic", said_so("panicked", "PROBE_HOOK")),
        ("PROBE_HOOK", "hang", timed_out.clone()),
        ("PROBE_ON_SHUTDOWN", "fail", said_so("failed", "PROBE_ON_SHUTDOWN")),
        ("PROBE_ON_SHUTDOWN", "panic", said_so("panicked", "PROBE_ON_SHUTDOWN")),
        ("PROBE_ON_SHUTDOWN", "hang", timed_out),
    ];
    for (number, (variable, way, outcome)) in cases.into_iter().enumerate() {
        let name = format!("probe-{number}");
        let probe = world.add(probe_with_short_deadline(&world, &name).env(variable, way));
        let invocation = probe.invoke("{}").await.unwrap();
        let report = invocation.report();
        assert_ended_well(&invocation, "Idle");
        assert_eq!(report["hooks"][1]["outcome"], ok);
        let (bad, good) = if variable == "PROBE_HOOK" {
            (&report["hooks"][0], &report["on_shutdown"])
        } else {
            (&report["on_shutdown"], &report["hooks"][0])
        };
        assert_eq!((bad["outcome"].clone(), bad["message"].clone()), outcome, "{way}");
        assert_eq!(good["outcome"], ok, "{way}");
        // The next invocation is none the worse for it.
        let again = probe.invoke("{}").await.unwrap();
        assert!(!again.cold && matches!(again.outcome, Outcome::Response(_)), "{}", again.outcome);
    }
}
