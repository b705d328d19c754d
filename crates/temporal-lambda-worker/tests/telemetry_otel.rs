//! Telemetry of a handler that a test calls itself, all on one thread with the collector: what
//! blocks would be seen at once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/nothing.rs"]
mod nothing;

use std::time::{Duration, Instant};

use nothing::Nothing;
use opentelemetry::Context;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::context::TestContext;
use temporal_lambda_testkit::frontend::MockFrontend;
use temporal_lambda_testkit::otlp::{Behavior, OtlpReceiver, ReceivedSpan};
use temporal_lambda_worker::otel::{self, FLUSH_HOOK, OtelOptions};
use temporal_lambda_worker::report::CallbackOutcome;
use temporal_lambda_worker::{
    BoxError, LambdaWorkerConfig, LambdaWorkerHandler, Shutdown, WorkerDeploymentVersion,
};

/// Far longer than anything that is waited for takes.
const BOUND: Duration = Duration::from_secs(60);
/// The cap of every flush here.
const CAP: Duration = Duration::from_millis(200);
const HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8";
const TRACE: &str = "5759e988bd862e3fe1be46a994272793";

fn options(collector: &OtlpReceiver) -> OtelOptions {
    OtelOptions::default()
        .endpoint(collector.endpoint())
        .flush_timeout(CAP)
        .service_name("the service")
}

/// A handler whose worker is idle at once, with telemetry as `apply` wishes.
fn handler(
    frontend: &MockFrontend,
    apply: impl Fn(&mut LambdaWorkerConfig) -> Result<(), BoxError> + Clone + Send + 'static,
) -> LambdaWorkerHandler<
    impl Fn(&mut LambdaWorkerConfig) -> Result<(), BoxError> + Clone + Send + 'static,
> {
    let connection = frontend.connection_options();
    let version = WorkerDeploymentVersion::builder().deployment_name("d").build_id("b").build();
    let configure = move |config: &mut LambdaWorkerConfig| {
        config.connection_options = connection.clone();
        config.worker_options.task_queue = "q".to_owned();
        config.worker_options.register_activities(Nothing);
        config.idle_timeout = Some(Duration::from_millis(20));
        config.minimum_stay = Duration::from_millis(20);
        apply(config)
    };
    LambdaWorkerHandler::new(version, configure).expect("threads start")
}

#[tokio::test]
async fn spans_join_lambdas_trace_and_are_there_when_the_invocation_is_over() {
    let _limit = TimeLimit::of_this_test();
    let (frontend, collector) = (MockFrontend::new(), OtlpReceiver::start().await.unwrap());
    let options = options(&collector);
    let handler =
        handler(&frontend, move |config| Ok(otel::apply_defaults(config, options.clone())?));
    let event = TestContext::new().trace_header(format!("{HEADER};Sampled=1")).event(());
    let report = handler.handle(event).await.unwrap();
    assert_eq!(report.hooks[0].name, FLUSH_HOOK);
    assert_eq!(report.hooks[0].outcome, CallbackOutcome::Ok);
    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.trace_id == TRACE), "{spans:?}");
    let own = spans.iter().find(|span| span.parent_span_id == "53995c3f42cd8ad8").unwrap();
    assert_eq!(own.attributes["faas.invocation_id"], report.request_id);
    assert_eq!(own.resource["service.name"], "the service");
    assert!(collector.metrics().iter().any(|metric| metric.name == "temporal_request"));
}

#[tokio::test]
async fn without_a_header_the_trace_id_has_the_time_and_unsampled_there_are_no_spans() {
    let _limit = TimeLimit::of_this_test();
    let (frontend, collector) = (MockFrontend::new(), OtlpReceiver::start().await.unwrap());
    let options = options(&collector);
    let handler =
        handler(&frontend, move |config| Ok(otel::apply_defaults(config, options.clone())?));
    handler.handle(TestContext::new().event(())).await.unwrap();
    let spans = collector.spans();
    let seconds = u64::from_str_radix(&spans[0].trace_id[..8], 16).unwrap();
    let start = spans[0].start.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(seconds.abs_diff(start) < 60, "{seconds} {start}");

    collector.clear();
    let unsampled = TestContext::new().trace_header(format!("{HEADER};Sampled=0"));
    handler.handle(unsampled.event(())).await.unwrap();
    assert!(collector.spans().is_empty());
    assert!(!collector.metrics().is_empty(), "metrics are not sampled");
}

