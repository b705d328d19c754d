//! How does one function serve SQS and Temporal?
//!
//! A batch from SQS has records, which are answered here, each by itself (`ReportBatchItemFailures`). Every other
//! event (Temporal's Worker Controller sends an empty one) runs the worker, or a check if it asks for
//! that. An invocation is one or the other: while it works for Temporal, SQS has another environment.

use std::time::Duration;

use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde_json::{Value, json};
use temporal_lambda_worker::{
    BoxError, LambdaVersion, LambdaWorker, LambdaWorkerConfig, LambdaWorkerHandler, remaining_time,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

struct Activities;

#[activities]
impl Activities {
    /// Says how many seconds of its invocation are left.
    #[activity]
    async fn time_left(_context: ActivityContext) -> Result<Option<u64>, ActivityError> {
        Ok(remaining_time().map(|left| left.as_secs()))
    }
}

#[workflow]
#[derive(Default)]
struct TimeLeftWorkflow;

#[workflow_methods]
impl TimeLeftWorkflow {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>) -> WorkflowResult<Option<u64>> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(5));
        Ok(context.execute_activity(Activities::time_left, (), options).await?)
    }
}

fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
    config.register_activities(Activities).register_workflow::<TimeLeftWorkflow>()?;
    Ok(())
}

/// The work that the function had before: takes orders in, and names those that SQS shall deliver again.
fn take_in(orders: &[Value]) -> Value {
    let is_order = |record: &&Value| {
        let order = record["body"].as_str().map(serde_json::from_str::<Value>);
        order.is_some_and(|order| order.is_ok_and(|order| order["article"].is_string()))
    };
    let refused = orders.iter().filter(|record| !is_order(record));
    let refused = refused.map(|record| json!({ "itemIdentifier": record["messageId"] }));
    json!({ "batchItemFailures": refused.collect::<Vec<_>>() })
}

async fn serve(
    worker: LambdaWorkerHandler<impl LambdaWorker>,
    event: LambdaEvent<Value>,
) -> Result<Value, Diagnostic> {
    match event.payload["Records"].as_array() {
        Some(records) => Ok(take_in(records)),
        None => Ok(worker.handle_or_check(event).await?),
    }
}

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber_with_writer(std::io::stderr);
    // Made once: its clones share threads, connection and health.
    let worker = LambdaWorkerHandler::builder(LambdaVersion::new().resolve()?, configure)
        .task_queue("orders")
        .build()?;
    // Ends the process where an invocation could not be stopped, once its error was posted.
    let poison = worker.poison_layer();
    Runtime::new(service_fn(move |event| serve(worker.clone(), event)))
        .layer(TracingLayer::new())
        .layer(poison)
        .run()
        .await
}
