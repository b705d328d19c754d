//! A connection to a collector, over one of OTLP's transports.
//!
//! The messages and clients are OpenTelemetry's own, but its crate `opentelemetry-otlp` is not used:
//! its builders read the variables themselves and fail on values that the specification allows, such as
//! `OTEL_EXPORTER_OTLP_COMPRESSION=none`; and it drops requests that fail.

use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message as _;
use temporalio_client::tonic::metadata::MetadataMap;
use temporalio_client::tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use temporalio_client::tonic::{Code, Extensions, Request, Status};
use tokio::runtime::Handle;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::requests::{Answer as _, Export};
use crate::error::with_sources;
use crate::telemetry::otel::settings::{Target, Transport};

/// How often a gRPC connection is checked for being alive, since it does not outlive a long freeze. After a thaw the
/// check is due at once.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// An HTTP connection that was idle for this long is not used again, for the same reason.
const IDLE: Duration = Duration::from_secs(20);
/// The longest answer that is read: it has a number and a sentence.
const LONGEST_ANSWER: usize = 64 * 1024;
/// The `User-Agent`.
const AGENT: &str =
    concat!("OTel-OTLP-Exporter-temporal-lambda-worker/", env!("CARGO_PKG_VERSION"));

/// Why a request failed. The text has no header's value in it.
#[derive(Debug)]
pub(in crate::telemetry::otel) struct Failure {
    pub(in crate::telemetry::otel) reason: String,
    /// Whether the same request may succeed later.
    pub(in crate::telemetry::otel) again: bool,
}

impl Failure {
    fn again(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again: true }
    }
}

/// A collector. It is connected to when it is first used, by the tasks of `io`.
#[derive(Clone)]
pub(in crate::telemetry::otel) struct Collector {
    io: Handle,
    target: Target,
    connection: Connection,
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

#[derive(Clone)]
enum Connection {
    Grpc(Channel),
    Http(Box<HttpClient>),
}

impl Collector {
    /// Prepares connections, without connecting yet.
    ///
    /// # Errors
    /// The reason, as text: no certificates to trust, for `https`.
    pub(in crate::telemetry::otel) fn new(target: Target, io: Handle) -> Result<Self, String> {
        let _io = io.enter();
        let connection = match target.transport {
            Transport::Grpc => Connection::Grpc(channel(&target)?),
            Transport::Http => Connection::Http(Box::new(client(&target)?)),
        };
        Ok(Self { io: io.clone(), target, connection })
    }

    /// Sends a request and waits for the answer, for as long as the target allows.
    pub(in crate::telemetry::otel) async fn send<R: Export>(
        &self,
        request: R,
    ) -> Result<(), Failure> {
        let this = self.clone();
        let timeout = self.target.timeout;
        // On threads that have timers and sockets: the caller's may have neither.
        let sent = self.io.spawn(async move {
            tokio::time::timeout(timeout, this.send_now(request))
                .await
                .unwrap_or_else(|_| Err(Failure::again(format!("no answer within {timeout:?}"))))
        });
        let answer = sent.await.unwrap_or_else(|error| Err(Failure::again(error.to_string())));
        if let Ok(answer) = &answer
            && let Some((rejected, message)) = answer.rejected()
        {
            let message = self.conceal(message);
            tracing::warn!(rejected, message, "the collector took a part of an export only");
        }
        answer.map(|_| ())
    }

    async fn send_now<R: Export>(&self, request: R) -> Result<R::Answer, Failure> {
        match &self.connection {
            Connection::Grpc(channel) => {
                let metadata = MetadataMap::from_headers(self.target.headers.clone());
                let request = Request::from_parts(metadata, Extensions::default(), request);
                let sent = R::over_grpc(request, channel.clone(), self.target.gzip).await;
                sent.map_err(|status| self.refused(&status))
            }
            Connection::Http(client) => self.post(client, &request).await,
        }
    }

    async fn post<R: Export>(
        &self,
        client: &HttpClient,
        message: &R,
    ) -> Result<R::Answer, Failure> {
        let body = message.encode_to_vec();
        let body = if self.target.gzip { zip(&body)? } else { body.into() };
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.uri.clone();
        *request.headers_mut() = self.http_headers();
        let failed = |error: &dyn std::error::Error| Failure::again(with_sources(error));
        let response = client.request(request).await.map_err(|error| failed(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(Failure {
                reason: format!("the collector answered {status}"),
                again: is_passing(status),
            });
        }
        let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| Failure::again(error.to_string()))?;
        // The status says success, whatever the body says.
        Ok(R::Answer::decode(body.to_bytes()).unwrap_or_default())
    }

    fn http_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.extend(self.target.headers.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if self.target.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers
    }

