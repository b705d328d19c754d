//! The spans of this crate: one for each invocation, and one for each state that it went through.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use super::lambda_trace;
use crate::hooks::Shutdown;
use crate::invocation::Invocation;
use crate::lifecycle::State;
use crate::report::{InvocationReport, Reason};
use crate::telemetry::variable;

/// The span that Lambda names in its trace header; an empty context if it names none.
pub(super) fn parent(invocation: &Invocation) -> Context {
    let header = invocation.trace_header.clone().or_else(|| variable("_X_AMZN_TRACE_ID"));
    lambda_trace::parent(header.as_deref())
}

/// Begins the span of an invocation, as of the moment at which its event arrived.
pub(super) fn begin(tracer: &SdkTracer, invocation: &Invocation, parent: &Context) -> Context {
    let name = variable("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|| "invocation".to_owned());
    let mut attributes = vec![
        KeyValue::new("faas.invocation_id", invocation.request_id.clone()),
        KeyValue::new("faas.coldstart", invocation.cold_start),
        // The Worker Controller invokes through the Lambda API, which is none of the triggers with a name.
        KeyValue::new("faas.trigger", "other"),
    ];
    let arn = &invocation.function_arn;
    if !arn.is_empty() {
        attributes.push(KeyValue::new("aws.lambda.invoked_arn", arn.clone()));
        attributes.push(KeyValue::new("cloud.resource_id", unqualified(arn).to_owned()));
        let account = arn.split(':').nth(4).unwrap_or_default();
        attributes.push(KeyValue::new("cloud.account.id", account.to_owned()));
    }
    let span = tracer
        .span_builder(name)
        .with_kind(SpanKind::Server)
        .with_start_time(arrival(invocation))
        .with_attributes(attributes)
        .start_with_context(tracer, parent);
    parent.with_span(span)
}

/// Ends the span of an invocation and makes those of its states. The last state is not over yet, but a span must have
/// ended to be flushed, so its span lacks the time of the flush and of `on_shutdown`.
pub(super) fn end(
    tracer: &SdkTracer,
    context: &Context,
    environment_since: SystemTime,
    ending: &Shutdown,
) {
    let (now, arrival) = (SystemTime::now(), arrival(&ending.invocation));
    if ending.invocation.cold_start {
        state(tracer, context, State::ColdStart, environment_since.min(arrival), arrival);
    }
    let timeline = &ending.timeline;
    for (index, (entered, at)) in timeline.iter().enumerate() {
        let left = timeline.get(index + 1).map_or(now, |(_, next)| arrival + *next);
        state(tracer, context, *entered, arrival + *at, left);
    }
    let span = context.span();
    span.set_attributes(attributes(&ending.report));
    if let Some(error) = ending.report.errors.first() {
        span.set_attribute(KeyValue::new("error.type", error.error_type.clone()));
        span.set_status(Status::error(error.message.clone()));
    }
    span.end_with_timestamp(now);
}

fn state(
    tracer: &SdkTracer,
    context: &Context,
    state: State,
    entered: SystemTime,
    left: SystemTime,
) {
    let mut span = tracer
        .span_builder(state.name())
        .with_start_time(entered)
        .start_with_context(tracer, context);
    span.end_with_timestamp(left);
}

/// The attributes that are known when the invocation ends.
fn attributes(report: &InvocationReport) -> Vec<KeyValue> {
    let text = |key: &'static str, value: &str| KeyValue::new(key, value.to_owned());
    let mut attributes = vec![
        text("temporal.namespace", &report.namespace),
        text("temporal.task_queue", &report.task_queue),
        text("temporal.worker.identity", &report.identity),
        text("temporal.deployment.name", &report.deployment_name),
        text("temporal.deployment.build_id", &report.build_id),
    ];
    let reason = report.reason.map(Reason::name);
    attributes.extend(reason.map(|reason| text("temporal.invocation.reason", reason)));
    attributes
}

/// Whether Lambda names a trace that it does not record.
pub(super) fn is_left_out(parent: &SpanContext) -> bool {
    parent.is_valid() && !parent.is_sampled()
}

/// When the event arrived, by wall clock.
fn arrival(invocation: &Invocation) -> SystemTime {
    let since: Duration = invocation.arrived().elapsed();
    SystemTime::now().checked_sub(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The ARN without an alias or version: its first seven fields.
fn unqualified(arn: &str) -> &str {
    arn.match_indices(':').nth(6).map_or(arn, |(end, _)| &arn[..end])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn an_arn_loses_its_qualifier() {
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:orders";
        assert_eq!(unqualified(arn), arn);
        assert_eq!(unqualified(&format!("{arn}:live")), arn);
        assert_eq!(unqualified(""), "");
    }

    #[test]
    fn reasons_have_the_same_names_as_in_reports() {
        for reason in [Reason::DeadlineNear, Reason::Idle, Reason::Cancelled, Reason::Failed] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
