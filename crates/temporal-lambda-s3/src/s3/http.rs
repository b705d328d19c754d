//! HTTP to S3, on a thread of its own.
//!
//! Payloads are stored and fetched from several runtimes: the SDK's, that of an invocation's
//! workflows (which ends with the invocation), a starter's. Connections outlive them here, and a
//! workflow that computes does not hold a transfer up.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// S3 answers a connection attempt within a round trip or two.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// S3 closes idle connections after some seconds, and after a freeze nobody has seen it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long sent data may stay unacknowledged: a connection that died in a freeze shows that way.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// More bytes than any error of S3 has, or the answer of a server of credentials.
pub(crate) const MOST_TEXT: u64 = 64 * 1024;

/// An answer with its whole body.
pub(crate) type Answer = http::Response<Bytes>;

/// The client and its thread, made when they are first needed: reading the certificates of the
/// system costs a cold start some milliseconds that a function without large payloads need not pay.
#[derive(Default)]
pub(crate) struct Transport {
    made: OnceLock<Result<Made, String>>,
}

struct Made {
    client: Client<HttpsConnector<TcpConnector>, HttpRequestBody>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The content has so many bytes at least, and that is more than was asked for.
    TooLong(u64),
    Failed {
        kind: HttpErrorKind,
        message: String,
    },
}

impl Transport {
    /// Sends a request and takes the whole answer, with a content of at most `limit` bytes. The text
    /// of an error is left out where it is longer than any of S3. Dropping the future ends the
    /// request.
    pub(crate) async fn execute(
        &self,
        request: HttpRequest,
        limit: u64,
    ) -> Result<Answer, Unanswered> {
        let unknown = |message| Unanswered::Failed { kind: HttpErrorKind::Unknown, message };
        let made = self.made.get_or_init(Made::new).as_ref();
        let made = made.map_err(|reason| unknown(reason.clone()))?;
        let runtime = made.runtime.as_ref().expect("it is there until it is dropped");
        let client = made.client.clone();
        let exchange = async move {
            let response = client.request(request).await.map_err(|e| unanswered(&e))?;
            let (parts, body) = response.into_parts();
            let content = match parts.status.is_success() {
                true => whole(body, limit).await?,
                false => match whole(body, MOST_TEXT).await {
                    Err(Unanswered::TooLong(_)) => Bytes::new(),
                    text => text?,
                },
            };
            Ok(Answer::from_parts(parts, content))
        };
        let exchange = AbortOnDropHandle::new(runtime.spawn(exchange));
        exchange.await.unwrap_or_else(|error| Err(unknown(error.to_string())))
    }
}

impl Made {
    fn new() -> Result<Self, String> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("temporal-lambda-s3")
            .enable_all()
            .build()
            .map_err(|error| format!("no thread for S3 can be started: {error}"))?;
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        let provider = rustls::crypto::ring::default_provider();
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)
            .map_err(|error| format!("the system has no usable CA certificates: {error}"))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(https);
        Ok(Self { client, runtime: Some(runtime) })
    }
}

/// A body of at most `limit` bytes in one piece. It is collected where it will stay: pieces that are
/// joined in the end would be in memory twice.
async fn whole(mut body: Incoming, limit: u64) -> Result<Bytes, Unanswered> {
    let within = |size| if size > limit { Err(Unanswered::TooLong(size)) } else { Ok(size) };
    let announced = within(body.size_hint().lower())?;
    let mut content = BytesMut::with_capacity(usize::try_from(announced).unwrap_or_default());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Unanswered::Failed {
            kind: HttpErrorKind::Interrupted,
            message: chain(&error),
        })?;
        if let Ok(data) = frame.into_data() {
            within(content.len() as u64 + data.len() as u64)?;
            content.extend_from_slice(&data);
        }
    }
    Ok(content.freeze())
}

impl Drop for Made {
    fn drop(&mut self) {
        // A runtime may not be waited for where a future is polled, and it may be dropped there.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn unanswered(error: &Error) -> Unanswered {
    let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Interrupted };
    Unanswered::Failed { kind, message: chain(error) }
}

/// The texts of an error and its causes. None of them has the request's headers.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(at_least) => write!(f, "the answer has {at_least} bytes or more"),
            Self::Failed { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for Unanswered {}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// For `object_store`, which fetches credentials where they do not stand in the environment.
#[derive(Debug, Default)]
pub(crate) struct ForCredentials;

impl HttpConnector for ForCredentials {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Transport::default()))
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.execute(request, MOST_TEXT).await.map_err(|error| match error {
            Unanswered::Failed { kind, .. } => HttpError::new(kind, error),
            Unanswered::TooLong(_) => HttpError::new(HttpErrorKind::Decode, error),
        })?;
        let (parts, body) = answer.into_parts();
        let body = HttpResponseBody::new(Full::new(body).map_err(|never| match never {}));
        Ok(HttpResponse::from_parts(parts, body))
    }
}
