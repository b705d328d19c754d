//! The function of the swarm: workflows that have everything of which a task can be made.
//!
//! `swarm/peer.py` is the same for Temporal's Python package; change both.

use std::time::Duration;

use temporal_lambda_worker::{
    BoxError, LambdaWorkerConfig, LambdaWorkerError, WorkerDeploymentVersion, run_worker,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{
    ActivityOptions, LocalActivityOptions, SyncWorkflowContext, WorkflowContext,
    WorkflowContextView, WorkflowResult,
};

/// How long one attempt of an activity may take. The swarm waits that long for one that is lost.
const START_TO_CLOSE: Duration = Duration::from_secs(20);

struct Activities;

#[activities]
impl Activities {
    /// Takes so many milliseconds; gives up when it is cancelled.
    #[activity]
    async fn work(context: ActivityContext, millis: u64) -> Result<u64, ActivityError> {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(millis)) => Ok(millis),
            () = context.cancelled() => Err(ActivityError::cancelled()),
        }
    }
}

/// One activity after the other. Returns how many there were.
#[workflow]
#[derive(Default)]
struct Chain;

#[workflow_methods]
impl Chain {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, millis: Vec<u64>) -> WorkflowResult<u64> {
        let mut done = 0;
        for millis in millis {
            let options = ActivityOptions::start_to_close_timeout(START_TO_CLOSE);
            context.execute_activity(Activities::work, millis, options).await?;
            done += 1;
        }
        Ok(done)
    }
}

/// As `Chain`, with local activities.
#[workflow]
#[derive(Default)]
struct LocalChain;

#[workflow_methods]
impl LocalChain {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, millis: Vec<u64>) -> WorkflowResult<u64> {
        let mut done = 0;
        for millis in millis {
            let options =
                LocalActivityOptions::builder().start_to_close_timeout(START_TO_CLOSE).build();
            context.execute_local_activity(Activities::work, millis, options).await?;
            done += 1;
        }
        Ok(done)
    }
}

/// Takes signals and updates until it has had as many as it is told to expect. Returns how many
/// there were.
#[workflow]
#[derive(Default)]
struct Mailbox {
    received: u64,
}

#[workflow_methods]
impl Mailbox {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, expected: u64) -> WorkflowResult<u64> {
        context.wait_condition(|mailbox| mailbox.received >= expected).await?;
        Ok(context.state(|mailbox| mailbox.received))
    }

    #[signal]
    fn put(&mut self, _: &mut SyncWorkflowContext<Self>, _number: u64) {
        self.received += 1;
    }

    #[query]
    fn received(&self, _: &WorkflowContextView) -> u64 {
        self.received
    }

    #[update]
    fn put_and_count(&mut self, _: &mut SyncWorkflowContext<Self>, _number: u64) -> u64 {
        self.received += 1;
        self.received
    }
}

fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
    let worker = &mut config.worker_options;
    worker.register_activities(Activities);
    worker
        .register_workflow::<Chain>()?
        .register_workflow::<LocalChain>()?
        .register_workflow::<Mailbox>()?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    let version =
        WorkerDeploymentVersion::builder().deployment_name("swarm").build_id("dev").build();
    run_worker(version, configure).await
}
