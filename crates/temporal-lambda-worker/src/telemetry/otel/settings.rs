//! The settings of telemetry, from options and variables, by the rules of OpenTelemetry's specification.

mod resource;
mod target;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

use std::time::Duration;

use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::Sampler;

pub(super) use target::{Target, Transport};

use super::options::{OtelError, OtelOptions};
use super::variables::{Signal, Variables};

/// How often metrics are exported by default. The specification's minute is longer than most invocations.
const METRIC_INTERVAL: Duration = Duration::from_secs(10);

/// Variables that other exporters use, and this one does not.
const WITHOUT_EFFECT: [&str; 10] = [
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
    "OTEL_CONFIG_FILE",
];

/// The settings from options and variables.
#[derive(Debug)]
pub(super) struct Settings {
    /// Whether telemetry is turned off.
    pub(super) disabled: bool,
    /// The collector for spans; `None`: they are not exported.
    pub(super) traces: Option<Target>,
    /// The collector for metrics; `None`: they are not exported.
    pub(super) metrics: Option<Target>,
    pub(super) sampler: Sampler,
    pub(super) propagators: Propagators,
    pub(super) temporality: Temporality,
    pub(super) metric_interval: Duration,
    pub(super) resource: Resource,
    /// Warnings about variables whose values cannot be used.
    pub(super) warnings: Vec<String>,
}

/// How traces are taken over from callers, and passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Propagators {
    /// Whether the invocation is part of the trace that Lambda's header names.
    pub(super) lambda_header: bool,
    trace_context: bool,
    baggage: bool,
}

impl Propagators {
    /// The propagators where `OTEL_PROPAGATORS` is not set.
    const DEFAULT: Self = Self { lambda_header: true, trace_context: true, baggage: true };

    pub(super) fn build(self) -> TextMapCompositePropagator {
        let mut all: Vec<Box<dyn opentelemetry::propagation::TextMapPropagator + Send + Sync>> =
            Vec::new();
        if self.trace_context {
            all.push(Box::new(TraceContextPropagator::new()));
        }
        if self.baggage {
            all.push(Box::new(BaggagePropagator::new()));
        }
        TextMapCompositePropagator::new(all)
    }
}

impl Settings {
    /// Reads options and variables.
    ///
    /// # Errors
    /// Only about options. Bad values of variables are warnings.
    pub(super) fn read(
        options: &OtelOptions,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, OtelError> {
        let mut variables = Variables::new(read);
        let disabled = variables.flag("OTEL_SDK_DISABLED").unwrap_or(false);
        let traces = target::of(Signal::Traces, options, &mut variables)?;
        let metrics = target::of(Signal::Metrics, options, &mut variables)?;
        let sampler = sampler(&mut variables);
        let propagators = propagators(&mut variables);
        let temporality = temporality(&mut variables);
        let metric_interval = metric_interval(options, &mut variables);
        let resource = resource::of(options, &mut variables);
        for name in WITHOUT_EFFECT {
            if variables.get(name).is_some() {
                variables.warn(format!("{name} is not supported"));
            }
        }
        let warnings = variables.into_warnings();
        Ok(Self {
            disabled,
            traces,
            metrics,
            sampler,
            propagators,
            temporality,
            metric_interval,
            resource,
            warnings,
        })
    }
}

/// Whether a sampler leaves the decision to the parent, if there is one.
pub(super) fn follows_parent(sampler: &Sampler) -> bool {
    matches!(sampler, Sampler::ParentBased(_))
}

fn sampler(variables: &mut Variables<'_>) -> Sampler {
    let name = variables.get("OTEL_TRACES_SAMPLER").map(|it| it.to_ascii_lowercase());
    match name.as_deref() {
        None | Some("parentbased_always_on") => Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
        Some("always_on") => Sampler::AlwaysOn,
        Some("always_off") => Sampler::AlwaysOff,
        Some("parentbased_always_off") => Sampler::ParentBased(Box::new(Sampler::AlwaysOff)),
        Some("traceidratio") => Sampler::TraceIdRatioBased(ratio(variables)),
        Some("parentbased_traceidratio") => {
            Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio(variables))))
        }
        Some(other) => {
            variables.warn(format!(
                "OTEL_TRACES_SAMPLER={other:?} is not supported; taken as parentbased_always_on"
            ));
            Sampler::ParentBased(Box::new(Sampler::AlwaysOn))
        }
    }
}

fn ratio(variables: &mut Variables<'_>) -> f64 {
    let Some(text) = variables.get("OTEL_TRACES_SAMPLER_ARG") else { return 1.0 };
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
        _ => {
            variables.warn(format!(
                "OTEL_TRACES_SAMPLER_ARG={text:?} is no number from 0 to 1; taken as 1"
            ));
            1.0
        }
    }
}

fn propagators(variables: &mut Variables<'_>) -> Propagators {
    let Some(list) = variables.get("OTEL_PROPAGATORS") else { return Propagators::DEFAULT };
    let mut chosen = Propagators { lambda_header: false, trace_context: false, baggage: false };
    for name in list.split(',').map(|name| name.trim().to_ascii_lowercase()) {
        match name.as_str() {
            "tracecontext" => chosen.trace_context = true,
            "baggage" => chosen.baggage = true,
            "xray" | "xray-lambda" => chosen.lambda_header = true,
            "none" | "" => {}
            other => variables.warn(format!("OTEL_PROPAGATORS: {other:?} is not supported")),
        }
    }
    chosen
}

fn temporality(variables: &mut Variables<'_>) -> Temporality {
    const NAME: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    let Some(value) = variables.get(NAME) else { return Temporality::Cumulative };
    match value.to_ascii_lowercase().as_str() {
        "cumulative" => Temporality::Cumulative,
        "delta" => Temporality::Delta,
        "lowmemory" => Temporality::LowMemory,
        _ => {
            variables.warn(format!("{NAME}={value:?} is not supported; taken as cumulative"));
            Temporality::Cumulative
        }
    }
}

fn metric_interval(options: &OtelOptions, variables: &mut Variables<'_>) -> Duration {
    const NAME: &str = "OTEL_METRIC_EXPORT_INTERVAL";
    let variable = variables.get(NAME).and_then(|value| variables.millis(NAME, &value));
    options.metric_interval.or(variable).unwrap_or(METRIC_INTERVAL)
}
