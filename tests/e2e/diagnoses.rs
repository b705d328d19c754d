//! What reports say of their own accord: why no task comes, which activity does not fit, and that
//! slots hold a backlog back.

use std::time::Duration;

use serde_json::Value;
use temporal_lambda_testkit::frontend::{MockFrontend, Rpc};
use temporal_lambda_testkit::lambda::{Function, Invocation};
use temporal_lambda_testkit::server::DevServer;
use temporal_lambda_tests::{
    Invoked as _, World,
    invoked::{invoked_until, invoked_until_a_task, tasks},
    temporal::Version,
};
use temporalio_client::tonic::Code;

use crate::{HELLO, PROBE};

/// What a line of the log has in which a diagnosis stands.
const LOGGED: &str = "\"diagnosis\":";

/// The texts of a report's diagnoses of this kind, each of which is a warning in the log, too.
fn texts(invocation: &Invocation, kind: &str) -> Vec<String> {
    let report = invocation.report();
    let diagnoses = report["diagnoses"].as_array().unwrap_or_else(|| panic!("{report}"));
    let text = |it: &Value| it["text"].as_str().unwrap_or_default().to_owned();
    let texts: Vec<_> = diagnoses.iter().filter(|it| it["kind"] == kind).map(text).collect();
    let log = invocation.log_text();
    let warnings = log.lines().filter(|line| line.contains("\"WARN\"") && line.contains(LOGGED));
    assert_eq!(warnings.count(), diagnoses.len(), "{log}");
    texts
}

/// The one diagnosis of a report.
fn only(invocation: &Invocation, kind: &str) -> String {
    let mut texts = texts(invocation, kind);
    assert_eq!(texts.len(), 1, "{}\n{}", invocation.report(), invocation.log_text());
    assert_eq!(invocation.report()["diagnoses"].as_array().map(Vec::len), Some(1));
    texts.remove(0)
}

fn assert_none(invocation: &Invocation) {
    let report = invocation.report();
    assert_eq!(report["diagnoses"], serde_json::json!([]), "{report}");
    assert!(!invocation.log_text().contains(LOGGED), "{}", invocation.log_text());
}

