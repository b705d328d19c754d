//! A worker and its tests: the worker is here, `tests.rs` runs it against a mock of Temporal, and
//! `properties.rs` asks the lifecycle's rules what it relies on. Run them with
//! `cargo test -p temporal-lambda-examples --bin testing`.

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use temporal_lambda_worker::{
    BoxError, LambdaWorker, LambdaWorkerConfig, LambdaWorkerError, PerInvocation, Shutdown,
    WorkerDeploymentVersion, async_trait, run_worker,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

/// The task queue of orders.
const TASK_QUEUE: &str = "orders";

/// Orders of more than this many cents need the bank's word.
const LARGE: u64 = 100_000;

/// How many leases are out. A real one would be a row in a database.
#[derive(Clone, Default)]
struct Leases(Arc<AtomicUsize>);

impl Leases {
    fn take(&self) -> Lease {
        self.0.fetch_add(1, Ordering::SeqCst);
        Lease
    }

    fn give_back(&self, _: Lease) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What an invocation has to give back, whatever becomes of it.
struct Lease;

struct Payments;

#[activities]
impl Payments {
    /// Charges an amount, in cents; returns the number of the receipt.
    #[activity]
    async fn charge(_context: ActivityContext, cents: u64) -> Result<String, ActivityError> {
        if cents == 0 {
            return Err(std::io::Error::other("there is nothing to charge").into());
        }
        Ok(format!("receipt for {cents}"))
    }

    /// Waits for a bank that never answers, until it is told to stop.
    #[activity]
    async fn ask_bank(context: ActivityContext) -> Result<(), ActivityError> {
        context.cancelled().await;
        Err(ActivityError::cancelled())
    }
}

#[workflow]
#[derive(Default)]
struct Order;

#[workflow_methods]
impl Order {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, cents: u64) -> WorkflowResult<String> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        if cents > LARGE {
            context.execute_activity(Payments::ask_bank, (), options.clone()).await?;
        }
        Ok(context.execute_activity(Payments::charge, cents, options).await?)
    }
}

/// The worker.
#[derive(Clone, Default)]
struct Orders {
    leases: Leases,
    lease: PerInvocation<Lease>,
}

#[async_trait]
impl LambdaWorker for Orders {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        config.set_task_queue(TASK_QUEUE);
        config.worker_options.graceful_shutdown_period = Some(Duration::from_millis(300));
        config.register_activities(Payments);
        config.register_workflow::<Order>()?;
        self.lease.set(self.leases.take());
        Ok(())
    }

    async fn on_shutdown(&mut self, _: &Shutdown) -> Result<(), BoxError> {
        if let Some(lease) = self.lease.take() {
            self.leases.give_back(lease);
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    let version =
        WorkerDeploymentVersion::builder().deployment_name("orders").build_id("dev").build();
    run_worker(version, Orders::default()).await
}
