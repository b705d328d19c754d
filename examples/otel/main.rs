//! How do traces and metrics reach a collector before the invocation returns?
//!
//! They go to the one in the ADOT layer, and are flushed when the worker has stopped. The README beside this
//! file says what the function needs.

use std::time::Duration;

use temporal_lambda_worker::otel::{self, OtelOptions};
use temporal_lambda_worker::{
    BoxError, LambdaWorkerConfig, LambdaWorkerError, WorkerDeploymentVersion, WorkerFunction,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

struct Activities;

#[activities]
impl Activities {
    /// Greets.
    #[activity]
    async fn greet(_: ActivityContext, name: String) -> Result<String, ActivityError> {
        // Carries the request ID, as every line of an invocation does.
        tracing::info!(name, "greeting");
        Ok(format!("Hello, {name}!"))
    }
}

#[workflow]
#[derive(Default)]
struct TracedWorkflow;

#[workflow_methods]
impl TracedWorkflow {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        Ok(context.execute_activity(Activities::greet, name, options).await?)
    }
}

fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
    // First of all: what fails before it is not in the telemetry.
    otel::apply_defaults(config, OtelOptions::default())?;
    config.register_activities(Activities).register_workflow::<TracedWorkflow>()?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    let version =
        WorkerDeploymentVersion::builder().deployment_name("traced").build_id("dev").build();
    WorkerFunction::new(version, configure).task_queue("traced").run().await
}