/// What is said once of invocations without a task: in the third, or in the first after it in which a busy
/// server has answered in time; sooner if a busy server left a poll of an earlier one unanswered.
async fn said_of_three(function: &Function) -> String {
    let mut said = None;
    let mut had_trouble = false;
    for number in 1..=6 {
        let invocation = function.invoke("{}").await.unwrap();
        let report = invocation.report();
        let may_say = number >= 3 || had_trouble;
        had_trouble |= report["server_trouble"] != serde_json::json!([]);
        if said.is_some() || report["diagnoses"] == serde_json::json!([]) {
            assert_none(&invocation);
            continue;
        }
        assert!(may_say, "in invocation {number}: {report}");
        said = Some(only(&invocation, "invoked_for_nothing"));
    }
    said.expect("it is said in one of six invocations")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_current_is_why_no_task_comes_and_it_is_said_once() {
    let world = World::new("not-current").await;
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    let text = said_of_three(&hello).await;
    assert!(text.contains(&format!("{}/b1 is neither current nor ramping", world.name)), "{text}");
    let command = format!(
        "temporal worker deployment set-current-version --deployment-name {} --build-id b1",
        world.name
    );
    assert!(text.contains(&command), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_build_that_has_the_backlog_is_named() {
    let world = World::new("other-build").await;
    let temporal = world.temporal().await;
    let old =
        world.add(world.config_with_short_idle("old", HELLO).env("TEMPORAL_LAMBDA_BUILD_ID", "b0"));
    for number in 0..3 {
        temporal.start(&world.name, &world.id(number), "HelloWorkflow", "you").await;
    }
    let text = said_of_three(&old).await;
    assert!(text.contains(&format!("{}/b0 is neither current nor ramping", world.name)), "{text}");
    assert!(text.contains(&format!("go to {}/b1", world.name)), "{text}");
    assert!(text.contains("3 tasks wait"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_task_queue_of_the_version_that_has_the_backlog_is_named() {
    let world = World::new("other-queue").await;
    let temporal = world.temporal().await;
    let queue = format!("{}-other", world.name);
    // By a poll of the version the task queue is bound to it.
    let other =
        world.add(world.config_with_short_idle("other", HELLO).env("TEMPORAL_TASK_QUEUE", &queue));
    assert_none(&other.invoke("{}").await.unwrap());
    temporal.start(&queue, &world.id("it"), "HelloWorkflow", "you").await;
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    let text = said_of_three(&hello).await;
    assert!(text.contains(&format!("{queue:?}")) && text.contains("1 task waits"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_of_invocations_without_a_task_where_all_is_well_nor_after_a_task() {
    let world = World::new("well").await;
    let temporal = world.temporal().await;
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    for _ in 0..4 {
        assert_none(&hello.invoke("{}").await.unwrap());
    }
    // A version that lost its rank; but one invocation in three has had a task.
    let world = World::new("now-and-then").await;
    let temporal_too = world.temporal().await;
    let stays = world.config("hello", HELLO).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s");
    let hello = world.add(stays.timeout(Duration::from_secs(120)));
    temporal_too.start(&world.name, &world.id("it"), "SleepWorkflow", 1).await;
    invoked_until_a_task(&hello, "activity", "completed").await;
    temporal.make_current(Version { build_id: "b2", ..world.version() }).await;
    for _ in 0..2 {
        assert_none(&hello.invoke("{}").await.unwrap());
    }
    let third = hello.invoke("{}").await.unwrap();
    assert!(
        only(&third, "invoked_for_nothing").contains("is being replaced"),
        "{}",
        third.report()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_the_question_is_not_a_diagnosis() {
    let frontend = MockFrontend::new();
    let served = frontend.serve().await.unwrap();
    let world = World::at(&served.address().to_string(), "refuses").await;
    for call in ["DescribeWorkerDeploymentVersion", "DescribeWorkerDeployment"] {
        let call = Rpc::Other(call.to_owned());
        frontend.on(call).fail(Code::PermissionDenied, "no").always();
    }
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    for _ in 0..4 {
        assert_none(&hello.invoke("{}").await.unwrap());
    }
    let asked = frontend.count(Rpc::Other("DescribeWorkerDeploymentVersion".to_owned()));
    assert_eq!(asked, 1, "it was asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_the_server_does_not_take_is_named_with_the_servers_words() {
    let server = DevServer::builder()
        .dynamic_config("matching.maxVersionsInDeployment", 1)
        .start()
        .await
        .unwrap();
    let world = World::at(&server.address(), "cap").await;
    let _current = world.temporal().await;
    let refused = |name: &str, idle: &str| {
        let hello = world.config(name, HELLO).env("TEMPORAL_LAMBDA_BUILD_ID", "b2");
        let hello = hello.timeout(Duration::from_secs(60));
        world.add(hello.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", idle))
    };
    // The server refuses a poll after 5 s; one that is shorter it leaves without an answer.
    let second = refused("long", "8s").invoke("{}").await.unwrap();
    let text = only(&second, "invoked_for_nothing");
    assert!(text.contains(&format!("does not take version {}/b2", world.name)), "{text}");
    assert!(text.contains("maximum number of versions (1)"), "{text}");
    assert!(text.contains("has 1 version"), "{text}");

    let brief = refused("brief", "1s");
    let _ = brief.invoke("{}").await.unwrap();
    // At the latest the next invocation has the time to ask.
    let mut said = texts(&brief.invoke("{}").await.unwrap(), "invoked_for_nothing");
    said.extend(texts(&brief.invocations()[0], "invoked_for_nothing"));
    let version = format!("version {}/b2", world.name);
    assert!(said.iter().any(|text| text.contains(&version)), "{said:?}");

    // Nothing but an attempt to create it would tell that the server refuses it.
    let check = r#"{"temporal_lambda_worker": {"check": true}}"#;
    let verdict = brief.invoke(check).await.unwrap().report();
    let findings = verdict["findings"].as_array().unwrap().iter();
    let version = findings.clone().find(|it| it["code"] == "version-mismatch").unwrap();
    let advice = version["advice"].as_str().unwrap_or_default();
    assert!(advice.contains("has 1 of at most 100 versions"), "{advice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_whose_timeout_no_window_holds_is_named_once_unless_it_heartbeats() {
    let world = World::new("fit").await;
    let temporal = world.temporal().await;
    // 20 s are less than the activity's 60 s.
    let hello = world.add(world.config("hello", HELLO).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    let mut said = Vec::new();
    for (number, kind) in ["SleepWorkflow", "HelloWorkflow", "HelloWorkflow"].iter().enumerate() {
        let id = world.id(number);
        match *kind {
            "SleepWorkflow" => temporal.start(&world.name, &id, kind, 1).await,
            _ => temporal.start(&world.name, &id, kind, "you").await,
        }
        let invocations = temporal.served_by(&hello, &id).await;
        said.push(invocations.iter().flat_map(|it| texts(it, "does_not_fit")).collect::<Vec<_>>());
    }
    assert!(said[0].is_empty(), "it heartbeats: {said:?}");
    assert!(said[2].is_empty(), "it was said before: {said:?}");
    let [text] = &*said[1] else { panic!("{said:?}") };
    assert!(text.contains("\"greet\"") || text.contains("greet"), "{text}");
    assert!(text.contains("attempt 1"), "{text}");
    assert!(text.contains("start-to-close timeout of 1m"), "{text}");
    assert!(text.contains("no heartbeat timeout"), "{text}");

    let roomy = world.config("roomy", HELLO).timeout(Duration::from_secs(90));
    let roomy = world.add(roomy.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    let id = world.id("roomy");
    temporal.start(&world.name, &id, "HelloWorkflow", "you").await;
    temporal.served_by(&roomy, &id).await.iter().for_each(assert_none);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_that_a_window_cut_off_is_named_at_its_next_attempt() {
    let world = World::new("cut").await;
    let temporal = world.temporal().await;
    // Activities are cancelled after 3.3 s. One may take 5 s, so its timeout alone is said, too.
    let probe = world
        .config("probe", PROBE)
        .timeout(Duration::from_secs(8))
        .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "300ms")
        .env("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "5s");
    let probe = world.add(probe);
    let id = world.id("it");
    temporal.start(&world.name, &id, "Doze", 4500).await;
    let cut_off = async |it: &Invocation| {
        let said = it.reported().and_then(|_| texts(it, "does_not_fit").pop());
        said.filter(|text| text.contains("cut off after"))
    };
    let what = "an attempt after one that was cut off";
    let (text, invocations) = invoked_until(&probe, what, cut_off).await;
    assert!(text.contains("doze") && !text.contains("(attempt 1)"), "{text}");
    // One that does not end within 250 ms after its cancellation, as on a busy machine, is dropped: cut off as well.
    let ended = |outcome| tasks(&invocations, "activity", outcome);
    assert!(ended("cancelled") + ended("abandoned") >= 1, "{invocations:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_slots_before_a_backlog_are_named_with_the_setting_and_nothing_is_said_without_one() {
    let world = World::new("slots").await;
    let temporal = world.temporal().await;
    let probe = |name: &str, slots: &str| {
        let probe = world.config(name, PROBE).timeout(Duration::from_secs(120));
        let probe = probe.env("TEMPORAL_LAMBDA_MAX_CONCURRENT_ACTIVITIES", slots);
        world.add(probe.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"))
    };
    let (narrow, wide) = (probe("narrow", "1"), probe("wide", "8"));
    for (name, function, workflows) in
        [("backlog", &narrow, 5), ("alone", &narrow, 1), ("wide", &wide, 5)]
    {
        for number in 0..workflows {
            temporal.start(&world.name, &world.id(format!("{name}-{number}")), "Doze", 3000).await;
        }
        let invocation = function.invoke("{}").await.unwrap();
        let report = invocation.report();
        assert_eq!(report["tasks"]["activity"]["completed"], workflows, "{name}: {report}");
        if name == "backlog" {
            let text = only(&invocation, "slots_full");
            assert!(text.contains("max_concurrent_activities"), "{text}");
            assert!(text.contains("TEMPORAL_LAMBDA_MAX_CONCURRENT_ACTIVITIES"), "{text}");
            assert!(text.contains("vCPU"), "{text}");
        } else {
            assert_none(&invocation);
        }
    }
}
