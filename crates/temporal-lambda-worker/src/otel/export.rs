//! Where telemetry goes: a collector behind OTLP over gRPC, and whose telemetry it is.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use temporalio_client::tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::{OtelError, OtelOptions};
use crate::variable;

/// The ADOT Lambda layer's collector, and everybody else's.
const DEFAULT_ENDPOINT: &str = "http://localhost:4317";
/// The service's name where nobody says anything.
const DEFAULT_SERVICE: &str = "temporal-lambda-worker";
/// A connection to the collector does not outlive a long freeze. This is how often it has to prove
/// that it lives; after a thaw that is due at once.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// An exporter for traces. Connects on first use, from the tokio runtime that this is called on.
pub(super) fn spans(options: &OtelOptions) -> Result<SpanExporter, OtelError> {
    SpanExporter::builder()
        .with_tonic()
        .with_channel(channel(options, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")?)
        .build()
        .map_err(|error| OtelError::Exporter { reason: error.to_string() })
}

/// An exporter for metrics. Connects on first use, from the tokio runtime that this is called on.
pub(super) fn metrics(options: &OtelOptions) -> Result<MetricExporter, OtelError> {
    MetricExporter::builder()
        .with_tonic()
        .with_channel(channel(options, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")?)
        .build()
        .map_err(|error| OtelError::Exporter { reason: error.to_string() })
}

/// Where telemetry goes, by the option or the variables.
fn endpoint(options: &OtelOptions, of_signal: &str) -> String {
    options
        .endpoint
        .clone()
        .or_else(|| variable(of_signal))
        .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"))
        .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned())
}

/// A channel of our own, because the exporter's would wait for a connection without a limit.
fn channel(options: &OtelOptions, of_signal: &str) -> Result<Channel, OtelError> {
    let address = endpoint(options, of_signal);
    let bad = |reason: String| OtelError::Endpoint { endpoint: address.clone(), reason };
    let cap = options.flush_timeout;
    let mut endpoint = Endpoint::from_shared(address.clone())
        .map_err(|error| bad(error.to_string()))?
        .connect_timeout(cap)
        .timeout(cap)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(cap / 2);
    match endpoint.uri().scheme_str() {
        Some("http") => {}
        Some("https") => {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).map_err(|error| bad(error.to_string()))?;
        }
        _ => return Err(bad("it begins with neither http:// nor https://".to_owned())),
    }
    Ok(endpoint.connect_lazy())
}

/// Whose telemetry it is: the service, and the Lambda environment by the semantic conventions.
pub(super) fn resource(options: &OtelOptions) -> Resource {
    let service = options
        .service_name
        .clone()
        .or_else(|| variable("OTEL_SERVICE_NAME"))
        .or_else(|| variable("AWS_LAMBDA_FUNCTION_NAME"))
        .unwrap_or_else(|| DEFAULT_SERVICE.to_owned());
    let of_lambda = [
        ("faas.name", "AWS_LAMBDA_FUNCTION_NAME"),
        ("faas.version", "AWS_LAMBDA_FUNCTION_VERSION"),
        ("faas.instance", "AWS_LAMBDA_LOG_STREAM_NAME"),
        ("cloud.region", "AWS_REGION"),
        ("aws.log.group.names", "AWS_LAMBDA_LOG_GROUP_NAME"),
    ];
    let mut attributes =
        vec![KeyValue::new("cloud.provider", "aws"), KeyValue::new("cloud.platform", "aws_lambda")];
    for (key, name) in of_lambda {
        attributes.extend(variable(name).map(|value| KeyValue::new(key, value)));
    }
    let megabytes = variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|it| it.parse().ok());
    let memory = megabytes.map(|it: i64| KeyValue::new("faas.max_memory", it * 1024 * 1024));
    attributes.extend(memory);
    attributes.extend(options.resource_attributes.iter().cloned());
    // The builder starts from OTEL_RESOURCE_ATTRIBUTES.
    Resource::builder().with_attributes(attributes).with_service_name(service).build()
}
