//! `Invoke`.

use axum::{
    http::{HeaderValue, StatusCode},
    response::IntoResponse as _,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;

use super::{
    call::{Answer, Call},
    refusal::Refusal,
};
use crate::{error::EmulatorError, function::Function};

/// How much of the log `X-Amz-Log-Type: Tail` brings.
const LOG_TAIL: usize = 4096;

pub(super) async fn invoke(call: Call) -> Answer {
    let target = call.target()?;
    let header = |name| call.headers.get(name).and_then(|value| value.to_str().ok());
    let invocation_type = header("x-amz-invocation-type").unwrap_or("RequestResponse");
    let with_log = header("x-amz-log-type") == Some("Tail");
    let (function, policy) = call.with(&target, |deployed| {
        let qualifier = target.qualifier.as_deref();
        let function = deployed.resolve(qualifier);
        let function = function.ok_or_else(|| Refusal::no_function(&target.arn()))?;
        let policy = deployed.event_policy(&function, qualifier);
        Ok((function, policy))
    })?;
    let payload = payload(&call)?;
    match invocation_type {
        "DryRun" => Ok(StatusCode::NO_CONTENT.into_response()),
        "Event" => {
            let queued = function.invoke_event_as(target.arn(), payload, policy);
            let id = queued.map_err(refused)?;
            Ok((StatusCode::ACCEPTED, [("x-amzn-requestid", id)]).into_response())
        }
        "RequestResponse" => wait(&function, target.arn(), payload, with_log).await,
        other => Err(Refusal::invalid(format!(
            "`{other}` is no invocation type; use RequestResponse, Event or DryRun"
        ))),
    }
}

async fn wait(function: &Function, arn: String, payload: Bytes, with_log: bool) -> Answer {
    let version = function.config().version.clone();
    let invocation = function.invoke_as(arn, payload).await.map_err(refused)?;
    let body = invocation.outcome.body(&invocation.request_id);
    let log = with_log.then(|| invocation.log_text());
    let mut answer = (
        [
            ("content-type", "application/json".to_owned()),
            ("x-amz-executed-version", version),
            ("x-amzn-requestid", invocation.request_id),
        ],
        body,
    )
        .into_response();
    let headers = answer.headers_mut();
    if !invocation.outcome.is_success() {
        headers.insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
    }
    if let Some(log) = log {
        let tail = &log.as_bytes()[log.len().saturating_sub(LOG_TAIL)..];
        if let Ok(value) = HeaderValue::from_str(&BASE64_STANDARD.encode(tail)) {
            headers.insert("x-amz-log-result", value);
        }
    }
    Ok(answer)
}

/// The event, which is JSON; of a call without a body, an empty object.
fn payload(call: &Call) -> Result<Bytes, Refusal> {
    if call.body.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(&call.body);
    let refusal =
        |error| Refusal::content(format!("Could not parse request body into json: {error}"));
    parsed.map(|_| call.body.clone()).map_err(refusal)
}

fn refused(refusal: EmulatorError) -> Refusal {
    match refusal {
        EmulatorError::Throttled { .. } => Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequestsException",
            "Rate Exceeded.",
        ),
        other => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceException", other.to_string())
        }
    }
}
