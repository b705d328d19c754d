//! Check mode: everything but polling.

use serde_json::{Value, json};
use temporal_lambda_testkit::frontend::{MockFrontend, Rpc};
use temporal_lambda_testkit::lambda::Function;
use temporal_lambda_tests::{API_KEY, Invoked as _, World};
use temporalio_client::tonic::Code;

use crate::{HELLO, PROBE};

const CHECK: &str = r#"{"temporal_lambda_worker": {"check": true}}"#;

async fn check(function: &Function) -> Value {
    let invocation = function.invoke(CHECK).await.unwrap();
    let verdict = invocation.json();
    verdict.unwrap_or_else(|| panic!("{}\n{}", invocation.outcome, invocation.log_text()))
}

/// Code and message of the first finding about a subject.
fn finding<'a>(verdict: &'a Value, subject: &str) -> (&'a str, &'a str) {
    let findings = verdict["findings"].as_array().expect("findings");
    let found = findings.iter().find(|finding| finding["subject"] == subject);
    let found = found.unwrap_or_else(|| panic!("nothing about {subject} in {findings:#?}"));
    (found["code"].as_str().unwrap_or_default(), found["message"].as_str().unwrap_or_default())
}

/// The message of the finding with a code.
fn message<'a>(verdict: &'a Value, code: &str) -> &'a str {
    let findings = verdict["findings"].as_array().expect("findings");
    let found = findings.iter().find(|finding| finding["code"] == code);
    let found = found.unwrap_or_else(|| panic!("no {code} in {findings:#?}"));
    found["message"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_registers_nothing_and_says_that_the_version_is_unknown() {
    let world = World::new("check-unknown").await;
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    for _ in 0..2 {
        // The second time would find what the first had registered.
        let verdict = check(&hello).await;
        assert_eq!(verdict["ready"], false);
        let message = message(&verdict, "no-deployment");
        assert!(message.contains(&format!("{}/b1", world.name)), "{message}");
        assert_eq!(finding(&verdict, "connection").0, "ok");
        assert_eq!(verdict["report"]["first_poll_ms"], Value::Null, "it did not poll");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_version_that_is_current_misses_only_its_compute_provider() {
    let world = World::new("check-current").await;
    let _temporal = world.temporal().await;
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    let verdict = check(&hello).await;
    // The version came into being by a poll, so the server knows no function to invoke.
    assert_eq!(verdict["ready"], false, "{verdict:#}");
    let findings = verdict["findings"].as_array().expect("findings");
    let problems: Vec<_> = findings.iter().filter(|it| it["level"] == "problem").collect();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0]["code"], "no-compute-provider");
    for subject in
        ["settings", "time", "connection", "namespace", "version", "task queue", "routing"]
    {
        assert_eq!(finding(&verdict, subject).0, "ok", "{verdict:#}");
    }
    let configuration = &verdict["configuration"];
    assert_eq!(configuration["task_queue"], world.name.as_str());
    assert_eq!(configuration["api_key"], true, "that there is one may be said");
    assert!(!verdict.to_string().contains(API_KEY), "what it is may not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_what_would_fail() {
    let world = World::new("check-fails").await;
    let three_seconds =
        world.config_with_short_idle("short", HELLO).timeout(std::time::Duration::from_secs(3));
    let verdict = check(&world.add(three_seconds)).await;
    assert_eq!(verdict["ready"], false);
    assert!(message(&verdict, "timeout-too-short").contains("7s"), "{verdict:#}");

    let nowhere =
        world.config_with_short_idle("nowhere", HELLO).env("TEMPORAL_ADDRESS", "127.0.0.1:1");
    let verdict = check(&world.add(nowhere)).await;
    assert!(message(&verdict, "unreachable").contains("127.0.0.1:1"), "{verdict:#}");

    let typo = world.config_with_short_idle("typo", HELLO).env("TEMPORAL_LAMBDA_BULD_ID", "x");
    let verdict = check(&world.add(typo)).await;
    assert!(message(&verdict, "settings-refused").contains("BUILD_ID"), "{verdict:#}");

    let probe = world.config_with_short_idle("failing", PROBE).env("PROBE_CONFIGURE", "fail");
    let verdict = check(&world.add(probe)).await;
    assert!(message(&verdict, "invocation-failed").contains("configure failed"), "{verdict:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_shuts_down_what_configure_set_up_but_does_not_start() {
    let world = World::new("check-bracket").await;
    let _temporal = world.temporal().await;
    let probe = world.add(world.config_with_short_idle("probe", PROBE));
    let invocation = probe.invoke(CHECK).await.unwrap();
    let log = invocation.log_text();
    assert!(log.contains("configure"), "{log}");
    assert!(log.contains("on_shutdown"), "{log}");
    assert!(!log.contains("probe: on_start"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_in_a_warm_environment_asks_the_server_anew() {
    let frontend = MockFrontend::new();
    let served = frontend.serve().await.unwrap();
    let world = World::at(&served.address().to_string(), "check-anew").await;
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    hello.invoke("{}").await.unwrap().report();
    // Whoever has no rights any more is still told what server this is.
    let words = format!("no rights for {API_KEY}");
    frontend.on(Rpc::DescribeNamespace).fail(Code::PermissionDenied, words).always();
    let verdict = check(&hello).await;
    assert_eq!(verdict["ready"], false, "{verdict:#}");
    let message = message(&verdict, "refused");
    assert!(message.contains("PermissionDenied: no rights for [API key]"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_may_not_see_the_version_is_not_ready() {
    let frontend = MockFrontend::new();
    let served = frontend.serve().await.unwrap();
    let world = World::at(&served.address().to_string(), "check-rights").await;
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    let describe = Rpc::Other("DescribeWorkerDeployment".to_owned());
    for (code, ready) in [
        (Code::PermissionDenied, false),
        (Code::Unauthenticated, false),
        (Code::Unavailable, false),
        (Code::Unimplemented, true),
    ] {
        frontend.clear_scripts(&describe);
        frontend.on(describe.clone()).fail(code, "no").always();
        let verdict = check(&hello).await;
        assert_eq!(verdict["ready"], ready, "{code:?}: {verdict:#}");
        assert!(finding(&verdict, "deployment").1.contains(&format!("{code:?}: no")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_shows_what_is_odd_about_the_configuration() {
    let world = World::new("check-odd").await;
    std::fs::write(world.task_root().join("temporal.toml"), "[lambda_wroker]\nx = 1\n").unwrap();
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    // Logged once, but found each time.
    for _ in 0..2 {
        let verdict = check(&hello).await;
        let message = message(&verdict, "settings-warning");
        assert!(message.contains("[lambda_wroker]"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_seen_through_what_aws_wraps_around_it() {
    let world = World::new("check-wrapped").await;
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    let request =
        json!({"version": "2.0", "rawPath": "/", "body": CHECK, "isBase64Encoded": false});
    let queue = json!({"Records": [{"messageId": "m", "body": CHECK}]});
    for event in [request, queue] {
        let invocation = hello.invoke(event.to_string()).await.unwrap();
        assert!(invocation.report()["findings"].is_array(), "{event}");
    }
    let log = hello.environments().remove(0).log();
    let verdicts = log.iter().filter(|line| line.text.contains("verdict"));
    assert_eq!(verdicts.count(), 1, "nobody reads what is answered to a queue");
    let mixed = json!({"Records": [{"body": CHECK}, {"body": "order 7"}]});
    let report = hello.invoke(mixed.to_string()).await.unwrap().report();
    assert_eq!(report["reason"], "idle", "the order is work");
}
