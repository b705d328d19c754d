#![doc = include_str!("../docs/telemetry.md")]

mod core_meter;
mod export;
mod figures;
mod flush;
mod ids;
mod kept;
mod lambda_trace;
mod processor;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use temporalio_client::plugins::{ClientPlugin as _, PluginError};
use temporalio_common::telemetry::TaskQueueLabelStrategy;
use temporalio_common::telemetry::metrics::{NewAttributes, TemporalMeter};
use temporalio_sdk::WorkerPlugin as _;

use crate::config::LambdaWorkerConfig;
use crate::hooks::Logged;
use crate::invocation::Invocation;
use crate::worker::{BoxError, Shutdown};

pub use ids::XRayIdGenerator;
pub(crate) use kept::Kept;
pub use processor::LambdaSpanProcessor;
pub(crate) use processor::end_open_spans;

/// The name of the flush among the hooks of an invocation report.
pub const FLUSH_HOOK: &str = "opentelemetry flush";

/// Of the time that the flush is given, this much is kept for saying that it was too short.
const SAFETY: Duration = Duration::from_millis(20);

/// How to export telemetry. The first invocation of an environment decides for all.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OtelOptions {
    /// The service's name. `None`, the default: `OTEL_SERVICE_NAME`, else
    /// `AWS_LAMBDA_FUNCTION_NAME`, else `temporal-lambda-worker`.
    pub service_name: Option<String>,
    /// The collector's address: `http://` or `https://`, OTLP over gRPC. `None`, the default:
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, else
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, else `http://localhost:4317`.
    pub endpoint: Option<String>,
    /// Attributes of the resource, besides the service's name, Lambda's own and
    /// `OTEL_RESOURCE_ATTRIBUTES`. Default: none.
    pub resource_attributes: Vec<KeyValue>,
    /// How often metrics are exported while an invocation runs. Default 10 s. At the end of an
    /// invocation they are exported in any case.
    pub metric_interval: Duration,
    /// The most that the flush at the end of an invocation may take, and any one export. Default
    /// 1 s. The flush is a shutdown hook, so its part of the hooks' time is a limit, too.
    pub flush_timeout: Duration,
    /// Spans go to this provider instead of one that is made. It should have an
    /// [`XRayIdGenerator`], and each of its processors wrapped in a [`LambdaSpanProcessor`]. It is
    /// flushed, but never shut down.
    pub tracer_provider: Option<SdkTracerProvider>,
    /// Measurements go to this provider instead of one that is made. It is flushed, but never
    /// shut down.
    pub meter_provider: Option<SdkMeterProvider>,
}

impl Default for OtelOptions {
    fn default() -> Self {
        Self {
            service_name: None,
            endpoint: None,
            resource_attributes: Vec::new(),
            metric_interval: Duration::from_secs(10),
            flush_timeout: Duration::from_secs(1),
            tracer_provider: None,
            meter_provider: None,
        }
    }
}

/// Why telemetry could not be set up. A collector that is not there is no such reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtelError {
    /// The endpoint is no address.
    #[error(
        "the OTLP endpoint {endpoint:?} cannot be used: {reason}. Set OTEL_EXPORTER_OTLP_ENDPOINT \
         or OtelOptions::endpoint to the address of a collector, such as http://localhost:4317"
    )]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The exporter refused its settings.
    #[error(
        "the OTLP exporter could not be made: {reason}. Check the OTEL_EXPORTER_OTLP_* variables"
    )]
    Exporter {
        /// What it said.
        reason: String,
    },
    /// The SDK's tracing plugin refused the configuration.
    #[error("the SDK's tracing plugin could not be set up: {reason}")]
    Plugin {
        /// What it said.
        reason: String,
    },
    /// The operating system refused a thread.
    #[error("a thread for telemetry could not be started: {0}")]
    Thread(#[source] std::io::Error),
}

/// Exports metrics and traces: [`apply_metrics`] and [`apply_tracing`]. Call it in `configure`, in
/// every invocation; what it makes is made once per environment.
///
/// # Errors
/// [`OtelError`], which is about settings. Whether there is a collector is not looked at.
pub fn apply_defaults(
    config: &mut LambdaWorkerConfig,
    options: OtelOptions,
) -> Result<(), OtelError> {
    apply_metrics(config, options.clone())?;
    apply_tracing(config, options)
}

