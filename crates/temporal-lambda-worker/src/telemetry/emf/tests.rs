use std::collections::HashSet;

use super::*;
use crate::report::{Reason, ReportedError};

/// The units that CloudWatch knows, as far as lines use them.
const UNITS: [&str; 2] = ["Count", "Milliseconds"];

/// Asserts what the schema of the Embedded Metric Format asks for, rule by rule:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
fn assert_valid(text: &str) -> Value {
    assert!(!text.contains('\n') && text.len() < 1024 * 1024);
    let root: Value = serde_json::from_str(text).unwrap();
    let members = root.as_object().unwrap();
    let aws = members["_aws"].as_object().unwrap();
    assert!(aws["Timestamp"].as_u64().is_some());
    for directive in aws["CloudWatchMetrics"].as_array().unwrap() {
        let namespace = directive["Namespace"].as_str().unwrap();
        assert!((1..=1024).contains(&namespace.len()));
        let sets = directive["Dimensions"].as_array().unwrap();
        assert!(!sets.is_empty());
        for set in sets {
            let set = set.as_array().unwrap();
            assert!((1..=30).contains(&set.len()));
            for dimension in set {
                let name = dimension.as_str().unwrap();
                assert!((1..=250).contains(&name.len()));
                let value = members[name].as_str().unwrap();
                assert!((1..=1024).contains(&value.len()), "{name}: {value}");
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        let mut names = HashSet::new();
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            assert!((1..=1024).contains(&name.len()) && names.insert(name), "{name}");
            assert!(UNITS.contains(&metric["Unit"].as_str().unwrap()));
            assert!(members[name].is_number(), "{name}");
        }
    }
    root
}

fn report() -> InvocationReport {
    let mut report = InvocationReport {
        request_id: "r-1".to_owned(),
        function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:orders:live".to_owned(),
        task_queue: "orders".to_owned(),
        cold_start: true,
        reason: Some(Reason::Idle),
        total_ms: 2300,
        first_poll_ms: Some(90),
        ..InvocationReport::default()
    };
    report.state_ms.polling = 2000;
    report.tasks.activity = Counts { completed: 3, failed: 1, cancelled: 0, abandoned: 2 };
    report
}

#[test]
fn an_emf_line_is_valid_and_has_the_reports_figures() {
    let line = assert_valid(&line(&report(), "orders", 1_700_000_000_000));
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "TemporalLambdaWorker");
    assert_eq!(directive["Dimensions"], json!([["FunctionName"], ["FunctionName", "TaskQueue"]]));
    for (member, value) in [
        ("Invocations", json!(1)),
        ("ColdStarts", json!(1)),
        ("Errors", json!(0)),
        ("Duration", json!(2300)),
        ("Polling", json!(2000)),
        ("TimeToFirstPoll", json!(90)),
        ("Activities", json!(6)),
        ("FailedTasks", json!(1)),
        ("AbandonedTasks", json!(2)),
        ("FunctionName", json!("orders")),
        ("TaskQueue", json!("orders")),
        ("reason", json!("idle")),
        ("request_id", json!("r-1")),
        ("error_type", Value::Null),
    ] {
        assert_eq!(line[member], value, "{member}");
    }
    assert!(line.get("TimeLeft").is_none(), "without a deadline there is no time left");
}

#[test]
fn the_emf_lines_of_an_empty_and_of_an_oversized_report_are_valid() {
    let nothing = InvocationReport::default();
    let line_of_nothing = assert_valid(&line(&nothing, "unknown", 0));
    let dimensions = &line_of_nothing["_aws"]["CloudWatchMetrics"][0]["Dimensions"];
    assert_eq!(*dimensions, json!([["FunctionName"]]), "there is no task queue");

    let error_type = "ConfigureFailed".to_owned();
    let error = ReportedError { error_type, message: "secret things".to_owned() };
    let much = InvocationReport {
        task_queue: "ü".repeat(1000),
        errors: vec![error],
        time_left_ms: Some(u64::MAX),
        ..report()
    };
    let line = line(&much, "orders", u64::MAX);
    assert!(!line.contains("secret things"));
    let line = assert_valid(&line);
    assert_eq!(line["Errors"], 1);
    assert_eq!(line["error_type"], "ConfigureFailed");
}

#[test]
fn without_lambdas_variable_the_functions_name_comes_from_the_arn() {
    assert_eq!(function_name(&report()), "orders");
}
