use temporal_lambda_testkit::otlp::OtlpReceiver;
use temporal_lambda_tests::{Invoked as _, World};

#[tokio::test(flavor = "multi_thread")]
async fn traces_and_metrics_are_at_the_collector_when_the_invocation_returns() {
    let world = World::new("otel").await;
    let temporal = world.temporal().await;
    let collector = OtlpReceiver::start().await.unwrap();
    let config = world.config_with_short_idle("traced", env!("CARGO_BIN_EXE_otel"));
    let config = config.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    let function = world.add(config);
    let id = world.id("it");
    temporal.start(&world.name, &id, "TracedWorkflow", "you").await;
    let invocation = temporal.served_by(&function, &id).await.pop().unwrap();
    invocation.report();
    let spans = collector.spans();
    let of_this = spans
        .iter()
        .any(|span| span.attributes.get("faas.invocation_id") == Some(&invocation.request_id));
    assert!(of_this, "{spans:?}");
    assert!(!collector.metrics().is_empty());
    assert_eq!(temporal.result(&id).await, "Hello, you!");
}
