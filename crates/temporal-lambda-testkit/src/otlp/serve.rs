//! The two gRPC services, by hand: framing and two paths are all there is to them.

use std::{convert::Infallible, future::pending, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use opentelemetry_proto::tonic::collector::{
    metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
    trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
};
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Behavior, Shared, lock, received};
use crate::frontend::wire;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let serving = serve(stream, shared.clone());
                tokio::spawn(stop.clone().run_until_cancelled_owned(serving));
            }
            // The client is gone already; the next one may fare better.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Answers are small and somebody waits for them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(request, shared.clone()));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "an exporter's connection ended");
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<wire::Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let read = match body.collect().await {
        Ok(body) => wire::read(&parts.headers, &body.to_bytes()),
        Err(error) => Err(Status::cancelled(error.to_string())),
    };
    shared.requests.send_modify(|count| *count += 1);
    let behavior = lock(&shared.behavior).clone();
    match behavior {
        Behavior::Accept => {}
        Behavior::Hang => pending().await,
        Behavior::Refuse(code) => {
            return Ok(wire::status(&Status::new(code, "this collector refuses")));
        }
        Behavior::Late(by) => tokio::time::sleep(by).await,
    }
    let answer = read.and_then(|message| take(parts.uri.path(), message, &shared));
    Ok(match answer {
        Ok(message) => wire::message(&message),
        Err(status) => wire::status(&status),
    })
}

fn take(path: &str, message: Bytes, shared: &Shared) -> Result<Vec<u8>, Status> {
    let bad = |error: prost::DecodeError| Status::invalid_argument(error.to_string());
    let at = Instant::now();
    match path {
        TRACES => {
            let request = ExportTraceServiceRequest::decode(message).map_err(bad)?;
            lock(&shared.received).spans.extend(received::spans(request, at));
            Ok(ExportTraceServiceResponse::default().encode_to_vec())
        }
        METRICS => {
            let request = ExportMetricsServiceRequest::decode(message).map_err(bad)?;
            lock(&shared.received).metrics.extend(received::metrics(request, at));
            Ok(ExportMetricsServiceResponse::default().encode_to_vec())
        }
        other => Err(Status::unimplemented(format!("this collector does not know {other}"))),
    }
}
