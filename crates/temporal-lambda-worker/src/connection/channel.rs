//! The channel to the server, which makes calls as bytes.
//!
//! The SDK's connections do not dial: each sends its calls here, with the headers, the API key and the retries of
//! its invocation. So one channel serves many invocations, and an error's source is known where the error is
//! judged.

use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes};
use futures_util::future::BoxFuture;
use temporalio_client::callback_based::{
    CallbackBasedGrpcService, GrpcRequest, GrpcSuccessResponse,
};
use temporalio_client::tonic::client::Grpc;
use temporalio_client::tonic::codec::{
    Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder,
};
use temporalio_client::tonic::codegen::http::{HeaderMap, uri::PathAndQuery};
use temporalio_client::tonic::metadata::{AsciiMetadataValue, MetadataMap};
use temporalio_client::tonic::transport::{
    Certificate, Channel, ClientTlsConfig, Endpoint, Error as TransportError, Identity,
};
use temporalio_client::tonic::{Code, Request, Status};
use temporalio_client::{ConnectionOptions, GrpcCompression, TlsOptions};

use crate::error::with_sources;

/// The answer to a call.
pub(crate) type Answer = Result<GrpcSuccessResponse, Status>;

/// The largest message that is taken: 128 MiB, as in the SDK.
const LARGEST_MESSAGE: usize = 128 * 1024 * 1024;

/// Headers of a channel, which each has for itself: the SDK's connection, and the channel that is dialed here.
const OF_THE_CHANNEL: [&str; 6] =
    ["content-type", "te", "user-agent", "grpc-encoding", "grpc-accept-encoding", "grpc-status"];

/// Marks a status that was made on this side, because the server has not answered.
const UNANSWERED: &str = "temporal-lambda-worker-unanswered";

/// Why there is no channel.
pub(super) enum DialError {
    /// The address or the TLS options cannot be used.
    Options(TransportError),
    /// The server cannot be reached.
    Network(TransportError),
}

/// The way to the server.
#[derive(Clone)]
pub(crate) enum Route {
    /// Over a channel that was dialed here; the flag says whether messages are compressed.
    Dialed(Channel, bool),
    /// Through the user's own service instead of the network.
    Overridden(CallbackBasedGrpcService),
}

impl Route {
    /// Dials with the SDK's options, as the SDK does.
    pub(super) async fn dial(options: &ConnectionOptions) -> Result<Self, DialError> {
        if let Some(service) = &options.service_override {
            return Ok(Self::Overridden(service.clone()));
        }
        let endpoint = endpoint(options).map_err(DialError::Options)?;
        let dialed = match &options.http_connect_proxy {
            Some(proxy) => proxy.connect_endpoint(&endpoint).await,
            None => endpoint.connect().await,
        };
        let compressed = options.grpc_compression == GrpcCompression::Gzip;
        Ok(Self::Dialed(dialed.map_err(DialError::Network)?, compressed))
    }

    /// The same route, without compression.
    pub(super) fn uncompressed(self) -> Self {
        match self {
            Self::Dialed(channel, _) => Self::Dialed(channel, false),
            overridden => overridden,
        }
    }

    /// Makes a call. Retries are up to the caller.
    pub(super) async fn call(&self, call: GrpcRequest) -> Answer {
        match self {
            Self::Overridden(service) => (service.callback)(call).await,
            Self::Dialed(channel, compressed) => {
                over_the_network(channel.clone(), *compressed, call).await.map_err(tellable)
            }
        }
    }
}

/// A service that answers calls by this function.
pub(crate) fn service(
    answer: impl Fn(GrpcRequest) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
) -> CallbackBasedGrpcService {
    CallbackBasedGrpcService { callback: Arc::new(answer) }
}

/// Whether this status was made on this side, because the server has not answered.
pub(crate) fn is_unanswered(status: &Status) -> bool {
    status.metadata().contains_key(UNANSWERED) || std::error::Error::source(status).is_some()
}

