//! The Temporal SDK's own metrics, as instruments of an OpenTelemetry meter.
//!
//! The SDK has an exporter of its own, but it cannot be flushed, and it brings an HTTP client.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics;
use temporalio_common::telemetry::METRIC_PREFIX;
use temporalio_common::telemetry::metrics::{
    CoreMeter, Counter, CounterBase, Gauge, GaugeBase, GaugeF64, GaugeF64Base, Histogram,
    HistogramBase, HistogramDuration, HistogramDurationBase, HistogramF64, HistogramF64Base,
    MetricAttributable, MetricAttributes, MetricParameters, NewAttributes, UpDownCounter,
    UpDownCounterBase, default_buckets_for,
};

/// A meter for the SDK. Durations are in milliseconds, as its documentation has them.
#[derive(Clone)]
pub(super) struct SdkMeter {
    meter: metrics::Meter,
    prefix: &'static str,
}

impl SdkMeter {
    /// For the SDK's runtime, which puts its prefix before names itself.
    pub(super) fn for_runtime(meter: metrics::Meter) -> Self {
        Self { meter, prefix: "" }
    }

    /// For the SDK's connections, which expect names with the prefix.
    pub(super) fn for_connections(meter: metrics::Meter) -> Self {
        Self { meter, prefix: METRIC_PREFIX }
    }

    fn name(&self, name: Cow<'static, str>) -> Cow<'static, str> {
        if self.prefix.is_empty() { name } else { format!("{}{name}", self.prefix).into() }
    }

    fn buckets(name: &str) -> Vec<f64> {
        default_buckets_for(name.strip_prefix(METRIC_PREFIX).unwrap_or(name), false).to_vec()
    }

    fn u64_histogram(&self, params: MetricParameters) -> metrics::Histogram<u64> {
        let buckets = Self::buckets(&params.name);
        self.meter
            .u64_histogram(self.name(params.name))
            .with_unit(params.unit)
            .with_description(params.description)
            .with_boundaries(buckets)
            .build()
    }
}

impl fmt::Debug for SdkMeter {
    // Always the same: the age of a kept connection is judged by its options' `Debug`, too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkMeter").finish_non_exhaustive()
    }
}

/// Puts labels into the kind of attributes that works without the SDK's own exporters and that its heartbeats can
/// read.
fn carry(labels: HashMap<String, String>) -> MetricAttributes {
    MetricAttributes::NoOp(Arc::new(labels))
}

fn labels(attributes: &MetricAttributes) -> HashMap<String, String> {
    match attributes {
        MetricAttributes::NoOp(labels) => HashMap::clone(labels),
        // `Empty`, which instruments begin with. Other kinds come only from other meters.
        _ => HashMap::new(),
    }
}

/// Defines how the SDK asks for an instrument.
macro_rules! instrument {
    ($method:ident, $of:ident, $make:ident) => {
        fn $method(&self, params: MetricParameters) -> $of {
            $of::new(Arc::new(Instrument(
                self.meter
                    .$make(self.name(params.name))
                    .with_unit(params.unit)
                    .with_description(params.description)
                    .build(),
            )))
        }
    };
}

impl CoreMeter for SdkMeter {
    fn new_attributes(&self, attributes: NewAttributes) -> MetricAttributes {
        carry(attributes.into())
    }

    fn extend_attributes(
        &self,
        existing: MetricAttributes,
        attributes: NewAttributes,
    ) -> MetricAttributes {
        let mut all = labels(&existing);
        all.extend(HashMap::from(attributes));
        carry(all)
    }

    instrument!(counter, Counter, u64_counter);
    instrument!(gauge, Gauge, u64_gauge);
    instrument!(gauge_f64, GaugeF64, f64_gauge);
    instrument!(up_down_counter, UpDownCounter, i64_up_down_counter);

    fn histogram(&self, params: MetricParameters) -> Histogram {
        Histogram::new(Arc::new(Instrument(self.u64_histogram(params))))
    }

    fn histogram_f64(&self, params: MetricParameters) -> HistogramF64 {
        let buckets = Self::buckets(&params.name);
        HistogramF64::new(Arc::new(Instrument(
            self.meter
                .f64_histogram(self.name(params.name))
                .with_unit(params.unit)
                .with_description(params.description)
                .with_boundaries(buckets)
                .build(),
        )))
    }

    fn histogram_duration(&self, mut params: MetricParameters) -> HistogramDuration {
        params.unit = "ms".into();
        HistogramDuration::new(Arc::new(Instrument(Milliseconds(self.u64_histogram(params)))))
    }
}

struct Instrument<I>(I);

/// An instrument with its attributes.
struct Bound<I> {
    instrument: I,
    attributes: Vec<KeyValue>,
}

#[derive(Clone)]
struct Milliseconds(metrics::Histogram<u64>);

impl Milliseconds {
    fn record(&self, value: Duration, attributes: &[KeyValue]) {
        self.0.record(u64::try_from(value.as_millis()).unwrap_or(u64::MAX), attributes);
    }
}

macro_rules! records {
    ($instrument:ty, $base:ident, $method:ident($value:ty), $record:ident) => {
        impl MetricAttributable<Box<dyn $base>> for Instrument<$instrument> {
            fn with_attributes(
                &self,
                attributes: &MetricAttributes,
            ) -> Result<Box<dyn $base>, Box<dyn Error>> {
                let pairs = labels(attributes).into_iter();
                let attributes = pairs.map(|(key, value)| KeyValue::new(key, value)).collect();
                Ok(Box::new(Bound { instrument: self.0.clone(), attributes }))
            }
        }

        impl $base for Bound<$instrument> {
            fn $method(&self, value: $value) {
                self.instrument.$record(value, &self.attributes);
            }
        }
    };
}

records!(metrics::Counter<u64>, CounterBase, adds(u64), add);
records!(metrics::UpDownCounter<i64>, UpDownCounterBase, adds(i64), add);
records!(metrics::Gauge<u64>, GaugeBase, records(u64), record);
records!(metrics::Gauge<f64>, GaugeF64Base, records(f64), record);
records!(metrics::Histogram<u64>, HistogramBase, records(u64), record);
records!(metrics::Histogram<f64>, HistogramF64Base, records(f64), record);
records!(Milliseconds, HistogramDurationBase, records(Duration), record);
