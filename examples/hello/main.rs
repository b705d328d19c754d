//! How does a function do activities and workflows, and nothing else?
//!
//! Two workflow types: `HelloWorkflow` greets through an activity; `SleepWorkflow` runs an activity
//! for as long as it is told, which shows what happens to an activity when its invocation ends.
//! The server's address and all settings come from the environment and `temporal.toml`.

use std::time::Duration;

use temporal_lambda_worker::{
    BoxError, LambdaWorkerConfig, LambdaWorkerError, WorkerDeploymentVersion, WorkerFunction,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

/// How often `nap` heartbeats, and so hears of its cancellation through the server.
const HEARTBEAT: Duration = Duration::from_millis(200);
/// How long one attempt of an activity may take.
const START_TO_CLOSE: Duration = Duration::from_secs(60);

struct Activities;

#[activities]
impl Activities {
    /// Greets.
    #[activity]
    async fn greet(_context: ActivityContext, name: String) -> Result<String, ActivityError> {
        Ok(format!("Hello, {name}!"))
    }

    /// Sleeps for so many milliseconds; returns how often it was attempted.
    #[activity]
    async fn nap(context: ActivityContext, millis: u64) -> Result<u32, ActivityError> {
        let end = tokio::time::sleep(Duration::from_millis(millis));
        tokio::pin!(end);
        let mut beat = tokio::time::interval(HEARTBEAT);
        loop {
            tokio::select! {
                () = &mut end => return Ok(context.info().attempt),
                () = context.cancelled() => return Err(ActivityError::cancelled()),
                _ = beat.tick() => context.record_heartbeat(()).await?,
            }
        }
    }
}

#[workflow]
#[derive(Default)]
struct HelloWorkflow;

#[workflow_methods]
impl HelloWorkflow {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        let options = ActivityOptions::start_to_close_timeout(START_TO_CLOSE);
        Ok(context.execute_activity(Activities::greet, name, options).await?)
    }
}

#[workflow]
#[derive(Default)]
struct SleepWorkflow;

#[workflow_methods]
impl SleepWorkflow {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, millis: u64) -> WorkflowResult<u32> {
        let options = ActivityOptions::with_start_to_close_timeout(START_TO_CLOSE)
            .heartbeat_timeout(5 * HEARTBEAT)
            .build();
        Ok(context.execute_activity(Activities::nap, millis, options).await?)
    }
}

fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
    config.register_activities(Activities);
    config.register_workflow::<HelloWorkflow>()?.register_workflow::<SleepWorkflow>()?;
    Ok(())
}

/// One thread is enough to speak with Lambda: activities, workflows and callbacks run on threads of the library's.
///
/// Public because `temporal-lambda demo` runs it, too: this file is part of the command.
#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), LambdaWorkerError> {
    let version =
        WorkerDeploymentVersion::builder().deployment_name("hello").build_id("dev").build();
    // The environment and `temporal.toml` may name another task queue.
    WorkerFunction::new(version, configure).task_queue("hello").run().await
}
