//! What becomes of the work in hand when a function crashes?
//!
//! `CrashWorkflow` runs an activity that ends the whole process, at as many attempts as it is told,
//! as running out of memory would. The invocation is lost and Lambda tries it again; the activity
//! is lost and Temporal tries it again. Watch it with
//! `temporal-lambda dev --package temporal-lambda-examples --bin crashing`.

use std::time::Duration;

use temporal_lambda_worker::{
    BoxError, LambdaWorkerConfig, LambdaWorkerError, WorkerDeploymentVersion, run_worker,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

/// How long one attempt may take. Nobody reports an attempt that went down with its process, so
/// Temporal waits this long before it tries again: it should not be much longer than the work.
const START_TO_CLOSE: Duration = Duration::from_secs(2);
/// What Rust programs exit with after a panic.
const EXIT_CODE: i32 = 101;

struct Activities;

#[activities]
impl Activities {
    /// Ends the process at the first `crashes` attempts; returns the number of the attempt.
    #[activity]
    async fn fall(context: ActivityContext, crashes: u32) -> Result<u32, ActivityError> {
        let attempt = context.info().attempt;
        if attempt <= crashes {
            eprintln!("crashing at attempt {attempt}");
            std::process::exit(EXIT_CODE);
        }
        Ok(attempt)
    }
}

#[workflow]
#[derive(Default)]
struct CrashWorkflow;

#[workflow_methods]
impl CrashWorkflow {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, crashes: u32) -> WorkflowResult<u32> {
        let options = ActivityOptions::start_to_close_timeout(START_TO_CLOSE);
        Ok(context.execute_activity(Activities::fall, crashes, options).await?)
    }
}

fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
    config.set_task_queue("crashing");
    config.register_activities(Activities).register_workflow::<CrashWorkflow>()?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    let version =
        WorkerDeploymentVersion::builder().deployment_name("crashing").build_id("dev").build();
    run_worker(version, configure).await
}
