//! What an invocation leaves in the log: lines, and figures in the Embedded Metric Format.

use serde_json::Value;
use temporal_lambda_testkit::lambda::Invocation;
use temporal_lambda_testkit::otlp::OtlpReceiver;
use temporal_lambda_tests::{Invoked as _, World};

use super::traced;
use crate::LOGS_MOVES;

/// The lines that are JSON.
fn json_lines(invocation: &Invocation) -> Vec<Value> {
    let lines = invocation.log.iter();
    lines.filter_map(|line| serde_json::from_str(&line.text).ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_json_with_request_id_state_and_reason_the_users_and_the_sdks_included() {
    let world = World::new("logs").await;
    let _temporal = world.temporal().await;
    let collector = OtlpReceiver::start().await.unwrap();
    let config = traced(&world, &collector, "traced").env("TRACED_START", "yes");
    let config = config.env("RUST_LOG", LOGS_MOVES);
    let function = world.add(config.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    let invocation = function.invoke("{}").await.unwrap();
    let id = invocation.request_id.as_str();
    let lines = json_lines(&invocation);
    let line = |message: &str| {
        let line = lines.iter().find(|line| line["message"] == message);
        line.unwrap_or_else(|| panic!("no {message:?} in\n{}", invocation.log_text()))
    };
    let within = |line: &Value| {
        let spans = line["spans"].as_array().cloned().unwrap_or_default();
        spans.iter().any(|span| span["request_id"] == id)
    };
    for message in ["noted", "Initializing worker", "invocation ended", "lifecycle"] {
        assert!(within(line(message)), "{message}: {}", line(message));
    }
    for key in ["timestamp", "level"] {
        assert!(line("noted")[key].is_string());
    }
    let ended = line("invocation ended");
    assert_eq!(ended["request_id"], id);
    assert_eq!(ended["state"], "TornDown");
    assert_eq!(ended["reason"], "idle");
    let states = lines.iter().map(|line| line["state"].as_str());
    for state in ["Configuring", "Connected", "Polling", "Draining", "TornDown"] {
        assert!(states.clone().any(|it| it == Some(state)), "{state}");
    }
}

/// What the guide's queries for CloudWatch Logs Insights name.
const QUERIED: [&str; 9] = [
    "message",
    "reason",
    "cold_start",
    "total_ms",
    "first_poll_ms",
    "polling_ms",
    "workflow_tasks_completed",
    "activities_completed",
    "deployment_name",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_an_invocation_has_every_field_that_the_guide_queries_at_its_top_level() {
    let guide = include_str!("../../../crates/temporal-lambda-worker/src/docs/observability.md");
    let world = World::new("insights").await;
    let _temporal = world.temporal().await;
    let hello = world.add(world.config_with_short_idle("hello", crate::HELLO));
    let invocation = hello.invoke("{}").await.unwrap();
    let lines = json_lines(&invocation);
    let ended: Vec<_> = lines.iter().filter(|it| it["message"] == "invocation ended").collect();
    assert_eq!(ended.len(), 1, "{}", invocation.log_text());
    for name in QUERIED {
        assert!(guide.contains(name), "the guide does not query {name}");
        let value = &ended[0][name];
        assert!(!value.is_null() && !value.is_object(), "{name} in {}", ended[0]);
    }
    let report: Value = serde_json::from_str(ended[0]["report"].as_str().unwrap()).unwrap();
    assert_eq!(report, invocation.report(), "the line has the whole report, too");
    assert_eq!(ended[0]["total_ms"], report["total_ms"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lambdas_log_format_and_level_are_followed() {
    let world = World::new("log-settings").await;
    let collector = OtlpReceiver::start().await.unwrap();
    let text = traced(&world, &collector, "text").env("AWS_LAMBDA_LOG_FORMAT", "Text");
    let text = world.add(text).invoke("{}").await.unwrap();
    assert!(text.log_text().contains("invocation ended request_id="), "{}", text.log_text());
    let plain = world.add(traced(&world, &collector, "plain")).invoke("{}").await.unwrap();
    assert!(plain.log_text().contains("invocation ended"), "{}", plain.log_text());
    assert!(!plain.log_text().contains("lifecycle"), "moves are DEBUG: {}", plain.log_text());
    let quiet = traced(&world, &collector, "quiet").env("AWS_LAMBDA_LOG_LEVEL", "WARN");
    let quiet = world.add(quiet).invoke("{}").await.unwrap();
    assert!(!quiet.log_text().contains("invocation ended"), "{}", quiet.log_text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocations_figures_are_one_line_of_the_embedded_metric_format() {
    let world = World::new("emf").await;
    let collector = OtlpReceiver::start().await.unwrap();
    let measured = traced(&world, &collector, "measured").env("TEMPORAL_LAMBDA_EMF", "true");
    let function = world.add(measured);
    for cold in [true, false] {
        let invocation = function.invoke("{}").await.unwrap();
        let lines = json_lines(&invocation);
        let figures: Vec<_> = lines.iter().filter(|line| line.get("_aws").is_some()).collect();
        assert_eq!(figures.len(), 1, "{}", invocation.log_text());
        let line = figures[0];
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "TemporalLambdaWorker");
        assert_eq!(line["FunctionName"], "measured");
        assert_eq!(line["TaskQueue"], world.name.as_str());
        assert_eq!(line["ColdStarts"], u64::from(cold));
        let report = invocation.report();
        assert_eq!(line["Duration"], report["total_ms"]);
        assert_eq!(line["Polling"], report["state_ms"]["polling"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_that_is_refused_for_its_configuration_has_figures_too() {
    let world = World::new("emf-refused").await;
    let collector = OtlpReceiver::start().await.unwrap();
    for (asked, lines) in [("true", 1), ("false", 0)] {
        let refused = traced(&world, &collector, asked).env("TEMPORAL_LAMBDA_EMF", asked);
        let function = world.add(refused.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "soon"));
        let invocation = function.invoke("{}").await.unwrap();
        let figures = json_lines(&invocation).into_iter().filter(|line| line.get("_aws").is_some());
        let figures: Vec<_> = figures.collect();
        assert_eq!(figures.len(), lines, "{}", invocation.log_text());
        assert!(figures.iter().all(|line| line["Errors"] == 1), "{figures:?}");
    }
}
