//! Metrics without a collector or a Lambda layer: one line of CloudWatch's Embedded Metric Format on stdout after each
//! invocation. CloudWatch extracts the metrics when it ingests the log.
//!
//! The feature `emf` brings it, and [`LambdaWorkerConfig::emf`](crate::LambdaWorkerConfig::emf) or
//! `TEMPORAL_LAMBDA_EMF=true` switches it on. The namespace is [`NAMESPACE`]; the dimensions are `FunctionName`, and
//! `FunctionName` with `TaskQueue` once that is known. Besides the metrics, a line has the request
//! ID, the ARN, the reason and the first error's type as properties, for CloudWatch Logs Insights.
//!
//! A function that may write logs needs no further permission. CloudWatch bills each
//! metric per combination of dimensions.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::report::{Counts, InvocationReport};
use crate::telemetry::variable;

/// The namespace of the metrics.
pub const NAMESPACE: &str = "TemporalLambdaWorker";

/// The longest value of a dimension that CloudWatch accepts, in bytes here to be on the safe side.
const LONGEST_DIMENSION: usize = 1024;

/// Writes the line of an invocation to stdout.
pub(crate) fn write(report: &InvocationReport) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let mut line = line(report, &function_name(report), millis);
    line.push('\n');
    // Written in one piece, so that no other line gets in between. Where stdout is closed, nobody reads it.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

/// The line of an invocation of `function` that ended `now`, in milliseconds since 1970.
fn line(report: &InvocationReport, function: &str, now: u64) -> String {
    let mut members = Map::new();
    let mut definitions = Vec::new();
    for (name, unit, value) in figures(report) {
        definitions.push(json!({ "Name": name, "Unit": unit }));
        members.insert(name.to_owned(), value.into());
    }
    let mut dimensions = vec![vec!["FunctionName"]];
    members.insert("FunctionName".to_owned(), fitting(function).into());
    if !report.task_queue.is_empty() {
        dimensions.push(vec!["FunctionName", "TaskQueue"]);
        members.insert("TaskQueue".to_owned(), fitting(&report.task_queue).into());
    }
    let properties = [
        ("request_id", json!(report.request_id)),
        ("function_arn", json!(report.function_arn)),
        ("namespace", json!(report.namespace)),
        ("deployment_name", json!(report.deployment_name)),
        ("build_id", json!(report.build_id)),
        ("cold_start", json!(report.cold_start)),
        ("connection", json!(report.connection)),
        ("reason", json!(report.reason)),
        ("error_type", json!(report.errors.first().map(|error| &error.error_type))),
    ];
    members.extend(properties.map(|(key, value)| (key.to_owned(), value)));
    let directive =
        json!({ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": definitions });
    members
        .insert("_aws".to_owned(), json!({ "Timestamp": now, "CloudWatchMetrics": [directive] }));
    Value::Object(members).to_string()
}

/// What a line measures: name, unit, value.
fn figures(report: &InvocationReport) -> Vec<(&'static str, &'static str, u64)> {
    let (tasks, states) = (&report.tasks, &report.state_ms);
    let kinds = [tasks.workflow, tasks.activity, tasks.local_activity];
    let all = |count: fn(&Counts) -> u64| kinds.iter().map(count).sum::<u64>();
    let mut figures = vec![
        ("Invocations", "Count", 1),
        ("ColdStarts", "Count", u64::from(report.cold_start)),
        ("Errors", "Count", u64::from(!report.errors.is_empty())),
        ("Poisoned", "Count", u64::from(report.poisoned)),
        ("Duration", "Milliseconds", report.total_ms),
        ("Configuring", "Milliseconds", states.configuring),
        ("Connected", "Milliseconds", states.connected),
        ("Polling", "Milliseconds", states.polling),
        ("Draining", "Milliseconds", states.draining),
        ("WorkflowActivations", "Count", total(tasks.workflow)),
        ("Activities", "Count", total(tasks.activity)),
        ("LocalActivities", "Count", total(tasks.local_activity)),
        ("FailedTasks", "Count", all(|it| it.failed)),
        ("CancelledTasks", "Count", all(|it| it.cancelled)),
        ("AbandonedTasks", "Count", all(|it| it.abandoned)),
    ];
    figures.extend(report.first_poll_ms.map(|it| ("TimeToFirstPoll", "Milliseconds", it)));
    figures.extend(report.time_left_ms.map(|it| ("TimeLeft", "Milliseconds", it)));
    figures
}

fn total(counts: Counts) -> u64 {
    counts.completed + counts.failed + counts.cancelled + counts.abandoned
}

/// A dimension's value, cut to the length that CloudWatch accepts.
fn fitting(value: &str) -> &str {
    &value[..value.floor_char_boundary(LONGEST_DIMENSION)]
}

/// The function's name: Lambda's variable, else from the ARN.
fn function_name(report: &InvocationReport) -> String {
    let from_arn = || report.function_arn.split(':').nth(6).map(str::to_owned);
    let name = variable("AWS_LAMBDA_FUNCTION_NAME").or_else(from_arn);
    name.unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
