//! The mock frontend against the real SDK: a worker, and single calls of a connection.

mod activities;
mod connections;
mod ended_polls;
mod parity;
mod polls;
mod raw;
mod scripts;
mod wire;
mod workflow_tasks;
mod workflows;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::join;
use temporal_lambda_testkit::frontend::{MockFrontend, WorkflowStart};
use temporalio_client::tonic::IntoRequest;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, tonic};
use temporalio_common::RetryPolicy;
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use temporalio_common::worker::{WorkerDeploymentOptions, WorkerDeploymentVersion};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::runtime::RuntimeOptions;
use temporalio_sdk::{
    ActivityOptions, LocalActivityOptions, Runtime, Worker, WorkerOptions, WorkflowContext,
    WorkflowResult,
};
use tokio::time::timeout;

/// Far longer than anything here takes.
const TEST_TIMEOUT: Duration = Duration::from_secs(120);

type TestResult = Result<(), Box<dyn std::error::Error>>;

#[derive(Default)]
struct Greetings {
    calls: AtomicU32,
}

#[activities]
impl Greetings {
    #[activity]
    async fn greet(_ctx: ActivityContext, name: String) -> Result<String, ActivityError> {
        Ok(format!("Hello, {name}!"))
    }

    /// Fails twice.
    #[activity]
    async fn third_time_lucky(
        self: Arc<Self>,
        _ctx: ActivityContext,
    ) -> Result<u32, ActivityError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if call < 3 {
            return Err(std::io::Error::other(format!("call {call}")).into());
        }
        Ok(call)
    }

    /// Fails once, after heartbeats of which the SDK sends the first only, for they come too soon.
    /// Returns what the next attempt is told.
    #[activity]
    async fn resume(ctx: ActivityContext) -> Result<u32, ActivityError> {
        if ctx.info().attempt > 1 {
            return Ok(ctx.heartbeat_details().deserialize()?.unwrap_or_default());
        }
        for step in 1..=3_u32 {
            ctx.record_heartbeat(step).await?;
        }
        Err(std::io::Error::other("half-way").into())
    }

    /// Beats until it is told to stop.
    #[activity]
    async fn beat(ctx: ActivityContext) -> Result<(), ActivityError> {
        while !ctx.is_cancelled() {
            ctx.record_heartbeat("beat".to_owned()).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(ActivityError::cancelled())
    }
}

#[workflow]
#[derive(Default)]
struct Greet;

#[workflow_methods]
impl Greet {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        let limit = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        Ok(ctx.execute_activity(Greetings::greet, name, limit).await?)
    }
}

/// A timer, a local activity, and an activity that needs retries, one after the other.
#[workflow]
#[derive(Default)]
struct Steps;

#[workflow_methods]
impl Steps {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<(String, u32)> {
        ctx.timer(Duration::from_millis(100)).await;
        let local =
            LocalActivityOptions::builder().start_to_close_timeout(Duration::from_secs(10)).build();
        let greeting =
            ctx.execute_local_activity(Greetings::greet, "local".to_owned(), local).await?;
        let soon = RetryPolicy::builder().initial_interval(Duration::from_millis(50)).build();
        let retried = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(10))
            .retry_policy(soon)
            .build();
        let calls = ctx.execute_activity(Greetings::third_time_lucky, (), retried).await?;
        Ok((greeting, calls))
    }
}

async fn worker(
    options: ConnectionOptions,
    namespace: &str,
) -> Result<Worker, Box<dyn std::error::Error>> {
    let no_heartbeats = RuntimeOptions::builder().heartbeat_interval(None).build()?;
    let runtime = Runtime::from_current_tokio(no_heartbeats)?;
    let connection = Connection::connect(options).await?;
    let client = Client::new(connection, ClientOptions::new(namespace).build())?;
    let version =
        WorkerDeploymentVersion::builder().deployment_name("greeter").build_id("build-7").build();
    let options = WorkerOptions::new("greetings")
        .client_identity_override("worker-1")
        .deployment_options(WorkerDeploymentOptions::new(version).build())
        .register_activities(Greetings::default())
        .register_workflow::<Greet>()?
        .register_workflow::<Steps>()?
        .build();
    Ok(Worker::new(&runtime, client, options)?)
}

/// Runs the worker while the test looks on, then shuts it down and waits for it.
async fn with_worker<T>(mut worker: Worker, test: impl Future<Output = T>) -> T {
    let shutdown = worker.shutdown_handle();
    let test = async {
        let result = test.await;
        shutdown();
        result
    };
    let (result, run) = timeout(TEST_TIMEOUT, async { join!(test, worker.run()) })
        .await
        .expect("the worker drains");
    run.expect("the worker runs");
    result
}

fn greet(id: &str) -> WorkflowStart {
    WorkflowStart::new("greetings", "Greet", id).arg(&"Ada")
}

async fn describe(connection: &Connection, namespace: &str) -> Result<(), tonic::Status> {
    let request =
        DescribeNamespaceRequest { namespace: namespace.to_owned(), ..Default::default() };
    let mut service = connection.workflow_service();
    service.describe_namespace(request.into_request()).await?;
    Ok(())
}

async fn greets_ada(frontend: &MockFrontend, options: ConnectionOptions) -> TestResult {
    let run_id = frontend.start_workflow(greet("hello"));
    assert!(!run_id.is_empty());
    let worker = worker(options, "default").await?;
    let status = with_worker(worker, frontend.workflow_result("hello")).await?;
    assert_eq!(status.json::<String>()?, "Hello, Ada!");
    assert_eq!(frontend.activity_attempts("hello/1")?, 1);
    let greeting: String = frontend.activity_status("hello/1")?.json()?;
    assert_eq!(greeting, "Hello, Ada!");
    Ok(())
}
