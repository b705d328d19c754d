//! What telemetry keeps from one invocation to the next: providers, and the threads that serve
//! them. Made once per environment, by the first invocation that asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracer, SdkTracerProvider};
use temporalio_sdk::SimplePlugin;
use temporalio_sdk::opentelemetry::{INSTRUMENTATION_SCOPE, OpenTelemetryPlugin};
use tokio::runtime::{Builder, Runtime};

use super::core_meter::SdkMeter;
use super::figures::Figures;
use super::flush::Flusher;
use super::ids::XRayIdGenerator;
use super::processor::LambdaSpanProcessor;
use super::{OtelError, OtelOptions, export};

/// The instrumentation scope of everything that is not the SDK's.
const SCOPE: &str = "temporal-lambda-worker";

/// The environment's telemetry.
pub(crate) struct Kept {
    /// When the environment came into being, as far as this library saw.
    pub(super) since: SystemTime,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    traces: Option<Arc<Traces>>,
    metrics: Option<Arc<Metrics>>,
    /// Where exporters speak to the collector. A thread of its own: neither user code nor the SDK
    /// can block it.
    io: Option<Runtime>,
    /// Whether somebody was told that Lambda does not sample.
    told_unsampled: bool,
}

/// What makes spans and exports them.
pub(super) struct Traces {
    pub(super) tracer: SdkTracer,
    pub(super) plugin: SimplePlugin,
    pub(super) flusher: Flusher,
    /// `None`: the provider is the user's.
    provider: Option<SdkTracerProvider>,
}

/// What takes measurements and exports them.
pub(super) struct Metrics {
    pub(super) runtime: Arc<SdkMeter>,
    pub(super) connections: Arc<SdkMeter>,
    pub(super) figures: Figures,
    pub(super) flusher: Flusher,
    /// `None`: the provider is the user's.
    provider: Option<SdkMeterProvider>,
}

impl Kept {
    /// Both, as far as they were made.
    pub(super) fn both(&self) -> (Option<Arc<Traces>>, Option<Arc<Metrics>>) {
        let made = self.lock();
        (made.traces.clone(), made.metrics.clone())
    }

    /// The traces; made by the first who asks, as he wishes.
    pub(super) fn traces(&self, options: &OtelOptions) -> Result<Arc<Traces>, OtelError> {
        let mut made = self.lock();
        if let Some(traces) = &made.traces {
            return Ok(traces.clone());
        }
        let (provider, own) = match &options.tracer_provider {
            Some(provider) => (provider.clone(), None),
            None => {
                let provider = made.tracer_provider(options)?;
                (provider.clone(), Some(provider))
            }
        };
        let plugin = OpenTelemetryPlugin::builder().tracer(provider.tracer(INSTRUMENTATION_SCOPE));
        let flushed = provider.clone();
        let flusher = Flusher::start("otel-flush-traces", move || flushed.force_flush());
        let traces = Traces {
            tracer: provider.tracer(SCOPE),
            plugin: plugin.build(),
            flusher: flusher.map_err(OtelError::Thread)?,
            provider: own,
        };
        Ok(made.traces.insert(Arc::new(traces)).clone())
    }

    /// The metrics; made by the first who asks, as he wishes.
    pub(super) fn metrics(&self, options: &OtelOptions) -> Result<Arc<Metrics>, OtelError> {
        let mut made = self.lock();
        if let Some(metrics) = &made.metrics {
            return Ok(metrics.clone());
        }
        let (provider, own) = match &options.meter_provider {
            Some(provider) => (provider.clone(), None),
            None => {
                let provider = made.meter_provider(options)?;
                (provider.clone(), Some(provider))
            }
        };
        let meter = provider.meter(INSTRUMENTATION_SCOPE);
        let flushed = provider.clone();
        let flusher = Flusher::start("otel-flush-metrics", move || flushed.force_flush());
        let metrics = Metrics {
            runtime: Arc::new(SdkMeter::for_runtime(meter.clone())),
            connections: Arc::new(SdkMeter::for_connections(meter)),
            figures: Figures::new(&provider.meter(SCOPE)),
            flusher: flusher.map_err(OtelError::Thread)?,
            provider: own,
        };
        Ok(made.metrics.insert(Arc::new(metrics)).clone())
    }

    /// Whether this is the first time in this environment that Lambda does not sample.
    pub(super) fn is_first_unsampled(&self) -> bool {
        !std::mem::replace(&mut self.lock().told_unsampled, true)
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        // Nothing under the lock can leave it half changed.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    fn tracer_provider(&mut self, options: &OtelOptions) -> Result<SdkTracerProvider, OtelError> {
        let exporter = {
            let _io = self.io()?.enter();
            export::spans(options)?
        };
        let processor = BatchSpanProcessor::builder(exporter).build();
        Ok(SdkTracerProvider::builder()
            .with_id_generator(XRayIdGenerator::default())
            .with_span_processor(LambdaSpanProcessor::new(processor))
            .with_resource(export::resource(options))
            .build())
    }

    fn meter_provider(&mut self, options: &OtelOptions) -> Result<SdkMeterProvider, OtelError> {
        let exporter = {
            let _io = self.io()?.enter();
            export::metrics(options)?
        };
        let reader = PeriodicReader::builder(exporter).with_interval(options.metric_interval);
        Ok(SdkMeterProvider::builder()
            .with_reader(reader.build())
            .with_resource(export::resource(options))
            .build())
    }

    fn io(&mut self) -> Result<&Runtime, OtelError> {
        if self.io.is_none() {
            let runtime = Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("otel-io")
                .enable_all()
                .build();
            self.io = Some(runtime.map_err(OtelError::Thread)?);
        }
        // It was filled just above.
        self.io.as_ref().ok_or_else(|| OtelError::Thread(std::io::ErrorKind::NotFound.into()))
    }
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
            if let Some(provider) = traces.as_ref().and_then(|it| it.provider.as_ref()) {
                let _ = provider.shutdown();
            }
            if let Some(provider) = metrics.as_ref().and_then(|it| it.provider.as_ref()) {
                let _ = provider.shutdown();
            }
            drop(io);
        };
        // Without a thread, what is left is lost with the process.
        let _ = std::thread::Builder::new().name("otel-end".to_owned()).spawn(end);
    }
}
