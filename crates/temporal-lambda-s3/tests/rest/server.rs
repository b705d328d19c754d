//! An S3 that gives the answers of a script, one for each request, and the last one for ever.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, Method};
use temporal_lambda_s3::{AwsS3Client, AwsS3ClientBuilder};
use tokio::net::TcpListener;

/// What is seen of a request.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer of the script.
#[derive(Clone)]
pub(crate) enum Answer {
    Status(u16, &'static str),
    Region(u16, &'static str),
    /// 503, and how many seconds to wait.
    RetryAfter(&'static str),
    /// No answer, ever.
    Silence,
    /// A length, and less than that.
    CutOff,
    /// A body that never ends, of which 8 MB come, and perhaps a length.
    Endless(u16, Option<u64>),
}

use Answer::{CutOff, Endless, Region, RetryAfter, Silence, Status};

#[derive(Clone)]
pub(crate) struct Server {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<Seen>>,
}

impl Server {
    pub(crate) async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let script = Mutex::new(script.into_iter().collect());
        let shared = Arc::new(Shared { script, seen: Mutex::default() });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    pub(crate) fn builder(&self) -> AwsS3ClientBuilder {
        AwsS3Client::builder().endpoint(&self.address).region("eu-test-1").static_credentials(
            "AKIATEST",
            "secret-never-shown",
            Some("token-never-shown".into()),
        )
    }

    pub(crate) fn client(&self) -> AwsS3Client {
        self.builder().build().unwrap()
    }

    /// The requests so far, each once.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let path = parts.uri.to_string();
    let seen = Seen { method: parts.method, path, headers: parts.headers, body };
    shared.seen.lock().unwrap().push(seen);
    let answer = {
        let mut script = shared.script.lock().unwrap();
        if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() }
    };
    let response = |status: u16| Response::builder().status(status);
    match answer {
        Status(status, body) => response(status).body(Body::from(body)).unwrap(),
        Region(status, region) => {
            response(status).header("x-amz-bucket-region", region).body(Body::empty()).unwrap()
        }
        RetryAfter(seconds) => {
            response(503).header("retry-after", seconds).body(Body::empty()).unwrap()
        }
        Silence => std::future::pending().await,
        CutOff => {
            let pieces = futures_util::stream::iter([
                Ok(Bytes::from_static(b"half of ")),
                Err(std::io::Error::other("cut off")),
            ]);
            let body = Body::from_stream(pieces);
            response(200).header("content-length", "16").body(body).unwrap()
        }
        Endless(status, length) => {
            let piece = Bytes::from_static(&[b'x'; 1_000_000]);
            let pieces = futures_util::stream::repeat(piece).map(std::io::Result::Ok).take(8);
            let endless = pieces.chain(futures_util::stream::pending());
            let response = match length {
                Some(length) => response(status).header("content-length", length),
                None => response(status),
            };
            response.body(Body::from_stream(endless)).unwrap()
        }
    }
}