    /// A gRPC status, and whether the specification lets the same request be sent again.
    fn refused(&self, status: &Status) -> Failure {
        let again = matches!(
            status.code(),
            Code::Cancelled
                | Code::DeadlineExceeded
                | Code::ResourceExhausted
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unavailable
                | Code::DataLoss
                // The statuses of a connection that broke.
                | Code::Unknown
        );
        let message = self.conceal(status.message());
        Failure { reason: format!("{:?}: {message}", status.code()), again }
    }

    /// The collector's message without the values of headers that it was sent.
    fn conceal(&self, text: &str) -> String {
        let values = self.target.headers.values().filter_map(|value| value.to_str().ok());
        let values = values.filter(|value| !value.is_empty());
        values.fold(text.to_owned(), |text, value| text.replace(value, "[header]"))
    }
}

fn channel(target: &Target) -> Result<Channel, String> {
    let endpoint = Endpoint::from(target.uri.clone())
        .user_agent(AGENT)
        .map_err(|error| error.to_string())?
        .connect_timeout(target.timeout)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(target.timeout / 2);
    if is_plain(&target.uri) {
        return Ok(endpoint.connect_lazy());
    }
    let tls = ClientTlsConfig::new().with_native_roots();
    Ok(endpoint.tls_config(tls).map_err(|error| error.to_string())?.connect_lazy())
}

fn client(target: &Target) -> Result<HttpClient, String> {
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    // Reading the certificates takes time, so it is done only where they are needed.
    let config = if is_plain(&target.uri) {
        config.with_root_certificates(RootCertStore::empty())
    } else {
        config.with_native_roots().map_err(|error| error.to_string())?
    };
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(target.timeout));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config.with_no_client_auth())
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector))
}

fn is_plain(uri: &Uri) -> bool {
    uri.scheme_str() == Some("http")
}

/// Whether the specification lets the same request be sent again.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn zip(bytes: &[u8]) -> Result<Bytes, Failure> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let zipped = std::io::Write::write_all(&mut encoder, bytes).and_then(|()| encoder.finish());
    zipped.map(Bytes::from).map_err(|error| Failure::again(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use temporal_lambda_testkit::otlp::{Behavior, OtlpReceiver};

    use super::*;

    /// A collector over this transport, with a header that must not show.
    fn connected(receiver: &OtlpReceiver, transport: Transport) -> Collector {
        let mut uri = receiver.endpoint();
        if transport == Transport::Http {
            uri.push_str("/v1/traces");
        }
        let mut headers = HeaderMap::new();
        // What the receiver says when it refuses.
        headers.insert("x-key", HeaderValue::from_static("refuses"));
        let uri = uri.parse().unwrap();
        let timeout = Duration::from_secs(60);
        let target = Target { uri, transport, gzip: true, headers, timeout };
        Collector::new(target, Handle::current()).unwrap()
    }

    #[tokio::test]
    async fn a_request_is_sent_again_unless_the_collector_refuses_it_for_good() {
        let receiver = OtlpReceiver::start().await.unwrap();
        for transport in [Transport::Grpc, Transport::Http] {
            let collector = connected(&receiver, transport);
            for (code, again) in [
                (Code::Unavailable, true),
                (Code::ResourceExhausted, true),
                (Code::InvalidArgument, false),
                (Code::Unauthenticated, false),
            ] {
                receiver.behave(Behavior::Refuse(code));
                let sent = collector.send(ExportTraceServiceRequest::default()).await;
                let failure = sent.unwrap_err();
                assert_eq!(failure.again, again, "{transport:?} {failure:?}");
                assert!(!failure.reason.contains("refuses"), "{failure:?}");
            }
            receiver.behave(Behavior::Accept);
            collector.send(ExportTraceServiceRequest::default()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_collector_that_is_missing_or_silent_may_be_tried_again() {
        let mut receiver = OtlpReceiver::start().await.unwrap();
        receiver.behave(Behavior::Hang);
        let silent = [Transport::Grpc, Transport::Http].map(|transport| {
            let mut collector = connected(&receiver, transport);
            collector.target.timeout = Duration::from_millis(50);
            collector
        });
        for collector in &silent {
            let failure = collector.send(ExportTraceServiceRequest::default()).await.unwrap_err();
            assert!(failure.again && failure.reason.contains("no answer"), "{failure:?}");
        }
        let missing = [Transport::Grpc, Transport::Http].map(|it| connected(&receiver, it));
        receiver.stop().await;
        for collector in missing {
            let failure = collector.send(ExportTraceServiceRequest::default()).await.unwrap_err();
            assert!(failure.again, "{failure:?}");
        }
    }
}
