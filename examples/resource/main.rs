//! Where does something belong that each invocation opens and closes?
//!
//! Here it is a scratch folder: `/tmp` outlives an invocation, and 512 MB are soon full. `open` makes it before the
//! worker, `close` takes it away after the last activity and the last hook, however the
//! invocation ended. What lasts as long as the environment is in the example `closure`.

use std::path::PathBuf;
use std::time::Duration;

use temporal_lambda_worker::{
    BoxError, LambdaVersion, LambdaWorkerConfig, Shutdown, WorkerFunction, with_resource,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

/// The resource: the folder of one invocation.
struct Scratch {
    folder: PathBuf,
}

struct Activities {
    scratch: PathBuf,
}

#[activities]
impl Activities {
    /// Sorts lines by way of a file; returns where the file was.
    #[activity]
    async fn sort(
        self: std::sync::Arc<Self>,
        context: ActivityContext,
        text: String,
    ) -> Result<(String, PathBuf), ActivityError> {
        let file = self.scratch.join(&context.info().activity_id);
        tokio::fs::write(&file, text).await?;
        let text = tokio::fs::read_to_string(&file).await?;
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        Ok((lines.join("\n"), file))
    }
}

#[workflow]
#[derive(Default)]
struct Sort;

#[workflow_methods]
impl Sort {
    #[run]
    async fn run(
        context: &mut WorkflowContext<Self>,
        text: String,
    ) -> WorkflowResult<(String, PathBuf)> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        Ok(context.execute_activity(Activities::sort, text, options).await?)
    }
}

async fn open(config: &mut LambdaWorkerConfig) -> Result<Scratch, BoxError> {
    // A retry of an event has the same request ID, and may find what a crash has left.
    let folder = std::env::temp_dir().join(&config.invocation.request_id);
    tokio::fs::create_dir_all(&folder).await?;
    // From here on `close` is called, unless this function fails.
    let scratch = Scratch { folder };
    config.register_activities(Activities { scratch: scratch.folder.clone() });
    config.register_workflow::<Sort>()?;
    Ok(scratch)
}

/// Its error is in the invocation's report, as that of `on_shutdown`.
async fn close(scratch: Scratch, ending: Shutdown) -> Result<(), BoxError> {
    tokio::fs::remove_dir_all(&scratch.folder).await?;
    tracing::info!(folder = %scratch.folder.display(), reason = ?ending.reason, "removed");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let worker = with_resource(|config| Box::pin(open(config)), close);
    let version = LambdaVersion::new().resolve()?;
    WorkerFunction::new(version, worker).task_queue("sort").run().await?;
    Ok(())
}