#[tokio::test]
async fn a_hanging_collector_costs_its_cap_and_the_callers_runtime_goes_on() {
    let _limit = TimeLimit::of_this_test();
    let (frontend, collector) = (MockFrontend::new(), OtlpReceiver::start().await.unwrap());
    collector.behave(Behavior::Hang);
    let mut options = options(&collector);
    // Long enough that a machine that is busy does not look like a thread that is blocked.
    let cap = Duration::from_secs(2);
    options.flush_timeout = cap;
    let handler =
        handler(&frontend, move |config| Ok(otel::apply_defaults(config, options.clone())?));
    for _ in 0..2 {
        let handling = handler.handle(TestContext::new().event(()));
        tokio::pin!(handling);
        // The longest time for which this thread did nothing else than wait for a turn.
        let (mut longest, mut last) = (Duration::ZERO, Instant::now());
        let report = loop {
            tokio::select! {
                report = &mut handling => break report.unwrap(),
                () = tokio::time::sleep(Duration::from_millis(5)) => {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                }
            }
        };
        assert!(longest < cap / 2, "the runtime stood still for {longest:?}");
        // Not `TimedOut`, which would be by the share of time that hooks have.
        assert!(matches!(report.hooks[0].outcome, CallbackOutcome::Failed { .. }), "{report:?}");
        assert!(!report.poisoned && report.errors.is_empty());
    }
}

/// A processor whose flush never ends.
#[derive(Debug)]
struct Stuck;

