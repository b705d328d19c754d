#![doc = include_str!("../../docs/telemetry.md")]

mod core_meter;
mod export;
mod figures;
mod ids;
mod kept;
mod lambda_trace;
mod options;
mod processor;
mod settings;
mod spans;
mod variables;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use temporalio_client::plugins::{ClientPlugin as _, PluginError};
use temporalio_common::telemetry::TaskQueueLabelStrategy;
use temporalio_common::telemetry::metrics::{NewAttributes, TemporalMeter};
use temporalio_sdk::WorkerPlugin as _;
use temporalio_sdk::interceptors::{
    ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next,
};

use crate::config::LambdaWorkerConfig;
use crate::error::BoxError;
use crate::hooks::{AlreadyLogged, Shutdown};
use crate::invocation::current_invocation;
use crate::invocation::telemetry::Surroundings;

pub use ids::XRayIdGenerator;
pub use options::{OtelError, OtelOptions};
pub use processor::LambdaSpanProcessor;

use kept::Kept;

/// The name of the flush among the hooks of an invocation report.
pub const FLUSH_HOOK: &str = "opentelemetry flush";

/// How much of the flush's time is kept for reporting that it was too short.
const SAFETY: Duration = Duration::from_millis(20);

/// Exports metrics and traces: [`apply_metrics`] and [`apply_tracing`]. Call it in `configure`, in
/// every invocation; what it makes is made once per environment.
///
/// # Errors
/// [`OtelError`], which is about `options` only. A missing collector is no error, and a bad variable is a warning, once
/// per environment.
pub fn apply_defaults(
    config: &mut LambdaWorkerConfig,
    options: OtelOptions,
) -> Result<(), OtelError> {
    apply_metrics(config, options.clone())?;
    apply_tracing(config, options)
}

/// Exports the SDK's own metrics and those of the invocation, and flushes them when the invocation
/// ends. Does nothing with `OTEL_SDK_DISABLED=true`.
///
/// The SDK asks for its meter once: call this in the environment's first invocation, or the
/// workers of the environment measure nothing.
///
/// # Errors
/// [`OtelError`], which is about `options` only, as for [`apply_defaults`].
pub fn apply_metrics(
    config: &mut LambdaWorkerConfig,
    options: OtelOptions,
) -> Result<(), OtelError> {
    let Some(metrics) = config.telemetry.kept::<Kept>().metrics(&options)? else { return Ok(()) };
    config.telemetry.core_meter = Some(metrics.runtime.clone());
    config.connection_options.metrics_meter.get_or_insert_with(|| {
        let none = NewAttributes::default();
        let strategy = TaskQueueLabelStrategy::UseNormal;
        TemporalMeter::new(metrics.connections.clone(), none, strategy)
    });
    flush_at_the_end(config, &options);
    Ok(())
}

/// Exports a span for the invocation, one for each of its states, and the SDK's spans of
/// workflows, activities and clients; flushes them when the invocation ends. Does nothing with
/// `OTEL_SDK_DISABLED=true`.
///
/// The invocation's span is the current one from here on in `configure` (from its next await
/// point), in `on_start`, in shutdown hooks and in `on_shutdown`.
///
/// # Errors
/// [`OtelError`], which is about `options` only, as for [`apply_defaults`].
pub fn apply_tracing(
    config: &mut LambdaWorkerConfig,
    options: OtelOptions,
) -> Result<(), OtelError> {
    let kept = config.telemetry.kept::<Kept>();
    let Some(traces) = kept.traces(&options)? else { return Ok(()) };
    let scope = config.invocation.scope().clone();
    let mut first = false;
    scope.surround(|| {
        first = true;
        let parent = match traces.lambda_header {
            true => spans::parent(&config.invocation),
            false => Context::new(),
        };
        let is_left_out = spans::is_left_out(parent.span().span_context());
        if is_left_out && traces.follows_lambda && kept.is_first_unsampled() {
            tracing::info!(
                "Lambda's trace header says Sampled=0, so this invocation's spans are not \
                 exported. If none ever is, turn active tracing on for the function, or set \
                 OTEL_TRACES_SAMPLER=always_on"
            );
        }
        InvocationSpan(spans::begin(&traces.tracer, &config.invocation, &parent))
    });
    if first {
        // The plugin is not registered, since client options accept one only while they are built.
        let client = traces.plugin.configure_client_options(&mut config.client_options);
        let worker = traces.plugin.configure_worker_options(&mut config.worker_options);
        config.worker_options.activity_inbound_interceptor(MarksActivities);
        let failed = |error: &PluginError| {
            tracing::warn!(%error, "the SDK's tracing could not be set up; the worker goes on");
        };
        let _ = client.inspect_err(failed);
        let _ = worker.inspect_err(failed);
    }
    flush_at_the_end(config, &options);
    Ok(())
}

