//! A `lambda_runtime` service that already has work of its own, and is a Temporal worker, too.
//!
//! An event with a `ping` in it is answered as before; every other event (Temporal's Worker
//! Controller sends an empty one) runs the worker, or a check if it asks for that. The idle timeout is on: the worker leaves two
//! seconds after the last task, and is called again for the next.

use std::time::Duration;

use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde_json::{Value, json};
use temporal_lambda_worker::{
    BoxError, LambdaVersion, LambdaWorker, LambdaWorkerConfig, LambdaWorkerHandler, Shutdown,
    async_trait, remaining_time,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

struct Activities;

#[activities]
impl Activities {
    /// Says how much of its invocation is left.
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

#[derive(Clone)]
struct Orders;

#[async_trait]
impl LambdaWorker for Orders {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        config.set_task_queue("orders");
        config.register_activities(Activities);
        config.register_workflow::<TimeLeftWorkflow>()?;
        config.idle_timeout = Some(Duration::from_secs(2));
        Ok(())
    }

    async fn on_shutdown(&mut self, ending: &Shutdown) -> Result<(), BoxError> {
        tracing::info!(reason = ?ending.reason, tasks = ?ending.report.tasks, "leaving");
        Ok(())
    }
}

async fn serve(
    worker: LambdaWorkerHandler<Orders>,
    event: LambdaEvent<Value>,
) -> Result<Value, Diagnostic> {
    if let Some(ping) = event.payload.get("ping") {
        return Ok(json!({ "pong": ping }));
    }
    Ok(worker.handle_or_check(event).await?)
}

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber_with_writer(std::io::stderr);
    let worker = LambdaWorkerHandler::new(LambdaVersion::new().resolve()?, Orders)?;
    // Ends the process where an invocation could not be stopped, once its error was posted.
    let poison = worker.poison_layer();
    Runtime::new(service_fn(move |event| serve(worker.clone(), event)))
        .layer(TracingLayer::new())
        .layer(poison)
        .run()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ping_is_answered_as_before_and_starts_no_worker() {
        let version = temporal_lambda_worker::WorkerDeploymentVersion::builder()
            .deployment_name("orders")
            .build_id("test")
            .build();
        let worker = LambdaWorkerHandler::new(version, Orders).unwrap();
        let event = LambdaEvent::new(json!({ "ping": 1 }), lambda_runtime::Context::default());
        assert_eq!(serve(worker.clone(), event).await.unwrap(), json!({ "pong": 1 }));
        assert_eq!(worker.active_invocations(), 0);
        assert_eq!(worker.watch().borrow().request_id, "");
    }
}
