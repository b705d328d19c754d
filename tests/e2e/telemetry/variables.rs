//! OpenTelemetry's variables, as a function in Lambda finds them.

use temporal_lambda_testkit::otlp::OtlpReceiver;
use temporal_lambda_tests::{Invoked as _, World};

use super::{invocation_span, named, traced, warnings};

/// What all requests that a collector was sent have in a header.
fn header(collector: &OtlpReceiver, name: &str) -> Option<String> {
    let requests = collector.requests();
    let mut values = requests.iter().map(|request| request.headers.get(name).cloned());
    let first = values.next().expect("a request came");
    assert!(values.all(|value| value == first), "{requests:?}");
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_is_as_the_variable_says_and_one_that_is_unknown_ends_nothing() {
    let world = World::new("otel-compression").await;
    for (name, value, encoding, warned) in [
        ("gzip", "gzip", Some("gzip"), 0),
        ("none", "none", None, 0),
        ("empty", "", None, 0),
        ("blank", " ", None, 0),
        ("unknown", "zstd", None, 1),
    ] {
        let collector = OtlpReceiver::start().await.unwrap();
        let config = traced(&world, &collector, name);
        let function = world.add(config.env("OTEL_EXPORTER_OTLP_COMPRESSION", value));
        let invocation = function.invoke("{}").await.unwrap();
        invocation_span(&collector, &invocation);
        assert!(collector.metrics().iter().any(|metric| metric.name == "faas.invocations"));
        assert_eq!(header(&collector, "grpc-encoding").as_deref(), encoding, "{value:?}");
        let warnings = warnings(&invocation);
        assert_eq!(warnings.len(), warned, "{value:?}: {warnings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_everything_arrives_with_its_headers_and_compressed() {
    let world = World::new("otel-http").await;
    for compression in ["none", "gzip"] {
        let collector = OtlpReceiver::start().await.unwrap();
        let config = traced(&world, &collector, &format!("http-{compression}"))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
            .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=s3cr%65t");
        let function = world.add(config);
        for _ in 0..2 {
            collector.clear();
            let invocation = function.invoke("{}").await.unwrap();
            assert_eq!(warnings(&invocation), [""; 0]);
            assert!(!invocation.log_text().contains("s3cret"));
            invocation_span(&collector, &invocation);
            let spans = collector.spans();
            named(&spans, "Polling");
            assert!(collector.metrics().iter().any(|metric| metric.name == "temporal_request"));
            let requests = collector.requests();
            let paths: Vec<_> = requests.iter().map(|request| request.path.as_str()).collect();
            assert!(paths.contains(&"/v1/traces") && paths.contains(&"/v1/metrics"), "{paths:?}");
            assert_eq!(header(&collector, "x-key").as_deref(), Some("s3cret"));
            let encoding = (compression == "gzip").then_some("gzip");
            assert_eq!(header(&collector, "content-encoding").as_deref(), encoding);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_sdk_exports_nothing_and_costs_no_hook() {
    let world = World::new("otel-disabled").await;
    let collector = OtlpReceiver::start().await.unwrap();
    let config = traced(&world, &collector, "disabled").env("OTEL_SDK_DISABLED", "true");
    let invocation = world.add(config).invoke("{}").await.unwrap();
    assert_eq!(invocation.report()["hooks"].as_array().map(Vec::len), Some(0));
    assert!(collector.requests().is_empty());
    assert_eq!(warnings(&invocation), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_without_an_exporter_is_not_exported_and_the_other_is() {
    let world = World::new("otel-none").await;
    for (variable, traces, metrics) in
        [("OTEL_TRACES_EXPORTER", false, true), ("OTEL_METRICS_EXPORTER", true, false)]
    {
        let collector = OtlpReceiver::start().await.unwrap();
        let config = traced(&world, &collector, variable).env(variable, "none");
        let invocation = world.add(config).invoke("{}").await.unwrap();
        assert_eq!(invocation.report()["hooks"][0]["outcome"], "ok");
        assert_eq!(!collector.spans().is_empty(), traces, "{variable}");
        assert_eq!(!collector.metrics().is_empty(), metrics, "{variable}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_honoured_is_one_warning_in_an_environment_and_the_worker_works() {
    let world = World::new("otel-nonsense").await;
    let temporal = world.temporal().await;
    let collector = OtlpReceiver::start().await.unwrap();
    let config = traced(&world, &collector, "nonsense")
        .env("OTEL_SDK_DISABLED", "perhaps")
        .env("OTEL_TRACES_EXPORTER", "zipkin")
        .env("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "no address")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "s3cret")
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")
        .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sometimes")
        .env("OTEL_TRACES_SAMPLER", "xray")
        .env("OTEL_RESOURCE_ATTRIBUTES", "nonsense")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "0")
        .env("OTEL_PROPAGATORS", "b3,tracecontext")
        .env("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem");
    let function = world.add(config.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    for cold in [true, false] {
        let id = world.id(cold);
        temporal.start(&world.name, &id, "Notes", 0_u64).await;
        let invocations = temporal.served_by(&function, &id).await;
        assert_eq!(temporal.result(&id).await, 3);
        for invocation in &invocations {
            invocation_span(&collector, invocation);
        }
        let warnings: Vec<_> = invocations.iter().flat_map(warnings).collect();
        assert_eq!(warnings.len(), usize::from(cold), "{warnings:?}");
        if let Some(warning) = warnings.first() {
            for part in [
                "OTEL_SDK_DISABLED",
                "zipkin",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                "carrier-pigeon",
                "brotli",
                "OTEL_EXPORTER_OTLP_HEADERS",
                "OTEL_EXPORTER_OTLP_TIMEOUT",
                "TEMPORALITY_PREFERENCE",
                "OTEL_TRACES_SAMPLER",
                "OTEL_RESOURCE_ATTRIBUTES",
                "OTEL_METRIC_EXPORT_INTERVAL",
                "b3",
                "OTEL_EXPORTER_OTLP_CERTIFICATE",
            ] {
                assert!(warning.contains(part), "no {part} in {warning}");
            }
        }
        assert!(invocations.iter().all(|it| !it.log_text().contains("s3cret")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resource_sampler_and_temporality_are_as_the_variables_say() {
    let world = World::new("otel-resource").await;
    let collector = OtlpReceiver::start().await.unwrap();
    let config = traced(&world, &collector, "attributed")
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.name=orders,team=a%20b")
        .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
        .env("OTEL_TRACES_SAMPLER", "always_on");
    let function = world.add(config);
    for _ in 0..2 {
        collector.clear();
        let invocation = function.invoke("{}").await.unwrap();
        let own = invocation_span(&collector, &invocation);
        assert_eq!(own.resource["service.name"], "orders");
        assert_eq!(own.resource["team"], "a b");
        let metrics = collector.metrics();
        let counted = metrics.iter().find(|metric| metric.name == "faas.invocations").unwrap();
        let value: f64 = counted.points.iter().map(|point| point.value).sum();
        assert!(counted.delta && (value - 1.0).abs() < 0.5, "{counted:?}");
    }

    collector.clear();
    let off = traced(&world, &collector, "off").env("OTEL_TRACES_SAMPLER", "always_off");
    let invocation = world.add(off).invoke("{}").await.unwrap();
    assert_eq!(collector.spans().len(), 0);
    // Who switches spans off needs no advice on how to switch them on.
    assert!(!invocation.log_text().contains("always_on"), "{}", invocation.log_text());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_to_a_collector_that_speaks_none_is_a_warning() {
    let world = World::new("otel-tls").await;
    let collector = OtlpReceiver::start().await.unwrap();
    let secure = collector.endpoint().replace("http://", "https://");
    for protocol in ["grpc", "http/protobuf"] {
        let config = traced(&world, &collector, &protocol.replace('/', "-"))
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &secure)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let invocation = world.add(config).invoke("{}").await.unwrap();
        assert_eq!(invocation.report()["reason"], "idle");
        let warnings = warnings(&invocation);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("did not reach the collector"), "{warnings:?}");
        assert!(collector.requests().is_empty());
    }
}
