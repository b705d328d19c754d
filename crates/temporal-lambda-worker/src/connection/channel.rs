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
        let answer = match self {
            Self::Overridden(service) => (service.callback)(call).await,
            Self::Dialed(channel, compressed) => {
                over_the_network(channel.clone(), *compressed, call).await.map_err(tellable)
            }
        };
        match answer {
            Ok(GrpcSuccessResponse { headers, proto }) => {
                Ok(GrpcSuccessResponse { headers: forwarded(headers), proto })
            }
            Err(mut status) => {
                // A refusal after the headers of an answer has them, too. Where they name a compression, the SDK's
                // connection, which knows of none, would take the refusal for an answer that it cannot read.
                let headers = std::mem::take(status.metadata_mut()).into_headers();
                *status.metadata_mut() = MetadataMap::from_headers(forwarded(headers));
                Err(status)
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
    let (metadata, proto, _) = grpc.unary(request, path, AsBytes).await?.into_parts();
    Ok(GrpcSuccessResponse { headers: metadata.into_headers(), proto: proto.into() })
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
mod tests;
