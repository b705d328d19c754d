//! What a collector was sent, in a form that tests can ask.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderValue, request::Parts};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{
        AggregationTemporality, Metric, NumberDataPoint, metric::Data, number_data_point,
    },
    resource::v1::Resource,
    trace::v1::{Span, status::StatusCode},
};

/// A request that was received, whatever became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// When it came.
    pub at: Instant,
    /// The path: `/v1/traces` over HTTP, a method's name over gRPC.
    pub path: String,
    /// The headers, names in lower case; of those that came twice, the last.
    pub headers: BTreeMap<String, String>,
}

/// A span that was received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedSpan {
    /// When it came.
    pub at: Instant,
    /// The attributes of its resource, as text.
    pub resource: BTreeMap<String, String>,
    /// The instrumentation scope's name.
    pub scope: String,
    /// Its name.
    pub name: String,
    /// Its trace's ID: 32 lower-case hexadecimal digits.
    pub trace_id: String,
    /// Its ID: 16 lower-case hexadecimal digits.
    pub span_id: String,
    /// Its parent's ID; empty for a root.
    pub parent_span_id: String,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// What its error status says; `None` if it has none.
    pub error: Option<String>,
}

/// A metric that was received, as of one export.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedMetric {
    /// When it came.
    pub at: Instant,
    /// The attributes of its resource, as text.
    pub resource: BTreeMap<String, String>,
    /// The instrumentation scope's name.
    pub scope: String,
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Whether its points count from the last export only. `false` for gauges.
    pub delta: bool,
    /// Its points.
    pub points: Vec<ReceivedPoint>,
}

/// One point of a metric.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedPoint {
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// The value of a counter or gauge, the sum of a histogram.
    pub value: f64,
    /// How many values a histogram has; 1 for a counter or gauge.
    pub count: u64,
}

pub(super) fn request(parts: &Parts, at: Instant) -> ReceivedRequest {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
    ReceivedRequest { at, path: parts.uri.path().to_owned(), headers: headers.collect() }
}

pub(super) fn spans(
    request: ExportTraceServiceRequest,
    at: Instant,
) -> impl Iterator<Item = ReceivedSpan> {
    request.resource_spans.into_iter().flat_map(move |of_resource| {
        let resource = of(of_resource.resource);
        of_resource.scope_spans.into_iter().flat_map(move |of_scope| {
            let scope = of_scope.scope.map(|scope| scope.name).unwrap_or_default();
            let resource = resource.clone();
            of_scope.spans.into_iter().map(move |it| span(it, resource.clone(), scope.clone(), at))
        })
    })
}

pub(super) fn metrics(
    request: ExportMetricsServiceRequest,
    at: Instant,
) -> impl Iterator<Item = ReceivedMetric> {
    request.resource_metrics.into_iter().flat_map(move |of_resource| {
        let resource = of(of_resource.resource);
        of_resource.scope_metrics.into_iter().flat_map(move |of_scope| {
            let scope = of_scope.scope.map(|scope| scope.name).unwrap_or_default();
            let resource = resource.clone();
            of_scope.metrics.into_iter().map(move |metric| ReceivedMetric {
                at,
                resource: resource.clone(),
                scope: scope.clone(),
                delta: is_delta(&metric),
                points: points(&metric),
                name: metric.name,
                unit: metric.unit,
            })
        })
    })
}

fn span(
    span: Span,
    resource: BTreeMap<String, String>,
    scope: String,
    at: Instant,
) -> ReceivedSpan {
    let time = |nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
    let status = span.status.filter(|status| status.code() == StatusCode::Error);
    ReceivedSpan {
        at,
        resource,
        scope,
        name: span.name,
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: hex(&span.parent_span_id),
        attributes: texts(span.attributes),
        start: time(span.start_time_unix_nano),
        end: time(span.end_time_unix_nano),
        error: status.map(|status| status.message),
    }
}

fn is_delta(metric: &Metric) -> bool {
    let temporality = match &metric.data {
        Some(Data::Sum(sum)) => sum.aggregation_temporality(),
        Some(Data::Histogram(histogram)) => histogram.aggregation_temporality(),
        _ => AggregationTemporality::Unspecified,
    };
    temporality == AggregationTemporality::Delta
}

fn points(metric: &Metric) -> Vec<ReceivedPoint> {
    match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.iter().map(number).collect(),
        Some(Data::Sum(sum)) => sum.data_points.iter().map(number).collect(),
        Some(Data::Histogram(histogram)) => histogram
            .data_points
            .iter()
            .map(|point| ReceivedPoint {
                attributes: texts(point.attributes.clone()),
                value: point.sum.unwrap_or_default(),
                count: point.count,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn number(point: &NumberDataPoint) -> ReceivedPoint {
    let value = match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        #[allow(clippy::cast_precision_loss, reason = "tests look at small numbers")]
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        None => 0.0,
    };
    ReceivedPoint { attributes: texts(point.attributes.clone()), value, count: 1 }
}

fn of(resource: Option<Resource>) -> BTreeMap<String, String> {
    texts(resource.map(|resource| resource.attributes).unwrap_or_default())
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|it| (it.key, text(it.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(value)) => value,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
