//! The Runtime API of one execution environment, on its own port.

use std::{net::TcpListener, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt as _,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::state::{Answer, EnvCore, deadline_ms};
use crate::{event::EnvEvent, shared::ACCOUNT};

/// Serves the Runtime API of `env` on `listener` until the environment is gone.
pub(super) fn serve(env: Arc<EnvCore>, listener: TcpListener) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|stream| {
        // Small answers, each awaited: waiting for more to send would only cost time.
        let _ = stream.set_nodelay(true);
    });
    let gone = env.gone.clone();
    let app = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .route("/2018-06-01/runtime/restore/next", get(restore_next))
        .route("/2018-06-01/runtime/restore/error", post(restore_error))
        .route("/2020-01-01/extension/register", post(register))
        .route("/2020-01-01/extension/event/next", get(extension_next))
        .route("/2020-01-01/extension/init/error", post(accepted))
        .route("/2020-01-01/extension/exit/error", post(accepted))
        .layer(DefaultBodyLimit::disable())
        .with_state(env);
    tokio::spawn(async move {
        let served =
            axum::serve(listener, app).with_graceful_shutdown(gone.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::warn!(%error, "a Runtime API ended early");
        }
    });
    Ok(())
}

type Env = State<Arc<EnvCore>>;

async fn next(State(env): Env) -> Response {
    let Ok(event) = env.poll_next().await else {
        return refusal(
            StatusCode::FORBIDDEN,
            "InvalidState",
            "the environment is being taken down",
        );
    };
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", event.request_id),
        ("lambda-runtime-invocation-id", event.invocation_id),
        ("lambda-runtime-deadline-ms", deadline_ms(event.deadline).to_string()),
        ("lambda-runtime-invoked-function-arn", event.invoked_arn),
        ("lambda-runtime-trace-id", event.trace_id),
    ];
    let mut response = event.payload.into_response();
    // `Bytes` calls itself an octet stream; the events of Lambda are JSON, empty or not.
    response.headers_mut().clear();
    (headers, response).into_response()
}

async fn response(
    State(env): Env,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&env, &id, &headers, Answer::Response(body))
}

async fn error(
    State(env): Env,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (error_type, message) = posted_error(&headers, &body);
    let error = Answer::Error { error_type, message, body };
    answer(&env, &id, &headers, error)
}

fn answer(env: &EnvCore, id: &str, headers: &HeaderMap, answer: Answer) -> Response {
    let invocation_id = headers.get("lambda-runtime-invocation-id").and_then(|id| id.to_str().ok());
    match env.complete(id, invocation_id, answer) {
        Ok(()) => status_ok(),
        Err(why) => refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", why),
    }
}

async fn init_error(State(env): Env, headers: HeaderMap, body: Bytes) -> Response {
    let (error_type, message) = posted_error(&headers, &body);
    env.init_error(error_type, message);
    status_ok()
}

async fn restore_next(State(env): Env) -> Response {
    env.note(EnvEvent::RestoreRequested);
    StatusCode::OK.into_response()
}

async fn restore_error(State(env): Env, headers: HeaderMap, body: Bytes) -> Response {
    let (error_type, message) = posted_error(&headers, &body);
    env.note(EnvEvent::RestoreErrorPosted { error_type: error_type.clone() });
    env.init_error(error_type, message);
    status_ok()
}

#[derive(Deserialize, Default)]
struct Registration {
    #[serde(default)]
    events: Vec<String>,
}

async fn register(State(env): Env, headers: HeaderMap, body: Bytes) -> Response {
    let Some(name) = headers.get("lambda-extension-name").and_then(|name| name.to_str().ok())
    else {
        return refusal(
            StatusCode::BAD_REQUEST,
            "Extension.InvalidExtensionName",
            "the Lambda-Extension-Name header is missing",
        );
    };
    let registration: Registration = serde_json::from_slice(&body).unwrap_or_default();
    let id = env.register_extension(name.to_owned(), &registration.events);
    let body = json!({
        "functionName": env.config.name,
        "functionVersion": env.config.version,
        "handler": env.config.handler,
        "accountId": ACCOUNT,
    });
    ([("lambda-extension-identifier", id)], Json(body)).into_response()
}

async fn extension_next(State(env): Env, headers: HeaderMap) -> Response {
    let id = headers
        .get("lambda-extension-identifier")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    let event = tokio::select! {
        event = env.extension_event(id) => event,
        () = env.gone.cancelled() => None,
    };
    match event {
        Some(event) => Json(event).into_response(),
        None => refusal(
            StatusCode::FORBIDDEN,
            "Extension.UnknownExtensionIdentifier",
            "no such extension is registered here",
        ),
    }
}

async fn accepted() -> Response {
    status_ok()
}

fn status_ok() -> Response {
    (StatusCode::ACCEPTED, Json(json!({ "status": "OK" }))).into_response()
}

fn refusal(status: StatusCode, error_type: &str, message: &str) -> Response {
    let body = json!({ "errorType": error_type, "errorMessage": message });
    (status, Json(body)).into_response()
}

/// The type and message of a posted error, from its JSON, else from the header and the raw body.
fn posted_error(headers: &HeaderMap, body: &Bytes) -> (String, String) {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Posted {
        error_type: Option<String>,
        error_message: Option<String>,
    }
    let posted: Posted = serde_json::from_slice(body).unwrap_or_default();
    let error_type = posted.error_type.or_else(|| {
        let header = headers.get("lambda-runtime-function-error-type")?;
        Some(header.to_str().ok()?.to_owned())
    });
    (
        error_type.unwrap_or_else(|| "Unhandled".to_owned()),
        posted.error_message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
    )
}
