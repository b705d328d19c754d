//! The telemetry that an environment keeps: providers, and the threads that serve them. They are made once, by the
//! first invocation that asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use opentelemetry::global;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracer, SdkTracerProvider};
use temporalio_sdk::SimplePlugin;
use temporalio_sdk::opentelemetry::{INSTRUMENTATION_SCOPE, OpenTelemetryPlugin};
use tokio::runtime::{Builder, Handle, Runtime};

use super::core_meter::SdkMeter;
use super::export::{
    Collector, Flusher, Keep, MetricOutbox, Outbox, Points, SpanOutbox, Spans, keep,
};
use super::figures::Figures;
use super::ids::XRayIdGenerator;
use super::options::{OtelError, OtelOptions};
use super::processor::LambdaSpanProcessor;
use super::settings::{Settings, Target, follows_parent};
use super::variables::{self, Signal};

/// The instrumentation scope of this crate's spans and metrics.
const SCOPE: &str = "temporal-lambda-worker";

/// The environment's telemetry.
pub(super) struct Kept {
    /// When this was created, which is about the start of the environment.
    pub(super) since: SystemTime,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    traces: Option<Arc<Traces>>,
    metrics: Option<Arc<Metrics>>,
    /// The runtime on which exporters send: a thread of its own, which neither user code nor the SDK can block.
    io: Option<Runtime>,
    told: Told,
}

/// The warnings that were logged in this environment, and are not logged again.
#[derive(Default)]
struct Told {
    /// That values of variables cannot be used.
    variables: bool,
    /// That Lambda does not sample.
    unsampled: bool,
    /// That the operating system refuses what telemetry needs.
    refused: bool,
}

/// The provider and exporter of spans.
pub(super) struct Traces {
    pub(super) provider: SdkTracerProvider,
    pub(super) tracer: SdkTracer,
    pub(super) plugin: SimplePlugin,
    pub(super) flusher: Flusher,
    /// Whether invocations belong to the trace that Lambda names.
    pub(super) lambda_header: bool,
    /// Whether spans of traces that Lambda does not sample are left out, as far as this library knows.
    pub(super) follows_lambda: bool,
    outbox: Option<Arc<SpanOutbox>>,
    /// Whether the provider is not the user's.
    is_own: bool,
}

/// The provider and exporter of metrics.
pub(super) struct Metrics {
    pub(super) provider: SdkMeterProvider,
    pub(super) runtime: Arc<SdkMeter>,
    pub(super) connections: Arc<SdkMeter>,
    pub(super) figures: Figures,
    pub(super) flusher: Flusher,
    outbox: Option<Arc<MetricOutbox>>,
    /// Whether the provider is not the user's.
    is_own: bool,
}

impl Traces {
    /// How many exports were given up since the last call.
    pub(super) fn take_lost(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.take_lost())
    }
}

impl Metrics {
    /// How many exports were given up since the last call.
    pub(super) fn take_lost(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.take_lost())
    }
}

impl Kept {
    /// Both, as far as they were made.
    pub(super) fn both(&self) -> (Option<Arc<Traces>>, Option<Arc<Metrics>>) {
        let made = self.lock();
        (made.traces.clone(), made.metrics.clone())
    }

    /// The traces, made by the first call with its options. `None` if traces are turned off.
    pub(super) fn traces(&self, options: &OtelOptions) -> Result<Option<Arc<Traces>>, OtelError> {
        options.check()?;
        let mut made = self.lock();
        if let Some(traces) = &made.traces {
            traces.flusher.retry();
            return Ok(Some(traces.clone()));
        }
        let Some(settings) = made.settings(options)? else { return Ok(None) };
        match made.new_traces(options, &settings) {
            Ok(traces) => Ok(Some(made.traces.insert(Arc::new(traces)).clone())),
            Err(error) => Ok(made.go_without(Signal::Traces, &error)),
        }
    }

    /// The metrics, made by the first call with its options. `None` if metrics are turned off.
    pub(super) fn metrics(&self, options: &OtelOptions) -> Result<Option<Arc<Metrics>>, OtelError> {
        options.check()?;
        let mut made = self.lock();
        if let Some(metrics) = &made.metrics {
            metrics.flusher.retry();
            return Ok(Some(metrics.clone()));
        }
        let Some(settings) = made.settings(options)? else { return Ok(None) };
        match made.new_metrics(options, &settings) {
            Ok(metrics) => Ok(Some(made.metrics.insert(Arc::new(metrics)).clone())),
            Err(error) => Ok(made.go_without(Signal::Metrics, &error)),
        }
    }

