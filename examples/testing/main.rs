//! How is a worker tested without a server?
//!
//! The worker is here, `tests.rs` runs it against a mock of Temporal, and `properties.rs` asks the
//! lifecycle's rules what it relies on: `cargo test -p temporal-lambda-examples --bin testing`.

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use temporal_lambda_worker::{
    BoxError, LambdaVersion, LambdaWorker, LambdaWorkerConfig, LambdaWorkerError, PerInvocation,
    Shutdown, async_trait, run_worker,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

const TASK_QUEUE: &str = "orders";
/// Orders of more than this many cents need the bank's word.
const LARGE: u64 = 100_000;

/// What an invocation has to give back, whatever becomes of it.
struct Lease;

struct Payments;

#[activities]
impl Payments {
    /// Charges an amount, in cents; returns the number of the receipt.
    #[activity]
    async fn charge(_context: ActivityContext, cents: u64) -> Result<String, ActivityError> {
        match cents {
            0 => Err(std::io::Error::other("there is nothing to charge").into()),
            _ => Ok(format!("receipt for {cents}")),
        }
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

#[derive(Clone, Default)]
struct Orders {
    /// How many leases are out. A real one would be a row in a database.
    leases: Arc<AtomicUsize>,
    lease: PerInvocation<Lease>,
}

#[async_trait]
impl LambdaWorker for Orders {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        config.set_task_queue(TASK_QUEUE);
        config.worker_options.graceful_shutdown_period = Some(Duration::from_millis(300));
        config.register_activities(Payments);
        config.register_workflow::<Order>()?;
        self.leases.fetch_add(1, Ordering::SeqCst);
        self.lease.set(Lease);
        Ok(())
    }

    async fn on_shutdown(&mut self, _: &Shutdown) -> Result<(), BoxError> {
        if let Some(Lease) = self.lease.take() {
            self.leases.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    run_worker(LambdaVersion::new().resolve()?, Orders::default()).await
}
