//! What is different where an environment has several invocations at once (Lambda Managed Instances)?
//!
//! `run` serves them by itself: `AWS_LAMBDA_MAX_CONCURRENCY` says how many, each has a worker and a clone of the
//! struct, and all share one connection. The numbers of slots are for one worker, so what the environment as a
//! whole can bear needs a limit of its own: here, a permit for each activity that needs much memory.
//! Such functions have no freeze, and their versions start at `$LATEST.PUBLISHED`: publish one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use temporal_lambda_worker::{
    BoxError, LambdaVersion, LambdaWorker, LambdaWorkerConfig, LambdaWorkerError, WorkerFunction,
    async_trait,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};
use tokio::sync::Semaphore;

/// Pictures that the environment has memory for at a time, whatever the number of invocations.
const PICTURES: usize = 2;

/// What all invocations of the environment share.
struct Shared {
    memory: Semaphore,
    under_way: AtomicUsize,
}

struct Activities(Arc<Shared>);

#[activities]
impl Activities {
    /// Scales a picture; returns how many were scaled at that time.
    #[activity]
    async fn scale(
        self: Arc<Self>,
        context: ActivityContext,
        millis: u64,
    ) -> Result<usize, ActivityError> {
        let shared = &self.0;
        let _permit = tokio::select! {
            permit = shared.memory.acquire() => permit,
            () = context.cancelled() => return Err(ActivityError::cancelled()),
        };
        let at_once = shared.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        shared.under_way.fetch_sub(1, Ordering::SeqCst);
        Ok(at_once)
    }
}

#[workflow]
#[derive(Default)]
struct Scale;

#[workflow_methods]
impl Scale {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, millis: u64) -> WorkflowResult<usize> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(60));
        Ok(context.execute_activity(Activities::scale, millis, options).await?)
    }
}

#[derive(Clone)]
struct Pictures {
    shared: Arc<Shared>,
}

#[async_trait]
impl LambdaWorker for Pictures {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        config.register_activities(Activities(self.shared.clone())).register_workflow::<Scale>()?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    let (memory, under_way) = (Semaphore::new(PICTURES), AtomicUsize::new(0));
    let worker = Pictures { shared: Arc::new(Shared { memory, under_way }) };
    WorkerFunction::new(LambdaVersion::new().resolve()?, worker)
        .task_queue("pictures")
        // Connections of your own are closed here, once for all of them.
        .on_environment_end(|| async { tracing::info!("the environment ends") })
        .run()
        .await
}
