//! How does a worker without a struct wait for something, and keep it for the next invocation?
//!
//! `from_fn` makes a worker of an async closure, which runs in every invocation. What it captures behind an `Arc` lasts
//! as long as the environment: here a table of prices, which the first invocation loads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use temporal_lambda_worker::{BoxError, LambdaVersion, LambdaWorkerError, WorkerFunction, from_fn};
use temporalio_common::error::ApplicationFailure;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};
use tokio::sync::OnceCell;

type Prices = Arc<BTreeMap<String, u32>>;

struct Activities {
    prices: Prices,
}

#[activities]
impl Activities {
    /// The price of an article, in cents.
    #[activity]
    async fn price(
        self: Arc<Self>,
        _context: ActivityContext,
        article: String,
    ) -> Result<u32, ActivityError> {
        let price = self.prices.get(&article).copied();
        let unknown = ApplicationFailure::builder(format!("no article {article}"));
        price.ok_or_else(|| unknown.non_retryable(true).build().into())
    }
}

#[workflow]
#[derive(Default)]
struct Quote;

#[workflow_methods]
impl Quote {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, article: String) -> WorkflowResult<u32> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(5));
        Ok(context.execute_activity(Activities::price, article, options).await?)
    }
}

/// Stands for a call that takes its time.
async fn load() -> Result<Prices, BoxError> {
    tracing::info!("loading the prices");
    tokio::time::sleep(Duration::from_millis(10)).await;
    Ok(Arc::new(
        [("bread", 320), ("milk", 95)].map(|(name, cents)| (name.to_owned(), cents)).into(),
    ))
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    // Loaded by an invocation and not here, so that a failure is that invocation's error, and the next one
    // tries again. `Rotating` is for what becomes old.
    let prices = Arc::new(OnceCell::<Prices>::new());
    let worker = from_fn(move |config| {
        let prices = prices.clone();
        Box::pin(async move {
            let prices = prices.get_or_try_init(load).await?.clone();
            config.register_activities(Activities { prices }).register_workflow::<Quote>()?;
            Ok(())
        })
    });
    let version = LambdaVersion::new().resolve()?;
    WorkerFunction::new(version, worker).task_queue("quotes").run().await
}
