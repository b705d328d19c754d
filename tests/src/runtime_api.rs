//! A Runtime API that says what a test wants it to say: what emulators of Lambda, and Lambda itself,
//! may send to a function, and the real emulator never does.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::process::Stdio;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::test_timeout;

/// An answer to the request for the next event.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HashMap<&'static str, String>,
    body: Vec<u8>,
}

impl Answer {
    /// An event of this request ID, without a deadline.
    pub fn event(request_id: &str) -> Self {
        let headers = HashMap::from([
            ("lambda-runtime-aws-request-id", request_id.to_owned()),
            ("lambda-runtime-deadline-ms", "0".to_owned()),
            ("lambda-runtime-invoked-function-arn", "function-arn".to_owned()),
        ]);
        Self { status: StatusCode::OK, headers, body: b"{}".to_vec() }
    }

    /// An answer without an event.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status");
        Self { status, headers: HashMap::new(), body: Vec::new() }
    }

    /// With another value of `lambda-runtime-deadline-ms`.
    pub fn deadline(self, value: impl ToString) -> Self {
        self.header("lambda-runtime-deadline-ms", value)
    }

    /// With this header.
    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.insert(name, value.to_string());
        self
    }

    /// Without this header.
    pub fn without(mut self, name: &'static str) -> Self {
        self.headers.remove(name);
        self
    }

    /// With this payload.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        response.headers_mut().clear();
        for (name, value) in self.headers {
            let value = value.parse().expect("a header's value");
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// What a function posted.
#[derive(Clone, Debug)]
pub struct Posted {
    /// `response` or `error`.
    pub kind: String,
    /// Of which event.
    pub request_id: String,
    /// The body, if it is JSON.
    pub body: Value,
}

/// A Runtime API. It ends when it is dropped.
pub struct RuntimeApi {
    address: String,
    answers: mpsc::UnboundedSender<Answer>,
    posted: mpsc::UnboundedReceiver<Posted>,
    serving: JoinHandle<()>,
}

struct Shared {
    answers: Mutex<mpsc::UnboundedReceiver<Answer>>,
    posted: mpsc::UnboundedSender<Posted>,
}

impl RuntimeApi {
    /// A Runtime API that keeps those waiting who ask for an event.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (answers, receiver) = mpsc::unbounded_channel();
        let (sender, posted) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { answers: Mutex::new(receiver), posted: sender });
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(post_of))
            .with_state(shared);
        let serving = tokio::spawn(async move {
            let _ = serve(listener, app).await;
        });
        Self { address, answers, posted, serving }
    }

    /// Its address, as functions find it in `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Gives this to whoever asks next.
    pub fn answer(&self, answer: Answer) {
        let _ = self.answers.send(answer);
    }

    /// What is posted next.
    ///
    /// # Panics
    /// When nothing is, for long.
    pub async fn posted(&mut self) -> Posted {
        let posted = tokio::time::timeout(test_timeout(), self.posted.recv()).await;
        posted.expect("something is posted").expect("it is served")
    }

    /// Whether nothing was posted that was not taken.
    pub fn has_nothing(&mut self) -> bool {
        self.posted.try_recv().is_err()
    }

    /// A function that asks here, with these variables and no others. Its stderr is kept.
    pub fn function<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        &self,
        program: &str,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", &self.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "function")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let answer = shared.answers.lock().await.recv().await;
    answer.unwrap_or_else(|| Answer::status(403)).into_response()
}

async fn post_of(
    State(shared): State<Arc<Shared>>,
    Path((request_id, kind)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let _ = shared.posted.send(Posted { kind, request_id, body });
    StatusCode::ACCEPTED
}