/// Exports the SDK's own metrics and those of the invocation, and flushes them when the invocation
/// ends.
///
/// The SDK asks for its meter once: call this in the environment's first invocation, or the
/// workers of the environment measure nothing.
///
/// # Errors
/// [`OtelError`], which is about settings. Whether there is a collector is not looked at.
pub fn apply_metrics(
    config: &mut LambdaWorkerConfig,
    options: OtelOptions,
) -> Result<(), OtelError> {
    let metrics = config.telemetry.otel.metrics(&options)?;
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
/// workflows, activities and clients; flushes them when the invocation ends.
///
/// The invocation's span is the current one from here on in `configure` (from its next await
/// point), in `on_start`, in shutdown hooks and in `on_shutdown`.
///
/// # Errors
/// [`OtelError`], which is about settings. Whether there is a collector is not looked at.
pub fn apply_tracing(
    config: &mut LambdaWorkerConfig,
    options: OtelOptions,
) -> Result<(), OtelError> {
    let kept = config.telemetry.otel.clone();
    let traces = kept.traces(&options)?;
    let scope = config.invocation.scope().clone();
    let mut first = false;
    let context = scope.context.get_or_init(|| {
        first = true;
        spans::begin(&traces.tracer, &config.invocation)
    });
    if first {
        // Not by registering the plugin: client options take one only while they are built.
        let plugin = |error: PluginError| OtelError::Plugin { reason: error.to_string() };
        traces.plugin.configure_client_options(&mut config.client_options).map_err(plugin)?;
        traces.plugin.configure_worker_options(&mut config.worker_options).map_err(plugin)?;
        if spans::is_left_out(context.span().span_context()) && kept.is_first_unsampled() {
            tracing::info!(
                "Lambda's trace header says Sampled=0, so this invocation's spans are not \
                 exported. If none ever is, turn active tracing on for the function, or set \
                 OTEL_TRACES_SAMPLER=always_on"
            );
        }
    }
    flush_at_the_end(config, &options);
    Ok(())
}

/// Makes the span of an activity, which is the current one, say which invocation it ran in.
pub(crate) fn mark_activity(invocation: &Invocation) {
    let invocation_id = KeyValue::new("faas.invocation_id", invocation.request_id.clone());
    Context::current().span().set_attribute(invocation_id);
}

/// Adds the flush to this invocation's hooks, once: after all others, so that what they record is
/// in it.
fn flush_at_the_end(config: &mut LambdaWorkerConfig, options: &OtelOptions) {
    if std::mem::replace(&mut config.telemetry.flushes, true) {
        return;
    }
    let (kept, cap) = (config.telemetry.otel.clone(), options.flush_timeout);
    config.shutdown_hooks.add_last(FLUSH_HOOK, move |ending| flush(kept, cap, ending));
}

async fn flush(kept: Arc<Kept>, cap: Duration, ending: Shutdown) -> Result<(), BoxError> {
    let (traces, metrics) = kept.both();
    if let Some(metrics) = &metrics {
        metrics.figures.record(&ending.report);
    }
    let context = ending.invocation.scope().context.get();
    if let (Some(traces), Some(context)) = (&traces, context) {
        spans::end(&traces.tracer, context, kept.since, &ending);
    }
    let cap = cap.min(ending.time_allowed.saturating_sub(SAFETY));
    let (spans, points) = tokio::join!(
        capped(cap, traces.as_ref().map(|it| &it.flusher)),
        capped(cap, metrics.as_ref().map(|it| &it.flusher)),
    );
    if spans.is_ok() && points.is_ok() {
        return Ok(());
    }
    let say = |flushed: flush::Flushed| flushed.err().unwrap_or_else(|| "exported".to_owned());
    let (traces, metrics) = (say(spans), say(points));
    tracing::warn!(
        request_id = ending.invocation.request_id,
        traces,
        metrics,
        "telemetry of this invocation did not reach the collector; check that it runs (the ADOT \
         layer) and OTEL_EXPORTER_OTLP_ENDPOINT"
    );
    Err(Logged(format!("traces: {traces}; metrics: {metrics}")).into())
}

async fn capped(cap: Duration, flusher: Option<&flush::Flusher>) -> flush::Flushed {
    let Some(flusher) = flusher else { return Ok(()) };
    tokio::time::timeout(cap, flusher.flush())
        .await
        .unwrap_or_else(|_| Err(format!("not exported within {cap:?}")))
}
