//! The collector, and the exporters that everybody uses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{
    Span as _, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::otlp::{Behavior, OtlpReceiver};
use tonic::Code;

/// How long an exporter waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

fn resource() -> Resource {
    Resource::builder().with_service_name("shop").build()
}

fn tracing(collector: &OtlpReceiver) -> SdkTracerProvider {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(collector.endpoint())
        .with_timeout(PATIENCE)
        .build()
        .unwrap();
    SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build()
}

/// Exports a span of this name.
async fn export(provider: &SdkTracerProvider, name: &'static str) -> OTelSdkResult {
    provider.tracer("till").start(name).end();
    let provider = provider.clone();
    // It blocks its thread.
    tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap()
}

fn names(collector: &OtlpReceiver) -> Vec<String> {
    collector.spans().into_iter().map(|span| span.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_come_with_all_that_they_say() {
    let _limit = TimeLimit::of_this_test();
    let collector = OtlpReceiver::start().await.unwrap();
    let provider = tracing(&collector);
    let tracer = provider.tracer("till");
    let context = Context::current_with_span(tracer.start("order"));
    let mut charge = tracer.start_with_context("charge", &context);
    charge.set_attribute(KeyValue::new("card", "visa"));
    charge.set_attribute(KeyValue::new("cents", 1250));
    charge.set_attribute(KeyValue::new("large", false));
    charge.set_status(Status::error("declined"));
    charge.end();
    context.span().end();
    export(&provider, "other").await.unwrap();

    assert_eq!(names(&collector), ["charge", "order", "other"]);
    let spans = collector.spans();
    let (charge, order, other) = (&spans[0], &spans[1], &spans[2]);
    assert_eq!((charge.trace_id.len(), charge.span_id.len()), (32, 16));
    assert_eq!(charge.trace_id, order.trace_id);
    assert_ne!(charge.trace_id, other.trace_id);
    assert_eq!(charge.parent_span_id, order.span_id);
    assert_eq!(order.parent_span_id, "");
    let attributes: Vec<_> =
        charge.attributes.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(attributes, [("card", "visa"), ("cents", "1250"), ("large", "false")]);
    assert_eq!(charge.error.as_deref(), Some("declined"));
    assert_eq!(order.error, None);
    assert_eq!((charge.resource["service.name"].as_str(), charge.scope.as_str()), ("shop", "till"));
    assert!(order.start <= charge.start && charge.end <= order.end);

    collector.clear();
    assert!(collector.spans().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_come_with_their_points() {
    let _limit = TimeLimit::of_this_test();
    let collector = OtlpReceiver::start().await.unwrap();
    let exporter =
        MetricExporter::builder().with_tonic().with_endpoint(collector.endpoint()).build().unwrap();
    // It is flushed by hand.
    let reader = PeriodicReader::builder(exporter).with_interval(Duration::from_secs(3600)).build();
    let provider =
        SdkMeterProvider::builder().with_resource(resource()).with_reader(reader).build();
    let meter = provider.meter("till");
    let orders = meter.u64_counter("orders").with_unit("{order}").build();
    orders.add(2, &[KeyValue::new("card", "visa")]);
    orders.add(3, &[KeyValue::new("card", "amex")]);
    meter.f64_gauge("level").build().record(0.5, &[]);
    let took = meter.f64_histogram("took").with_unit("s").build();
    took.record(1.5, &[]);
    took.record(2.5, &[]);
    tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().unwrap();

    let metrics = collector.metrics();
    let metric = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap();
    let orders = metric("orders");
    assert_eq!((orders.unit.as_str(), orders.scope.as_str()), ("{order}", "till"));
    assert_eq!(orders.resource["service.name"], "shop");
    let mut points: Vec<_> = orders
        .points
        .iter()
        .map(|point| (point.attributes["card"].as_str(), point.value))
        .collect();
    points.sort_by_key(|(card, _)| *card);
    assert_eq!(points, [("amex", 3.0), ("visa", 2.0)]);
    assert_eq!((metric("level").points[0].value, metric("level").points[0].count), (0.5, 1));
    let took = metric("took");
    assert_eq!((took.unit.as_str(), took.points[0].value, took.points[0].count), ("s", 4.0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_never_answered_is_counted_and_not_remembered() {
    let _limit = TimeLimit::of_this_test();
    let collector = OtlpReceiver::start().await.unwrap();
    let provider = tracing(&collector);
    collector.behave(Behavior::Refuse(Code::PermissionDenied));
    let refused = export(&provider, "refused").await.unwrap_err();
    assert!(format!("{refused:?}").contains("PermissionDenied"), "{refused:?}");
    collector.behave(Behavior::Hang);
    export(&provider, "lost").await.unwrap_err();
    assert_eq!((collector.requests().len(), names(&collector)), (2, vec![]));
    collector.behave(Behavior::Accept);
    export(&provider, "taken").await.unwrap();
    assert_eq!((collector.requests().len(), names(&collector)), (3, vec!["taken".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_takes_its_time_and_the_span_is_taken() {
    let _limit = TimeLimit::of_this_test();
    let collector = OtlpReceiver::start().await.unwrap();
    let provider = tracing(&collector);
    let late = PATIENCE / 5;
    collector.behave(Behavior::Late(late));
    let began = Instant::now();
    export(&provider, "late").await.unwrap();
    assert!(began.elapsed() >= late, "{:?}", began.elapsed());
    assert_eq!(names(&collector), ["late"]);
    assert!(collector.spans()[0].at >= began + late);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_stopped_is_not_there_any_more() {
    let _limit = TimeLimit::of_this_test();
    let mut collector = OtlpReceiver::start().await.unwrap();
    let provider = tracing(&collector);
    export(&provider, "before").await.unwrap();
    collector.stop().await;
    collector.stop().await;
    export(&provider, "after").await.unwrap_err();
    assert_eq!(names(&collector), ["before"]);
    let address = collector.endpoint().replace("http://", "");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
