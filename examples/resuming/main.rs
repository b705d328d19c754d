//! How does an activity that is longer than an invocation go on where it was?
//!
//! It heartbeats with what it has done. When the invocation's time is over it is cancelled, and its
//! next attempt, in the next invocation, begins with the details of the last heartbeat.

use std::time::Duration;

use temporal_lambda_worker::{
    BoxError, LambdaVersion, LambdaWorkerConfig, LambdaWorkerError, WorkerFunction,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

/// How long a row takes.
const ROW: Duration = Duration::from_millis(100);

struct Activities;

#[activities]
impl Activities {
    /// Imports rows; returns how many of them the last attempt imported.
    #[activity]
    async fn import(context: ActivityContext, rows: u32) -> Result<u32, ActivityError> {
        let done: u32 = context.heartbeat_details().deserialize()?.unwrap_or(0);
        for row in done..rows {
            tokio::select! {
                () = import_row() => context.record_heartbeat(row + 1).await?,
                () = context.cancelled() => return Err(ActivityError::cancelled()),
            }
        }
        Ok(rows - done)
    }
}

async fn import_row() {
    tokio::time::sleep(ROW).await;
}

#[workflow]
#[derive(Default)]
struct Import;

#[workflow_methods]
impl Import {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, rows: u32) -> WorkflowResult<u32> {
        // Of all attempts together. The heartbeat timeout says how soon an attempt whose process died
        // is tried again; the SDK sends heartbeats no more often than at four fifths of it.
        let options = ActivityOptions::with_schedule_to_close_timeout(Duration::from_secs(3600))
            .heartbeat_timeout(Duration::from_secs(1))
            .build();
        Ok(context.execute_activity(Activities::import, rows, options).await?)
    }
}

fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
    config.register_activities(Activities);
    config.register_workflow::<Import>()?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    let version = LambdaVersion::new().resolve()?;
    // The environment and `temporal.toml` may name another task queue.
    WorkerFunction::new(version, configure).task_queue("import").run().await
}
