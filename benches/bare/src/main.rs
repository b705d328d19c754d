//! The floor: the same activities and workflows as the example `hello`, on `lambda_runtime` and the SDK alone.
//!
//! It does what no worker on Lambda can do without: connect, poll until the deadline less 7 s, end. Slots,
//! pollers and cache are those of all Lambda workers. Nothing is kept from one invocation to the next.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use serde_json::Value;
use temporalio_client::envconfig::LoadClientConfigProfileOptions;
use temporalio_client::{Client, ClientOptions, Connection};
use temporalio_common::worker::{
    VersioningBehavior, WorkerDeploymentOptions, WorkerDeploymentVersion,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::runtime::worker_tuner::{FixedSizeSlotSupplier, TunerHolder};
use temporalio_sdk::runtime::{PollerBehavior, Runtime, RuntimeOptions};
use temporalio_sdk::{ActivityOptions, Worker, WorkerOptions, WorkflowContext, WorkflowResult};
use tokio::task::LocalSet;

/// What is kept for the end of an invocation, as in Temporal's own packages.
const BUFFER: Duration = Duration::from_secs(7);
/// Of it, what activities may go on for.
const GRACE: Duration = Duration::from_secs(5);
const START_TO_CLOSE: Duration = Duration::from_secs(60);
const HEARTBEAT: Duration = Duration::from_millis(200);

struct Activities;

#[activities]
impl Activities {
    #[activity]
    async fn greet(_context: ActivityContext, name: String) -> Result<String, ActivityError> {
        Ok(format!("Hello, {name}!"))
    }

    #[activity]
    async fn nap(context: ActivityContext, millis: u64) -> Result<u32, ActivityError> {
        let mut end = pin!(tokio::time::sleep(Duration::from_millis(millis)));
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

fn options(context: &Context) -> Result<WorkerOptions, Error> {
    let slots = FixedSizeSlotSupplier::new;
    let tuner = TunerHolder::builder()
        .workflow_task_slot_supplier(slots(10))
        .activity_task_slot_supplier(slots(2))
        .local_activity_task_slot_supplier(slots(2))
        .nexus_task_slot_supplier(slots(5))
        .build();
    let version = WorkerDeploymentVersion::builder()
        .deployment_name(std::env::var("TEMPORAL_LAMBDA_DEPLOYMENT_NAME")?)
        .build_id(std::env::var("TEMPORAL_LAMBDA_BUILD_ID")?)
        .build();
    let deployment = WorkerDeploymentOptions::new(version)
        .use_worker_versioning(true)
        .default_versioning_behavior(VersioningBehavior::Pinned)
        .build();
    let options = WorkerOptions::new(std::env::var("TEMPORAL_TASK_QUEUE")?)
        .deployment_options(deployment)
        .client_identity_override(format!(
            "{}@{}",
            context.request_id, context.invoked_function_arn
        ))
        .max_cached_workflows(30_usize)
        .tuner(tuner)
        .workflow_task_poller_behavior(PollerBehavior::SimpleMaximum(2))
        .activity_task_poller_behavior(PollerBehavior::SimpleMaximum(1))
        .max_eager_activity_reservations_per_workflow_task(0_usize)
        .graceful_shutdown_period(GRACE)
        .register_activities(Activities)
        .register_workflow::<HelloWorkflow>()?
        .register_workflow::<SleepWorkflow>()?
        .build();
    Ok(options)
}

/// One invocation: a connection, a worker, and its end in time.
async fn work(event: LambdaEvent<Value>) -> Result<(), Error> {
    let options = options(&event.context)?;
    let heartbeats = RuntimeOptions::builder().heartbeat_interval(None).build()?;
    let runtime = Runtime::from_current_tokio(heartbeats)?;
    let (connection, client) =
        ClientOptions::load_from_config(LoadClientConfigProfileOptions::default())
            .map_err(|error| error.to_string())?;
    let connection = Connection::connect(connection).await?;
    let mut worker = Worker::new(&runtime, Client::new(connection, client)?, options)?;
    let stop = worker.shutdown_handle();
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let timer = tokio::spawn(async move {
        tokio::time::sleep(left.saturating_sub(BUFFER)).await;
        stop();
    });
    let result = worker.run().await;
    timer.abort();
    Ok(result?)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event| async move {
        // The SDK's worker cannot move between threads; `lambda_runtime` wants a future that can.
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let handle = tokio::runtime::Handle::current();
        std::thread::spawn(move || {
            let _ = sender.send(handle.block_on(LocalSet::new().run_until(work(event))));
        });
        receiver.await?
    }))
    .await
}
