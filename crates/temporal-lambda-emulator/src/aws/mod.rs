//! The part of AWS's API that callers and deployers of a function use: Lambda's, and STS on `/`.

mod account;
mod aliases;
mod call;
mod deployed;
mod functions;
mod invoke;
mod limits;
mod name;
mod refusal;
mod settings;
mod shapes;
mod sts;
mod versions;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    routing::{MethodFilter, MethodRouter, post},
};
use tokio::net::TcpListener;

pub(super) use self::{account::Account, deployed::Deployed, name::Name};
use self::{
    call::{operation, waiting},
    refusal::Refusal,
};

/// Serves the control plane until the emulator is shut down.
pub(super) fn serve(account: Arc<Account>, listener: TcpListener) {
    let closed = account.shared.closed.clone();
    let app = Router::new()
        .route("/", post(sts::call))
        .route("/2015-03-31/functions", all_functions())
        .route("/2015-03-31/functions/", all_functions())
        .nest("/2015-03-31/functions/{name}", one_function())
        .merge(limits())
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

fn all_functions() -> MethodRouter<Arc<Account>> {
    operation(MethodFilter::POST, "CreateFunction", functions::create).merge(operation(
        MethodFilter::GET,
        "ListFunctions",
        functions::list,
    ))
}

fn one_function() -> Router<Arc<Account>> {
    use MethodFilter as M;
    // Routes with one path and several methods are one.
    Router::new()
        .route("/", operation(M::GET, "GetFunction", functions::get))
        .route("/", operation(M::DELETE, "DeleteFunction", functions::delete))
        .route("/code", operation(M::PUT, "UpdateFunctionCode", functions::update_code))
        .route(
            "/configuration",
            operation(M::GET, "GetFunctionConfiguration", functions::get_configuration),
        )
        .route(
            "/configuration",
            operation(M::PUT, "UpdateFunctionConfiguration", functions::update_configuration),
        )
        .route("/versions", operation(M::POST, "PublishVersion", versions::publish))
        .route("/versions", operation(M::GET, "ListVersionsByFunction", versions::list))
        .route("/aliases", operation(M::POST, "CreateAlias", aliases::create))
        .route("/aliases", operation(M::GET, "ListAliases", aliases::list))
        .route("/aliases/{alias}", operation(M::GET, "GetAlias", aliases::get))
        .route("/aliases/{alias}", operation(M::PUT, "UpdateAlias", aliases::update))
        .route("/aliases/{alias}", operation(M::DELETE, "DeleteAlias", aliases::delete))
        .route("/invocations", waiting(M::POST, "Invoke", invoke::invoke))
}

/// These came to the API later, each with a date of its own.
fn limits() -> Router<Arc<Account>> {
    use MethodFilter as M;
    let concurrency = "/2017-10-31/functions/{name}/concurrency";
    let get_concurrency = "/2019-09-30/functions/{name}/concurrency";
    let event = "/2019-09-25/functions/{name}/event-invoke-config";
    Router::new()
        .route(concurrency, operation(M::PUT, "PutFunctionConcurrency", limits::put_concurrency))
        .route(
            concurrency,
            operation(M::DELETE, "DeleteFunctionConcurrency", limits::delete_concurrency),
        )
        .route(
            get_concurrency,
            operation(M::GET, "GetFunctionConcurrency", limits::get_concurrency),
        )
        .route(event, operation(M::PUT, "PutFunctionEventInvokeConfig", limits::put_event_config))
        .route(
            event,
            operation(M::POST, "UpdateFunctionEventInvokeConfig", limits::update_event_config),
        )
        .route(event, operation(M::GET, "GetFunctionEventInvokeConfig", limits::get_event_config))
        .route(
            event,
            operation(M::DELETE, "DeleteFunctionEventInvokeConfig", limits::delete_event_config),
        )
}

async fn unknown(method: Method, uri: Uri) -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "UnknownOperationException",
        format!("the emulator has no {method} {}", uri.path()),
    )
}
