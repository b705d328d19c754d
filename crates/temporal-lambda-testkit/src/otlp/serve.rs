//! The two services, by hand and over both transports: framing and two paths are all there is to
//! them.

use std::{convert::Infallible, future::pending, io::Read as _, sync::Arc, time::Instant};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{
    HeaderMap, Request, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use opentelemetry_proto::tonic::collector::{
    metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
    trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
};
use prost::Message;
use tokio::net::TcpStream;
use tonic::{Code, Status};

use super::{
    received,
    shared::{Behavior, Shared},
};
use crate::grpc;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
/// The paths of OTLP over HTTP.
const HTTP_TRACES: &str = "/v1/traces";
const HTTP_METRICS: &str = "/v1/metrics";
/// The content type of OTLP over HTTP.
const PROTOBUF: &str = "application/x-protobuf";

pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(request, shared.clone()));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "an exporter's connection ended");
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<grpc::Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let http = is_http(&parts);
    let read = match body.collect().await {
        Ok(body) if http => from_http(&parts.headers, body.to_bytes()),
        Ok(body) => from_grpc(&parts.headers, &body.to_bytes()),
        Err(error) => Err(Status::cancelled(error.to_string())),
    };
    shared.received.lock().requests.push(received::request(&parts, Instant::now()));
    let behavior = shared.behavior.lock().clone();
    let refusal = match behavior {
        Behavior::Accept => None,
        Behavior::Hang => pending().await,
        Behavior::Refuse(code) => Some(Status::new(code, "this collector refuses")),
        Behavior::Late(by) => {
            tokio::time::sleep(by).await;
            None
        }
    };
    let answer = match refusal {
        Some(status) => Err(status),
        None => read.and_then(|message| take(parts.uri.path(), message, &shared)),
    };
    Ok(match answer {
        Ok(message) if http => over_http(StatusCode::OK, message),
        Ok(message) => grpc::message(&message),
        Err(status) if http => over_http(http_status(&status), Vec::new()),
        Err(status) => grpc::status(&status),
    })
}

fn is_http(parts: &Parts) -> bool {
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    !kind.is_some_and(|kind| kind.starts_with("application/grpc"))
}

/// The message in the body of an HTTP request.
fn from_http(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Status> {
    if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != PROTOBUF) {
        return Err(Status::invalid_argument(format!("the content type is not {PROTOBUF}")));
    }
    match headers.get(CONTENT_ENCODING) {
        None => Ok(body),
        Some(encoding) if encoding == "gzip" => unzip(&body),
        Some(other) => Err(Status::invalid_argument(format!("no decompressor for {other:?}"))),
    }
}

/// The message in the body of a gRPC request.
fn from_grpc(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Status> {
    if headers.get("grpc-encoding").is_none_or(|encoding| encoding != "gzip") {
        return grpc::read(headers, body);
    }
    match body.split_at_checked(grpc::PREFIX) {
        // A message may be sent as it is all the same.
        Some(([0, ..], message)) => Ok(body.slice_ref(message)),
        Some((_, message)) => unzip(message),
        None => Err(Status::invalid_argument("the request has no gRPC frame")),
    }
}

fn unzip(bytes: &[u8]) -> Result<Bytes, Status> {
    let mut message = Vec::new();
    match GzDecoder::new(bytes).read_to_end(&mut message) {
        Ok(_) => Ok(message.into()),
        Err(error) => Err(Status::invalid_argument(error.to_string())),
    }
}

fn over_http(status: StatusCode, message: Vec<u8>) -> Response<grpc::Body> {
    let mut response = Response::new(Full::from(message).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(PROTOBUF));
    response
}

fn http_status(status: &Status) -> StatusCode {
    match status.code() {
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Unimplemented => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn take(path: &str, message: Bytes, shared: &Shared) -> Result<Vec<u8>, Status> {
    let bad = |error: prost::DecodeError| Status::invalid_argument(error.to_string());
    let at = Instant::now();
    match path {
        TRACES | HTTP_TRACES => {
            let request = ExportTraceServiceRequest::decode(message).map_err(bad)?;
            shared.received.lock().spans.extend(received::spans(request, at));
            Ok(ExportTraceServiceResponse::default().encode_to_vec())
        }
        METRICS | HTTP_METRICS => {
            let request = ExportMetricsServiceRequest::decode(message).map_err(bad)?;
            shared.received.lock().metrics.extend(received::metrics(request, at));
            Ok(ExportMetricsServiceResponse::default().encode_to_vec())
        }
        other => Err(Status::unimplemented(format!("this collector does not know {other}"))),
    }
}
