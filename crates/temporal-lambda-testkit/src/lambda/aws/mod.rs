//! The part of AWS's API that a Temporal server calls: Lambda's `GetFunction` and `Invoke`, and
//! STS on `/`.

mod account;
mod sts;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use serde_json::json;
use tokio::net::TcpListener;

pub(super) use self::account::Account;
use super::{error::EmulatorError, function::Function, shared::ACCOUNT};

/// Serves the control plane until the emulator is shut down.
pub(super) fn serve(account: Arc<Account>, listener: TcpListener) {
    let closed = account.shared.closed.clone();
    let app = Router::new()
        .route("/", post(sts::call))
        .route("/2015-03-31/functions/{name}", get(get_function))
        .route("/2015-03-31/functions/{name}/configuration", get(get_configuration))
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .fallback(unknown)
        .layer(DefaultBodyLimit::disable())
        .with_state(account);
    tokio::spawn(async move {
        let served =
            axum::serve(listener, app).with_graceful_shutdown(closed.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::warn!(%error, "the Lambda control plane ended early");
        }
    });
}

/// Answers a call that asks for what is known of a function.
fn describe(
    account: &Account,
    operation: &'static str,
    name: &str,
    query: Option<&str>,
    describe: impl FnOnce(&Function) -> serde_json::Value,
) -> Response {
    let answer = match account.find(name, query) {
        None => not_found(name),
        Some((function, _)) => Json(describe(&function)).into_response(),
    };
    account.record_call(operation, name, &answer);
    answer
}

async fn get_function(
    State(account): State<Arc<Account>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    describe(&account, "GetFunction", &name, query.as_deref(), |function| {
        json!({
            "Configuration": configuration(function),
            "Code": { "RepositoryType": "S3", "Location": "" },
            "Tags": {},
            "Concurrency": {
                "ReservedConcurrentExecutions": function.config().concurrency,
            },
        })
    })
}

async fn get_configuration(
    State(account): State<Arc<Account>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    describe(&account, "GetFunctionConfiguration", &name, query.as_deref(), configuration)
}

fn configuration(function: &Function) -> serde_json::Value {
    let config = function.config();
    json!({
        "FunctionName": config.name,
        "FunctionArn": function.arn(),
        "Runtime": config.runtime,
        "Handler": "bootstrap",
        "Timeout": config.timeout.as_secs_f64().ceil() as u64,
        "MemorySize": config.memory_mb,
        "Version": config.version,
        "PackageType": "Zip",
        "Architectures": [if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }],
        "Role": format!("arn:aws:iam::{}:role/{}", ACCOUNT, config.name),
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "LastModified": "2026-01-01T00:00:00.000+0000",
        "CodeSha256": "",
        "CodeSize": 0,
        "RevisionId": "00000000-0000-0000-0000-000000000000",
    })
}

async fn invoke(
    State(account): State<Arc<Account>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    payload: Bytes,
) -> Response {
    let invocation_type = headers
        .get("x-amz-invocation-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("RequestResponse");
    let answer = match account.find(&name, query.as_deref()) {
        None => not_found(&name),
        Some((function, version)) => match invocation_type {
            "DryRun" => StatusCode::NO_CONTENT.into_response(),
            "Event" => match function.invoke_event(payload) {
                Ok(id) => (StatusCode::ACCEPTED, [("x-amzn-requestid", id)]).into_response(),
                Err(error) => refused(&error),
            },
            "RequestResponse" => invoke_and_wait(&function, version, payload).await,
            other => error(
                StatusCode::BAD_REQUEST,
                "InvalidParameterValueException",
                &format!("`{other}` is no invocation type; use RequestResponse, Event or DryRun"),
            ),
        },
    };
    account.record_call("Invoke", &name, &answer);
    answer
}

async fn invoke_and_wait(function: &Function, version: String, payload: Bytes) -> Response {
    let invocation = match function.invoke(payload).await {
        Ok(invocation) => invocation,
        Err(error) => return refused(&error),
    };
    let body = invocation.outcome.body(&invocation.request_id);
    let mut answer = (
        [
            ("content-type", "application/json".to_owned()),
            ("x-amz-executed-version", version),
            ("x-amzn-requestid", invocation.request_id),
        ],
        body,
    )
        .into_response();
    if !invocation.outcome.is_success() {
        let unhandled = axum::http::HeaderValue::from_static("Unhandled");
        answer.headers_mut().insert("x-amz-function-error", unhandled);
    }
    answer
}

fn refused(refusal: &EmulatorError) -> Response {
    match refusal {
        EmulatorError::Throttled { .. } => {
            error(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Rate Exceeded.")
        }
        other => error(StatusCode::SERVICE_UNAVAILABLE, "ServiceException", &other.to_string()),
    }
}

fn not_found(name: &str) -> Response {
    error(
        StatusCode::NOT_FOUND,
        "ResourceNotFoundException",
        &format!("Function not found: {name}"),
    )
}

async fn unknown(method: axum::http::Method, uri: axum::http::Uri) -> Response {
    error(
        StatusCode::NOT_FOUND,
        "UnknownOperationException",
        &format!("the emulator has no {method} {}", uri.path()),
    )
}

fn error(status: StatusCode, error_type: &'static str, message: &str) -> Response {
    let body = json!({ "Type": "User", "Message": message, "message": message });
    (status, [("x-amzn-errortype", error_type)], Json(body)).into_response()
}
