//! Drives a handler of this process over the Runtime API, as a child's runtime would.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use lambda_runtime::{Config, Context, Diagnostic, LambdaEvent};
use serde_json::Value;
use tokio::{net::TcpStream, task::AbortHandle};
use tokio_util::task::AbortOnDropHandle;

use super::state::{EnvCore, Exit};
use crate::config::Handler;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Starts the loops of an in-process environment. Aborting the returned handle ends them all.
pub(super) fn spawn(env: &Arc<EnvCore>, handler: Handler, api: SocketAddr) -> AbortHandle {
    let config = Arc::new(Config {
        function_name: env.config.name.clone(),
        memory: i32::try_from(env.config.memory_mb).unwrap_or(i32::MAX),
        version: env.config.version.clone(),
        log_stream: env.id.to_string(),
        log_group: format!("/aws/lambda/{}", env.config.name),
    });
    let pollers = env.config.environment_concurrency;
    let task = tokio::spawn(async move {
        let mut loops = tokio::task::JoinSet::new();
        for _ in 0..pollers {
            loops.spawn(serve(handler.clone(), config.clone(), api));
        }
        while let Some(ended) = loops.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::debug!(%error, "an in-process function ended");
            }
        }
    });
    let abort = task.abort_handle();
    let env = env.clone();
    tokio::spawn(async move {
        let aborted = task.await.is_err_and(|error| error.is_cancelled());
        let killed = Some(nix::sys::signal::Signal::SIGKILL as i32);
        env.exited(match aborted {
            true => Exit { code: None, signal: killed },
            false => Exit { code: Some(1), signal: None },
        });
    });
    abort
}

async fn serve(handler: Handler, config: Arc<Config>, api: SocketAddr) -> Result<(), Error> {
    let mut client = RuntimeApiClient::connect(api).await?;
    loop {
        let path = "/2018-06-01/runtime/invocation/next";
        let (headers, body) = client.call(Method::GET, path, Bytes::new()).await?;
        let request_id = headers
            .get("lambda-runtime-aws-request-id")
            .ok_or("the event has no request ID")?
            .to_str()?
            .to_owned();
        let context = Context::new(&request_id, config.clone(), &headers)?;
        let payload = serde_json::from_slice(&body).unwrap_or(Value::Null);
        // A task of its own, so that a panic is told from an end; it dies with this one.
        let handling =
            AbortOnDropHandle::new(tokio::spawn(handler(LambdaEvent::new(payload, context))));
        let (verb, body) = match handling.await {
            Ok(Ok(response)) => ("response", serde_json::to_vec(&response)?),
            Ok(Err(diagnostic)) => ("error", serde_json::to_vec(&diagnostic)?),
            Err(failed) => ("error", serde_json::to_vec(&panicked(failed))?),
        };
        let path = format!("/2018-06-01/runtime/invocation/{request_id}/{verb}");
        client.call(Method::POST, &path, body.into()).await?;
    }
}

fn panicked(failed: tokio::task::JoinError) -> Diagnostic {
    let said = failed.try_into_panic().ok().and_then(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned())
    });
    Diagnostic {
        error_type: "panic".to_owned(),
        error_message: format!("Lambda panicked: {}", said.unwrap_or_default()),
    }
}

struct RuntimeApiClient {
    sender: SendRequest<Full<Bytes>>,
    /// Carries the bytes; ends with the client.
    _connection: AbortOnDropHandle<()>,
    host: String,
}

impl RuntimeApiClient {
    async fn connect(api: SocketAddr) -> Result<Self, Error> {
        let stream = TcpStream::connect(api).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { sender, _connection: AbortOnDropHandle::new(connection), host: api.to_string() })
    }

    async fn call(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(HeaderMap, Bytes), Error> {
        self.sender.ready().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        if !head.status.is_success() {
            return Err(format!("{path} was answered {}", head.status).into());
        }
        Ok((head.headers, body))
    }
}