/// The provider of this environment's spans, to make spans of your own that are exported with
/// them. `None` before [`apply_tracing`] and with `OTEL_SDK_DISABLED=true`.
pub fn tracer_provider(config: &LambdaWorkerConfig) -> Option<SdkTracerProvider> {
    let (traces, _) = config.telemetry.kept::<Kept>().both();
    traces.map(|traces| traces.provider.clone())
}

/// The provider of this environment's instruments, to measure something of your own that is
/// exported with the rest. `None` before [`apply_metrics`] and with `OTEL_SDK_DISABLED=true`.
pub fn meter_provider(config: &LambdaWorkerConfig) -> Option<SdkMeterProvider> {
    let (_, metrics) = config.telemetry.kept::<Kept>().both();
    metrics.map(|metrics| metrics.provider.clone())
}

/// The span of an invocation, current wherever something of the invocation runs.
#[derive(Debug)]
struct InvocationSpan(Context);

impl Surroundings for InvocationSpan {
    fn enter(&self) -> Box<dyn Any> {
        Box::new(self.0.clone().attach())
    }
}

/// Makes the span of an activity say which invocation it ran in. Inside of the SDK's interceptor,
/// where that span is the current one.
struct MarksActivities;

impl ActivityInboundInterceptor for MarksActivities {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        async move {
            if let Some(invocation) = current_invocation() {
                let id = KeyValue::new("faas.invocation_id", invocation.request_id);
                Context::current().span().set_attribute(id);
            }
            next.run(input).await
        }
        .boxed()
    }
}

/// Adds the flush to this invocation's hooks, once. It runs after all others, so that it includes what they
/// record.
fn flush_at_the_end(config: &mut LambdaWorkerConfig, options: &OtelOptions) {
    if std::mem::replace(&mut config.telemetry.flushes, true) {
        return;
    }
    let (kept, cap) = (config.telemetry.kept::<Kept>(), options.flush_timeout);
    config.shutdown_hooks.add_last(FLUSH_HOOK, move |ending| flush(kept, cap, ending));
}

async fn flush(kept: Arc<Kept>, cap: Duration, ending: Shutdown) -> Result<(), BoxError> {
    let (traces, metrics) = kept.both();
    if let Some(metrics) = &metrics {
        metrics.figures.record(&ending.report);
    }
    let context = ending.invocation.scope().surroundings::<InvocationSpan>();
    if let (Some(traces), Some(context)) = (&traces, context) {
        spans::end(&traces.tracer, &context.0, kept.since, &ending);
    }
    let cap = cap.min(ending.time_allowed.saturating_sub(SAFETY));
    let (spans, points) = tokio::join!(
        flushed(cap, traces.as_ref().map(|it| &it.flusher)),
        flushed(cap, metrics.as_ref().map(|it| &it.flusher)),
    );
    let lost = traces.map_or(0, |it| it.take_lost()) + metrics.map_or(0, |it| it.take_lost());
    if spans.is_ok() && points.is_ok() && lost == 0 {
        return Ok(());
    }
    let say = |flushed: export::Flushed| flushed.err().unwrap_or_else(|| "exported".to_owned());
    let (traces, metrics) = (say(spans), say(points));
    tracing::warn!(
        request_id = ending.invocation.request_id,
        traces,
        metrics,
        exports_lost = lost,
        "telemetry of this invocation did not reach the collector; check that it runs (the ADOT \
         layer) and OTEL_EXPORTER_OTLP_ENDPOINT. What is not lost is sent again later"
    );
    Err(AlreadyLogged(format!("traces: {traces}; metrics: {metrics}")).into())
}

async fn flushed(cap: Duration, flusher: Option<&export::Flusher>) -> export::Flushed {
    match flusher {
        Some(flusher) => flusher.flush_within(cap).await,
        None => Ok(()),
    }
}
