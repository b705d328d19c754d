//! How does one function serve HTTP (API Gateway, a function URL, a load balancer) and Temporal?
//!
//! `lambda_http` turns its events into requests. With its feature `pass_through` an event that is none of them
//! becomes a request, too, and says so: those run the worker. What a client sends to `/events`
//! by HTTP is not taken for one.

use lambda_http::request::RequestContext;
use lambda_http::{Adapter, Body, Request, RequestExt as _, Response, service_fn};
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime};
use temporal_lambda_worker::{
    BoxError, LambdaVersion, LambdaWorker, LambdaWorkerConfig, LambdaWorkerHandler,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkflowContext, WorkflowResult};

#[workflow]
#[derive(Default)]
struct Receipt;

#[workflow_methods]
impl Receipt {
    #[run]
    async fn run(_context: &mut WorkflowContext<Self>, order: u32) -> WorkflowResult<String> {
        Ok(format!("receipt for order {order}"))
    }
}

fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
    config.register_workflow::<Receipt>()?;
    Ok(())
}

/// The work that the function had before; a router of axum is as good.
fn answer(request: &Request) -> Response<Body> {
    Response::new(format!("{} {}", request.method(), request.uri().path()).into())
}

async fn serve(
    worker: LambdaWorkerHandler<impl LambdaWorker>,
    request: Request,
) -> Result<Response<Body>, Diagnostic> {
    if !matches!(request.request_context_ref(), Some(RequestContext::PassThrough)) {
        return Ok(answer(&request));
    }
    let payload = serde_json::from_slice(request.body()).unwrap_or_default();
    let event = LambdaEvent::new(payload, request.lambda_context());
    let report = worker.handle_or_check(event).await?;
    Ok(Response::new(report.to_string().into()))
}

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber_with_writer(std::io::stderr);
    let worker = LambdaWorkerHandler::builder(LambdaVersion::new().resolve()?, configure)
        .task_queue("receipts")
        .build()?;
    let poison = worker.poison_layer();
    // What `lambda_http::run` does, with a layer.
    let service = Adapter::from(service_fn(move |request| serve(worker.clone(), request)));
    Runtime::new(service).layer(TracingLayer::new()).layer(poison).run().await
}
