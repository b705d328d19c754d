//! The exporters for OpenTelemetry's SDK, which put spans and metrics into an outbox.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::outbox::{Keep, Outbox};

/// Where spans wait for their collector.
pub(in crate::telemetry::otel) type SpanOutbox = Outbox<ExportTraceServiceRequest>;
/// Where metrics wait for their collector.
pub(in crate::telemetry::otel) type MetricOutbox = Outbox<ExportMetricsServiceRequest>;

/// Exports spans.
#[derive(Debug)]
pub(in crate::telemetry::otel) struct Spans {
    outbox: Arc<SpanOutbox>,
    resource: ResourceAttributesWithSchema,
}

impl Spans {
    pub(in crate::telemetry::otel) fn new(outbox: Arc<SpanOutbox>) -> Self {
        Self { outbox, resource: ResourceAttributesWithSchema::default() }
    }
}

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        self.outbox.send(ExportTraceServiceRequest { resource_spans }).await
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

/// Exports metrics.
#[derive(Debug)]
pub(in crate::telemetry::otel) struct Points {
    outbox: Arc<MetricOutbox>,
    temporality: Temporality,
}

impl Points {
    pub(in crate::telemetry::otel) fn new(
        outbox: Arc<MetricOutbox>,
        temporality: Temporality,
    ) -> Self {
        Self { outbox, temporality }
    }
}

/// Which waiting exports to keep, by the temporality of their points.
pub(in crate::telemetry::otel) fn keep(temporality: Temporality) -> Keep {
    // Cumulative points make the last export contain those before it.
    if temporality == Temporality::Cumulative { Keep::Last } else { Keep::All }
}

impl PushMetricExporter for Points {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.outbox.send(ExportMetricsServiceRequest::from(metrics)).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_export_with_delta_temporality_is_kept() {
        assert_eq!(keep(Temporality::Cumulative), Keep::Last);
        assert_eq!(keep(Temporality::Delta), Keep::All);
        assert_eq!(keep(Temporality::LowMemory), Keep::All);
    }
}