    /// Whether this is the first time in this environment that Lambda does not sample.
    pub(super) fn is_first_unsampled(&self) -> bool {
        !std::mem::replace(&mut self.lock().told.unsampled, true)
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        // No panic can leave the state half changed.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    /// The settings from options and variables; `None`: telemetry is turned off.
    fn settings(&mut self, options: &OtelOptions) -> Result<Option<Settings>, OtelError> {
        let settings = Settings::read(options, &variables::of_process)?;
        if !settings.warnings.is_empty() && !std::mem::replace(&mut self.told.variables, true) {
            tracing::warn!(
                variables = settings.warnings.join("; "),
                "some OpenTelemetry variables cannot be honoured; the worker goes on without that"
            );
        }
        Ok((!settings.disabled).then_some(settings))
    }

    fn new_traces(
        &mut self,
        options: &OtelOptions,
        settings: &Settings,
    ) -> std::io::Result<Traces> {
        let outbox = match (&options.tracer_provider, &settings.traces) {
            (None, Some(target)) => self.outbox(Signal::Traces, target, Keep::All)?,
            _ => None,
        };
        let provider = match &options.tracer_provider {
            Some(provider) => provider.clone(),
            None => tracer_provider(outbox.clone(), settings),
        };
        let plugin = OpenTelemetryPlugin::builder()
            .tracer(provider.tracer(INSTRUMENTATION_SCOPE))
            .propagator(settings.propagators.build());
        let (flushed, waiting, io) = (provider.clone(), outbox.clone(), self.io_handle());
        let flusher = Flusher::start("otel-flush-traces", move || {
            flushed.force_flush()?;
            // Waiting requests were sent with new spans, if there were any.
            match (&waiting, &io) {
                (Some(outbox), Some(io)) => io.block_on(outbox.send_waiting()),
                _ => Ok(()),
            }
        })?;
        if options.set_global {
            global::set_tracer_provider(provider.clone());
            global::set_text_map_propagator(settings.propagators.build());
        }
        let is_own = options.tracer_provider.is_none();
        Ok(Traces {
            tracer: provider.tracer(SCOPE),
            plugin: plugin.build(),
            flusher,
            lambda_header: settings.propagators.lambda_header,
            follows_lambda: !is_own || follows_parent(&settings.sampler),
            provider,
            outbox,
            is_own,
        })
    }

    fn new_metrics(
        &mut self,
        options: &OtelOptions,
        settings: &Settings,
    ) -> std::io::Result<Metrics> {
        let outbox = match (&options.meter_provider, &settings.metrics) {
            (None, Some(target)) => {
                self.outbox(Signal::Metrics, target, keep(settings.temporality))?
            }
            _ => None,
        };
        let provider = match &options.meter_provider {
            Some(provider) => provider.clone(),
            None => meter_provider(outbox.clone(), settings),
        };
        let meter = provider.meter(INSTRUMENTATION_SCOPE);
        let flushed = provider.clone();
        // Every flush exports, which sends waiting requests, too.
        let flusher = Flusher::start("otel-flush-metrics", move || flushed.force_flush())?;
        if options.set_global {
            global::set_meter_provider(provider.clone());
        }
        Ok(Metrics {
            runtime: Arc::new(SdkMeter::for_runtime(meter.clone())),
            connections: Arc::new(SdkMeter::for_connections(meter)),
            figures: Figures::new(&provider.meter(SCOPE)),
            flusher,
            provider,
            outbox,
            is_own: options.meter_provider.is_none(),
        })
    }

    /// The outbox to a collector; `None` if it cannot be made, which is logged.
    fn outbox<R: super::export::Export>(
        &mut self,
        signal: Signal,
        target: &Target,
        keep: Keep,
    ) -> std::io::Result<Option<Arc<Outbox<R>>>> {
        match Collector::new(target.clone(), self.start_io()?) {
            Ok(collector) => Ok(Some(Arc::new(Outbox::new(collector, keep)))),
            Err(reason) => Ok(self.go_without(signal, &reason)),
        }
    }

    /// Logs once that nothing can be exported, and goes on.
    fn go_without<T>(&mut self, signal: Signal, reason: &dyn std::fmt::Display) -> Option<T> {
        if !std::mem::replace(&mut self.told.refused, true) {
            tracing::warn!(%reason, "telemetry could not be set up, so no {signal} are exported");
        }
        None
    }

    fn io_handle(&self) -> Option<Handle> {
        self.io.as_ref().map(|io| io.handle().clone())
    }

    fn start_io(&mut self) -> std::io::Result<Handle> {
        if let Some(handle) = self.io_handle() {
            return Ok(handle);
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("otel-io")
            .enable_all()
            .build()?;
        Ok(self.io.insert(runtime).handle().clone())
    }
}

/// A provider of spans. Without an outbox, spans are made and passed on, but not exported.
fn tracer_provider(outbox: Option<Arc<SpanOutbox>>, settings: &Settings) -> SdkTracerProvider {
    let mut builder = SdkTracerProvider::builder()
        .with_id_generator(XRayIdGenerator::default())
        .with_sampler(settings.sampler.clone())
        .with_resource(settings.resource.clone());
    if let Some(outbox) = outbox {
        let processor = BatchSpanProcessor::builder(Spans::new(outbox)).build();
        builder = builder.with_span_processor(LambdaSpanProcessor::new(processor));
    }
    builder.build()
}

/// A provider of instruments. Without an outbox, nothing is exported.
fn meter_provider(outbox: Option<Arc<MetricOutbox>>, settings: &Settings) -> SdkMeterProvider {
    let mut builder = SdkMeterProvider::builder().with_resource(settings.resource.clone());
    if let Some(outbox) = outbox {
        let exporter = Points::new(outbox, settings.temporality);
        let reader = PeriodicReader::builder(exporter).with_interval(settings.metric_interval);
        builder = builder.with_reader(reader.build());
    }
    builder.build()
}

impl Default for Kept {
    fn default() -> Self {
        Self { since: SystemTime::now(), made: Mutex::default() }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Made { traces, metrics, io, .. } = std::mem::take(&mut *self.lock());
        if io.is_none() {
            return;
        }
        // Shutting a provider down exports what is left and blocks, and whoever drops the
        // environment may be in the middle of async code.
        let end = move || {
            if let Some(traces) = traces.filter(|it| it.is_own) {
                let _ = traces.provider.shutdown();
            }
            if let Some(metrics) = metrics.filter(|it| it.is_own) {
                let _ = metrics.provider.shutdown();
            }
            drop(io);
        };
        // Without a thread, the data that is left is lost with the process.
        let _ = std::thread::Builder::new().name("otel-end".to_owned()).spawn(end);
    }
}