fn endpoint(options: &ConnectionOptions) -> Result<Endpoint, TransportError> {
    let mut endpoint = Endpoint::from_shared(options.target.to_string())?;
    if let Some(timeout) = options.connect_timeout {
        endpoint = endpoint.connect_timeout(timeout);
    }
    if let Some(tls) = &options.tls_options {
        endpoint = with_tls(endpoint, tls)?;
    }
    if let Some(keep_alive) = &options.keep_alive {
        endpoint = endpoint
            .keep_alive_while_idle(true)
            .http2_keep_alive_interval(keep_alive.interval)
            .keep_alive_timeout(keep_alive.timeout);
    }
    Ok(match options.override_origin.clone() {
        Some(origin) => endpoint.origin(origin),
        None => endpoint,
    })
}

fn with_tls(endpoint: Endpoint, options: &TlsOptions) -> Result<Endpoint, TransportError> {
    let mut endpoint = endpoint;
    let mut tls = ClientTlsConfig::new();
    if let Some(domain) = &options.domain {
        if let Ok(origin) = format!("https://{domain}").parse() {
            endpoint = endpoint.origin(origin);
        }
        tls = tls.domain_name(domain);
    }
    if let Some(client) = &options.client_tls_options {
        tls = tls.identity(Identity::from_pem(&client.client_cert, &client.client_private_key));
    }
    if let Some(verifier) = &options.server_cert_verifier {
        return endpoint.tls_config_with_verifier(tls, verifier.clone());
    }
    endpoint.tls_config(match &options.server_root_ca_cert {
        Some(certificate) => tls.ca_certificate(Certificate::from_pem(certificate)),
        None => tls.with_native_roots(),
    })
}

async fn over_the_network(channel: Channel, compressed: bool, call: GrpcRequest) -> Answer {
    let path = format!("/{}/{}", call.service, call.rpc);
    let path = PathAndQuery::try_from(path).map_err(|error| Status::internal(error.to_string()))?;
    let mut grpc = Grpc::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
    if compressed {
        grpc = grpc
            .send_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Gzip);
    }
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let mut request = Request::new(call.proto);
    *request.metadata_mut() = MetadataMap::from_headers(forwarded(call.headers));
    match grpc.unary(request, path, AsBytes).await {
        Ok(answer) => {
            let (metadata, proto, _) = answer.into_parts();
            let headers = forwarded(metadata.into_headers());
            Ok(GrpcSuccessResponse { headers, proto: proto.into() })
        }
        Err(mut status) => {
            // A refusal after the headers of an answer has them, too. Where they name a compression, the SDK's connection,
            // which knows of none, would take the refusal for an answer that it cannot read.
            let headers = std::mem::take(status.metadata_mut()).into_headers();
            *status.metadata_mut() = MetadataMap::from_headers(forwarded(headers));
            Err(status)
        }
    }
}

/// What is handed on of the headers of a call or of its answer.
fn forwarded(mut headers: HeaderMap) -> HeaderMap {
    for name in OF_THE_CHANNEL {
        headers.remove(name);
    }
    headers
}

/// The status for an SDK connection. Its source would be lost there, so the message gets the source's text; a call that
/// failed with the network, say because its connection was closed, becomes `Unavailable`, which the SDK retries.
fn tellable(status: Status) -> Status {
    let Some(source) = std::error::Error::source(&status) else { return status };
    let words = format!("{}: {}", status.message(), with_sources(source));
    let mut told = match status.code() {
        Code::Unknown | Code::Unavailable | Code::Cancelled | Code::Internal => {
            Status::unavailable(words)
        }
        code => Status::new(code, words),
    };
    told.metadata_mut().insert(UNANSWERED, AsciiMetadataValue::from_static("true"));
    told
}

/// The codec of messages that are bytes already.
struct AsBytes;

