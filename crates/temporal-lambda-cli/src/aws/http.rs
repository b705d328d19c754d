//! HTTP to AWS: one client for all calls.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use object_store::client::{HttpRequest, HttpRequestBody};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Far more than a page of any list has.
const LONGEST_ANSWER: usize = 32 << 20;

/// An HTTP client.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, HttpRequestBody>,
}

impl Http {
    pub(super) fn new() -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(|error| format!("the system has no usable CA certificates: {error}"))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(https) })
    }

    /// Sends a request and takes the whole answer.
    pub(super) async fn execute(
        &self,
        request: HttpRequest,
        within: Duration,
    ) -> Result<http::Response<Bytes>, String> {
        let exchange = async {
            let (parts, body) =
                self.client.request(request).await.map_err(|e| chain(&e))?.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await;
            let body = body.map_err(|error| chain(&*error))?.to_bytes();
            Ok(http::Response::from_parts(parts, body))
        };
        let answer = tokio::time::timeout(within, exchange).await;
        answer.unwrap_or_else(|_| Err(format!("no answer within {within:?}")))
    }
}

/// The texts of an error and its causes. None of them has the request's headers.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
