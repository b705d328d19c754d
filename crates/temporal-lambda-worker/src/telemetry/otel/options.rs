//! The options for telemetry in code, and the errors about them.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

/// How to export telemetry. The first invocation of an environment decides for all.
///
/// ```
/// use std::time::Duration;
/// use temporal_lambda_worker::otel::OtelOptions;
///
/// let options = OtelOptions::default()
///     .service_name("orders")
///     .flush_timeout(Duration::from_millis(500));
/// assert_eq!(options.service_name.as_deref(), Some("orders"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OtelOptions {
    /// The service's name. `None`, the default: `OTEL_SERVICE_NAME`, else `service.name` in
    /// `OTEL_RESOURCE_ATTRIBUTES`, else `AWS_LAMBDA_FUNCTION_NAME`, else `temporal-lambda-worker`.
    pub service_name: Option<String>,
    /// The collector's address: `http://` or `https://`. Over HTTP, `/v1/traces` and
    /// `/v1/metrics` are appended. `None`, the default: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or
    /// `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, else `OTEL_EXPORTER_OTLP_ENDPOINT`, else
    /// `http://localhost:4317` (gRPC) or `http://localhost:4318` (HTTP).
    pub endpoint: Option<String>,
    /// Attributes of the resource. They override Lambda's own and `OTEL_RESOURCE_ATTRIBUTES`.
    /// Default: none.
    pub resource_attributes: Vec<KeyValue>,
    /// How often metrics are exported while an invocation runs; more than zero. `None`, the
    /// default: `OTEL_METRIC_EXPORT_INTERVAL`, else 10 s. At the end of an invocation they are
    /// exported in any case.
    pub metric_interval: Option<Duration>,
    /// The most that the flush at the end of an invocation may take; more than zero. Default 1 s.
    /// The flush is a shutdown hook, so its part of the hooks' time is a limit, too. An export
    /// may take as long, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
    pub flush_timeout: Duration,
    /// Whether the providers, and the propagators by `OTEL_PROPAGATORS`, become the process's
    /// global ones, so that `opentelemetry::global::tracer` exports. Default `false`: the process
    /// has one of each, and it is the user's.
    pub set_global: bool,
    /// Spans go to this provider instead of one that is made. It should have an
    /// [`XRayIdGenerator`](super::XRayIdGenerator), and each of its processors wrapped in a
    /// [`LambdaSpanProcessor`](super::LambdaSpanProcessor). It is flushed, but never shut down. The
    /// variables that choose exporter, sampler and resource do not change it.
    pub tracer_provider: Option<SdkTracerProvider>,
    /// Measurements go to this provider instead of one that is made. It is flushed, but never
    /// shut down. The variables that choose exporter and resource do not change it.
    pub meter_provider: Option<SdkMeterProvider>,
}

impl Default for OtelOptions {
    fn default() -> Self {
        Self {
            service_name: None,
            endpoint: None,
            resource_attributes: Vec::new(),
            metric_interval: None,
            flush_timeout: Duration::from_secs(1),
            set_global: false,
            tracer_provider: None,
            meter_provider: None,
        }
    }
}

impl OtelOptions {
    /// Sets [`service_name`](Self::service_name).
    #[must_use]
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// Sets [`endpoint`](Self::endpoint).
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Adds one to [`resource_attributes`](Self::resource_attributes).
    #[must_use]
    pub fn resource_attribute(mut self, attribute: KeyValue) -> Self {
        self.resource_attributes.push(attribute);
        self
    }

    /// Sets [`metric_interval`](Self::metric_interval).
    #[must_use]
    pub fn metric_interval(mut self, interval: Duration) -> Self {
        self.metric_interval = Some(interval);
        self
    }

    /// Sets [`flush_timeout`](Self::flush_timeout).
    #[must_use]
    pub fn flush_timeout(mut self, timeout: Duration) -> Self {
        self.flush_timeout = timeout;
        self
    }

    /// Sets [`set_global`](Self::set_global).
    #[must_use]
    pub fn set_global(mut self, global: bool) -> Self {
        self.set_global = global;
        self
    }

    /// Sets [`tracer_provider`](Self::tracer_provider).
    #[must_use]
    pub fn tracer_provider(mut self, provider: SdkTracerProvider) -> Self {
        self.tracer_provider = Some(provider);
        self
    }

    /// Sets [`meter_provider`](Self::meter_provider).
    #[must_use]
    pub fn meter_provider(mut self, provider: SdkMeterProvider) -> Self {
        self.meter_provider = Some(provider);
        self
    }

    /// Refuses options that cannot work, whatever the environment says.
    pub(super) fn check(&self) -> Result<(), OtelError> {
        if self.flush_timeout.is_zero() {
            return Err(OtelError::Zero { option: "flush_timeout" });
        }
        if self.metric_interval.is_some_and(|interval| interval.is_zero()) {
            return Err(OtelError::Zero { option: "metric_interval" });
        }
        Ok(())
    }
}

/// What is wrong with [`OtelOptions`]. A missing collector is no error, and a bad environment variable is a warning in
/// the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtelError {
    /// The endpoint cannot be used.
    #[error(
        "the OTLP endpoint {endpoint:?} cannot be used: {reason}. Set OtelOptions::endpoint to the \
         address of a collector, such as http://localhost:4317, or leave it to \
         OTEL_EXPORTER_OTLP_ENDPOINT"
    )]
    #[non_exhaustive]
    Endpoint {
        /// The endpoint that was given, without password and query.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An option is zero that must be more.
    #[error("OtelOptions::{option} is zero, and must be more; leave it out for its default")]
    #[non_exhaustive]
    Zero {
        /// The option's name.
        option: &'static str,
    },
}
