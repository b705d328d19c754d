//! A Lambda function that is nothing but a Temporal worker.

use std::time::Duration;

use temporal_lambda_worker::{
    BoxError, LambdaVersion, LambdaWorkerConfig, LambdaWorkerError, run_worker,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkflowContext, WorkflowResult};

#[workflow]
#[derive(Default)]
struct Hello;

#[workflow_methods]
impl Hello {
    #[run]
    async fn run(_context: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        Ok(format!("Hello, {name}!"))
    }
}

fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
    config.set_task_queue("hello");
    config.idle_timeout = Some(Duration::from_secs(2));
    config.register_workflow::<Hello>()?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    // The published version of the Lambda function is the build ID.
    let version = LambdaVersion::new().resolve()?;
    run_worker(version, configure).await
}