impl Codec for AsBytes {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsBytes {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for AsBytes {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use temporal_lambda_test_timing::within;
    use temporalio_client::{
        Connection, RetryOptions, Url, grpc::WorkflowService as _, tonic::IntoRequest as _,
    };
    use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn a_call_that_failed_with_its_connection_becomes_unavailable_so_that_it_is_retried() {
        for code in [Code::Cancelled, Code::Unknown, Code::Internal, Code::Unavailable] {
            let mut status = Status::new(code, "it went away");
            status.set_source(Arc::new(std::io::Error::other("connection closed")));
            let told = tellable(status);
            assert_eq!(told.code(), Code::Unavailable);
            assert_eq!(told.message(), "it went away: connection closed");
            assert!(is_unanswered(&told));
        }
    }

    #[test]
    fn a_servers_own_status_is_forwarded_unchanged() {
        let told = tellable(Status::cancelled("the caller went away"));
        assert_eq!((told.code(), told.message()), (Code::Cancelled, "the caller went away"));
        assert!(!is_unanswered(&told));
    }

    /// Frames of HTTP/2, and flags of those with headers.
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const END_OF_STREAM: u8 = 1;
    const END_OF_HEADERS: u8 = 4;
    /// A header of its own in the table of HTTP/2.
    const STATUS_200: u8 = 0x88;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn header(name: &str, value: &str) -> Vec<u8> {
        let length = |text: &str| u8::try_from(text.len()).unwrap();
        // It is in no table, and its text is not compressed.
        let mut field = vec![0, length(name)];
        field.extend_from_slice(name.as_bytes());
        field.push(length(value));
        field.extend_from_slice(value.as_bytes());
        field
    }

    /// What the SDK makes of a call to a server whose answer has headers that name a compression, and then this.
    async fn told_by_the_sdk(then: Vec<u8>) -> Status {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("http://{}", listener.local_addr().unwrap());
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
            stream.read_exact(&mut [0; b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()]).await.unwrap();
            loop {
                let mut head = [0; 9];
                stream.read_exact(&mut head).await.unwrap();
                let length = usize::from(head[2]) | usize::from(head[1]) << 8;
                stream.read_exact(&mut vec![0; length]).await.unwrap();
                if head[3] == HEADERS {
                    break;
                }
            }
            let kind = header("content-type", "application/grpc");
            let encoding = header("grpc-encoding", "gzip");
            let headers = [vec![STATUS_200], kind, encoding].concat();
            let headers = frame(HEADERS, END_OF_HEADERS, 1, &headers);
            stream.write_all(&[headers, then].concat()).await.unwrap();
            // Until the client has closed it.
            while stream.read(&mut [0; 1024]).await.is_ok_and(|length| length > 0) {}
        };
        let client = Box::pin(async {
            let options = ConnectionOptions::new(Url::parse(&target).unwrap());
            let options = options.dns_load_balancing(None).skip_get_system_info(true);
            let mut options = options.retry_options(RetryOptions::no_retries()).build();
            let route = Route::dial(&options).await.ok().unwrap();
            options.service_override = Some(service(move |call| {
                let route = route.clone();
                Box::pin(async move { route.call(call).await })
            }));
            let mut connection = Connection::connect(options).await.unwrap();
            let request = DescribeNamespaceRequest::default().into_request();
            connection.describe_namespace(request).await.unwrap_err()
        });
        let told = async {
            tokio::select! {
                status = client => status,
                () = server => unreachable!("it reads for as long as there is a client"),
            }
        };
        within("the end of a call", told).await
    }

    #[tokio::test]
    async fn a_call_whose_answer_is_cut_off_after_its_headers_is_unavailable_to_the_sdk() {
        let cut = frame(RST_STREAM, 0, 1, &2_u32.to_be_bytes());
        let status = told_by_the_sdk(cut).await;
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    }

    #[tokio::test]
    async fn a_refusal_that_comes_after_headers_is_forwarded_with_its_code_and_words() {
        let trailers = [header("grpc-status", "8"), header("grpc-message", "too many")].concat();
        let refusal = frame(HEADERS, END_OF_HEADERS | END_OF_STREAM, 1, &trailers);
        let status = told_by_the_sdk(refusal).await;
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "too many"));
    }
}
