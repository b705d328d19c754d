//! A function with telemetry.
//!
//! `TRACED_START`: `on_start` starts a workflow whose ID is the request ID. `TRACED_FAIL`: where
//! it fails, after telemetry was set up: `configure`, `on_start`, `panic` or `hang` (in
//! `on_start`). `TRACED_FLUSH_TIMEOUT`: the flush's cap, in milliseconds. `TRACED_GLOBAL`: its
//! providers are the process's.

use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::{Span as _, Tracer as _};
use temporal_lambda_worker::otel::{self, OtelOptions};
use temporal_lambda_worker::{
    BoxError, LambdaWorker, LambdaWorkerConfig, LambdaWorkerError, RunningWorker,
    WorkerDeploymentVersion, async_trait, run_worker,
};
use temporalio_client::WorkflowStartOptions;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

struct Activities;

#[activities]
impl Activities {
    /// Returns what it is given, logs, and makes a span of its own.
    #[activity]
    async fn note(_: ActivityContext, number: u64) -> Result<u64, ActivityError> {
        tracing::info!(number, "noted");
        // Exported only where the providers are global.
        global::tracer("mine").start("own work").end();
        Ok(number)
    }
}

/// An activity, a timer of so many milliseconds if there are any, an activity.
#[workflow]
#[derive(Default)]
struct Notes;

#[workflow_methods]
impl Notes {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, millis: u64) -> WorkflowResult<u64> {
        let options = || ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        let one = context.execute_activity(Activities::note, 1_u64, options()).await?;
        if millis > 0 {
            context.timer(Duration::from_millis(millis)).await;
        }
        let two = context.execute_activity(Activities::note, 2_u64, options()).await?;
        Ok(one + two)
    }
}

#[derive(Clone)]
struct Traced;

#[async_trait]
impl LambdaWorker for Traced {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        let mut options = OtelOptions::default().set_global(is("TRACED_GLOBAL", "yes"));
        if let Ok(millis) = std::env::var("TRACED_FLUSH_TIMEOUT") {
            options.flush_timeout = Duration::from_millis(millis.parse()?);
        }
        otel::apply_defaults(config, options)?;
        if is("TRACED_FAIL", "configure") {
            return Err("as it was told".into());
        }
        config.worker_options.register_activities(Activities);
        config.worker_options.register_workflow::<Notes>()?;
        Ok(())
    }

    async fn on_start(&mut self, running: &RunningWorker) -> Result<(), BoxError> {
        let header = running.invocation.trace_header.as_deref().unwrap_or_default();
        eprintln!("traced: {header}");
        match std::env::var("TRACED_FAIL").as_deref() {
            Ok("on_start") => return Err("as it was told".into()),
            Ok("panic") => panic!("as it was told"),
            Ok("hang") => std::future::pending().await,
            _ => {}
        }
        if std::env::var("TRACED_START").is_ok() {
            let id = running.invocation.request_id.clone();
            let options = WorkflowStartOptions::new(running.task_queue.clone(), id).build();
            running.client.start_workflow(Notes::run, 0, options).await?;
        }
        Ok(())
    }
}

fn is(variable: &str, value: &str) -> bool {
    std::env::var(variable).is_ok_and(|it| it == value)
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    let version =
        WorkerDeploymentVersion::builder().deployment_name("traced").build_id("dev").build();
    run_worker(version, Traced).await
}