impl SpanProcessor for Stuck {
    fn on_start(&self, _: &mut Span, _: &Context) {}
    fn on_end(&self, _: SpanData) {}
    fn force_flush(&self) -> OTelSdkResult {
        std::thread::sleep(BOUND);
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[tokio::test]
async fn a_provider_of_the_users_that_blocks_for_ever_costs_its_cap_and_metrics_arrive() {
    let _limit = TimeLimit::of_this_test();
    let (frontend, collector) = (MockFrontend::new(), OtlpReceiver::start().await.unwrap());
    let mut options = options(&collector);
    options.tracer_provider = Some(SdkTracerProvider::builder().with_span_processor(Stuck).build());
    let handler =
        handler(&frontend, move |config| Ok(otel::apply_defaults(config, options.clone())?));
    let handling = handler.handle(TestContext::new().event(()));
    let report = tokio::time::timeout(BOUND, handling).await.unwrap().unwrap();
    let said = report.hooks[0].outcome.message().unwrap_or_else(|| panic!("{report:?}"));
    assert_eq!(said, "traces: not exported within 200ms; metrics: exported");
    assert!(!report.poisoned);
    assert!(collector.metrics().iter().any(|metric| metric.name == "faas.invocations"));
}

#[tokio::test]
async fn the_flush_is_one_and_comes_after_the_users_hooks() {
    let _limit = TimeLimit::of_this_test();
    let (frontend, collector) = (MockFrontend::new(), OtlpReceiver::start().await.unwrap());
    let options = options(&collector);
    let handler = handler(&frontend, move |config| {
        otel::apply_metrics(config, options.clone())?;
        otel::apply_tracing(config, options.clone())?;
        otel::apply_defaults(config, options.clone())?;
        config.shutdown_hooks.add("mine", |_: Shutdown| async { Ok(()) });
        Ok(())
    });
    let report = handler.handle(TestContext::new().event(())).await.unwrap();
    let names: Vec<_> = report.hooks.iter().map(|hook| hook.name.as_str()).collect();
    assert_eq!(names, ["mine", FLUSH_HOOK]);
    let spans = collector.spans();
    let own = spans.iter().filter(|it| it.attributes.contains_key("faas.invocation_id"));
    assert_eq!(own.count(), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_no_address_is_an_error_that_says_what_to_set() {
    let _limit = TimeLimit::of_this_test();
    let (frontend, collector) = (MockFrontend::new(), OtlpReceiver::start().await.unwrap());
    let mut options = options(&collector);
    options.endpoint = Some("localhost:4317".to_owned());
    let handler =
        handler(&frontend, move |config| Ok(otel::apply_defaults(config, options.clone())?));
    let error = handler.handle(TestContext::new().event(())).await.unwrap_err();
    assert!(error.message().contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{error:?}");
}

#[tokio::test]
async fn a_flush_timeout_and_a_metric_interval_of_zero_are_errors_that_name_the_option() {
    let (frontend, collector) = (MockFrontend::new(), OtlpReceiver::start().await.unwrap());
    for (options, name) in [
        (options(&collector).flush_timeout(Duration::ZERO), "OtelOptions::flush_timeout"),
        (options(&collector).metric_interval(Duration::ZERO), "OtelOptions::metric_interval"),
    ] {
        let handler =
            handler(&frontend, move |config| Ok(otel::apply_defaults(config, options.clone())?));
        let error = handler.handle(TestContext::new().event(())).await.unwrap_err();
        assert!(error.message().contains(name), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_collector_costs_its_cap_once_and_hears_of_everything_when_it_answers_again() {
    // Far longer than an invocation takes here without a flush, however busy the machine is.
    const LONG: Duration = Duration::from_secs(3);
    const SILENT: u32 = 4;
    let (frontend, collector) = (MockFrontend::new(), OtlpReceiver::start().await.unwrap());
    collector.behave(Behavior::Hang);
    let options = options(&collector).flush_timeout(LONG);
    let handler =
        handler(&frontend, move |config| Ok(otel::apply_defaults(config, options.clone())?));
    let (mut ids, mut took) = (Vec::new(), Vec::new());
    for _ in 0..SILENT {
        let begun = Instant::now();
        let report = handler.handle(TestContext::new().event(())).await.unwrap();
        took.push(begun.elapsed());
        assert!(matches!(report.hooks[0].outcome, CallbackOutcome::Failed { .. }), "{report:?}");
        ids.push(report.request_id);
    }
    assert!(took[0] >= LONG, "the first flush is waited for: {took:?}");
    // If they were, they would take three times that.
    assert!(took[1..].iter().sum::<Duration>() < 2 * LONG, "the others are not: {took:?}");

    collector.behave(Behavior::Accept);
    let waiting = async {
        loop {
            let report = handler.handle(TestContext::new().event(())).await.unwrap();
            let outcome = report.hooks[0].outcome.clone();
            ids.push(report.request_id);
            if outcome == CallbackOutcome::Ok {
                break;
            }
        }
    };
    tokio::time::timeout(BOUND, waiting).await.expect("it is waited for again");
    let spans = collector.spans();
    for id in &ids {
        let of_it = spans.iter().filter(|it| it.attributes.get("faas.invocation_id") == Some(id));
        assert_eq!(of_it.count(), 1, "the span of {id}");
    }
    let metrics = collector.metrics();
    let last = metrics.iter().rev().find(|it| it.name == "faas.invocations").unwrap();
    let counted: f64 = last.points.iter().map(|point| point.value).sum();
    assert!((counted - ids.len() as f64).abs() < 0.5, "{counted} of {}", ids.len());
}

#[tokio::test]
async fn spans_of_the_users_own_are_exported_through_the_provider_or_the_global_one() {
    let frontend = MockFrontend::new();
    for set_global in [false, true] {
        let collector = OtlpReceiver::start().await.unwrap();
        let options = options(&collector).set_global(set_global);
        let handler = handler(&frontend, move |config| {
            assert!(
                otel::meter_provider(config).is_none() && otel::tracer_provider(config).is_none()
            );
            otel::apply_defaults(config, options.clone())?;
            assert!(otel::meter_provider(config).is_some());
            let provider = otel::tracer_provider(config).expect("it was made");
            config.shutdown_hooks.add("mine", move |_: Shutdown| async move {
                provider.tracer("mine").start("by provider").end();
                opentelemetry::global::tracer("mine").start("by global").end();
                Ok(())
            });
            Ok(())
        });
        handler.handle(TestContext::new().event(())).await.unwrap();
        let spans = collector.spans();
        let is_own = |span: &&ReceivedSpan| span.attributes.contains_key("faas.invocation_id");
        let invocation = spans.iter().find(is_own).unwrap();
        let mine: Vec<_> = spans.iter().filter(|span| span.scope == "mine").collect();
        let names: Vec<_> = mine.iter().map(|span| span.name.as_str()).collect();
        // Nothing is global unless it is asked for.
        let expected: &[_] =
            if set_global { &["by provider", "by global"] } else { &["by provider"] };
        assert_eq!(names, expected);
        for span in mine {
            assert_eq!(span.parent_span_id, invocation.span_id, "{}", span.name);
            assert_eq!(span.resource["service.name"], "the service");
        }
    }
}

#[tokio::test]
async fn labels_of_the_sdks_own_metrics_come_along() {
    let (frontend, collector) = (MockFrontend::new(), OtlpReceiver::start().await.unwrap());
    let options = options(&collector);
    let handler =
        handler(&frontend, move |config| Ok(otel::apply_metrics(config, options.clone())?));
    handler.handle(TestContext::new().event(())).await.unwrap();
    let metrics = collector.metrics();
    let requests = metrics.iter().find(|metric| metric.name == "temporal_request").unwrap();
    let operations = requests.points.iter().map(|point| point.attributes.get("operation"));
    let operations: Vec<_> = operations.flatten().collect();
    assert_eq!(operations.len(), requests.points.len(), "{requests:?}");
    assert!(operations.iter().any(|it| *it == "DescribeNamespace"), "{operations:?}");
}
