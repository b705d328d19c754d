//! The two requests of OTLP, in the form that both transports need.

use std::future::Future;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use temporalio_client::tonic::codec::CompressionEncoding;
use temporalio_client::tonic::transport::Channel;
use temporalio_client::tonic::{Request, Status};

/// A request that exports something.
pub(in crate::telemetry::otel) trait Export:
    Message + Clone + 'static
{
    type Answer: Answer;

    /// Calls the signal's service.
    fn over_grpc(
        request: Request<Self>,
        channel: Channel,
        gzip: bool,
    ) -> impl Future<Output = Result<Self::Answer, Status>> + Send;
}

/// What a collector answers.
pub(in crate::telemetry::otel) trait Answer:
    Message + Default + 'static
{
    /// How many items the collector rejected, and its message.
    fn rejected(&self) -> Option<(i64, &str)>;
}

/// Defines a request by its client and the member of the answer that counts.
macro_rules! export {
    ($request:ident, $answer:ident, $client:ident, $rejected:ident) => {
        impl Export for $request {
            type Answer = $answer;

            async fn over_grpc(
                request: Request<Self>,
                channel: Channel,
                gzip: bool,
            ) -> Result<$answer, Status> {
                let mut client = $client::new(channel);
                if gzip {
                    client = client.send_compressed(CompressionEncoding::Gzip);
                }
                Ok(client.export(request).await?.into_inner())
            }
        }

        impl Answer for $answer {
            fn rejected(&self) -> Option<(i64, &str)> {
                let partial = self.partial_success.as_ref()?;
                let rejected = partial.$rejected;
                (rejected > 0).then_some((rejected, partial.error_message.as_str()))
            }
        }
    };
}

export!(ExportTraceServiceRequest, ExportTraceServiceResponse, TraceServiceClient, rejected_spans);
export!(
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
    MetricsServiceClient,
    rejected_data_points
);
