//! A function that says on stderr what is called when, and misbehaves as it is told.
//!
//! `PROBE_CONFIGURE`, `PROBE_ON_START`, `PROBE_HOOK` and `PROBE_ON_SHUTDOWN` are one of `fail`,
//! `panic`, `hang` (at an await point) and `block` (the thread). `PROBE_ONLY` is `workflows` or
//! `activities`, `PROBE_WORKER` is `fail` or `panic`, and `PROBE_SET` is `grace` or `one-activity`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use temporal_lambda_worker::{
    BoxError, LambdaWorker, LambdaWorkerConfig, LambdaWorkerError, RunningWorker, Shutdown,
    WorkerDeploymentVersion, async_trait, remaining_time, run_worker,
};
use temporalio_common::protos::coresdk::workflow_activation::WorkflowActivation;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::interceptors::WorkerInterceptor;
use temporalio_sdk::runtime::worker_tuner::{FixedSizeSlotSupplier, TunerHolder, WorkerTuner};
use temporalio_sdk::{ActivityOptions, LocalActivityOptions, WorkflowContext, WorkflowResult};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(600);
/// How long one attempt of an activity may take; a new one is made soon after.
const START_TO_CLOSE: Duration = Duration::from_secs(5);

struct Activities;

#[activities]
impl Activities {
    /// At its first attempt, does not notice that it is cancelled. Returns the attempt.
    #[activity]
    async fn stubborn(context: ActivityContext, _: ()) -> Result<u32, ActivityError> {
        if context.info().attempt == 1 {
            eprintln!("probe: stubborn begins");
            tokio::time::sleep(FOR_EVER).await;
        }
        Ok(context.info().attempt)
    }

    /// At its first attempt, blocks its thread. Returns the attempt.
    #[activity]
    async fn block(context: ActivityContext, _: ()) -> Result<u32, ActivityError> {
        if context.info().attempt == 1 {
            eprintln!("probe: block begins");
            std::thread::sleep(FOR_EVER);
        }
        Ok(context.info().attempt)
    }

    /// At its first attempt, panics. Returns the attempt.
    #[activity]
    async fn panics(context: ActivityContext, _: ()) -> Result<u32, ActivityError> {
        assert_ne!(context.info().attempt, 1, "as it was told");
        Ok(context.info().attempt)
    }

    /// Sleeps without heartbeats; gives up when it is cancelled. Returns the attempt.
    #[activity]
    async fn doze(context: ActivityContext, millis: u64) -> Result<u32, ActivityError> {
        eprintln!("probe: doze begins");
        let result = tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(millis)) => Ok(context.info().attempt),
            () = context.cancelled() => Err(ActivityError::cancelled()),
        };
        eprintln!("probe: doze ends");
        result
    }

    /// How many milliseconds the invocation still has.
    #[activity]
    async fn time_left(_: ActivityContext, _: ()) -> Result<u64, ActivityError> {
        Ok(remaining_time().map_or(0, |left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
    }
}

macro_rules! workflow_of {
    ($name:ident, $activity:ident, $input:ty, $output:ty) => {
        #[workflow]
        #[derive(Default)]
        struct $name;

        #[workflow_methods]
        impl $name {
            #[run]
            async fn run(
                context: &mut WorkflowContext<Self>,
                input: $input,
            ) -> WorkflowResult<$output> {
                let options = ActivityOptions::start_to_close_timeout(START_TO_CLOSE);
                Ok(context.execute_activity(Activities::$activity, input, options).await?)
            }
        }
    };
}

workflow_of!(Stubborn, stubborn, (), u32);
workflow_of!(Block, block, (), u32);
workflow_of!(Panics, panics, (), u32);
workflow_of!(Doze, doze, u64, u32);
workflow_of!(TimeLeft, time_left, (), u64);

/// The same as `Doze`, as a local activity.
#[workflow]
#[derive(Default)]
struct LocalDoze;

#[workflow_methods]
impl LocalDoze {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, millis: u64) -> WorkflowResult<u32> {
        let options =
            LocalActivityOptions::builder().start_to_close_timeout(START_TO_CLOSE).build();
        Ok(context.execute_local_activity(Activities::doze, millis, options).await?)
    }
}

/// Waits for a timer between two activities, and so outlives invocations.
#[workflow]
#[derive(Default)]
struct Patient;

#[workflow_methods]
impl Patient {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, millis: u64) -> WorkflowResult<u32> {
        let options = || ActivityOptions::start_to_close_timeout(START_TO_CLOSE);
        let first = context.execute_activity(Activities::doze, 1_u64, options()).await?;
        context.timer(Duration::from_millis(millis)).await;
        let second = context.execute_activity(Activities::doze, 1_u64, options()).await?;
        Ok(first + second)
    }
}

/// Makes the worker fail at its first workflow task.
struct Saboteur {
    panic: bool,
}

#[async_trait(?Send)]
impl WorkerInterceptor for Saboteur {
    async fn on_workflow_activation(&self, _: &WorkflowActivation) -> Result<(), anyhow::Error> {
        assert!(!self.panic, "PROBE_WORKER said so");
        anyhow::bail!("PROBE_WORKER said so")
    }
}

/// A tuner of the user's own, which lets one activity run at a time.
fn one_activity() -> WorkerTuner {
    TunerHolder::builder()
        .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(5))
        .activity_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .build()
        .into()
}

#[derive(Clone, Default)]
struct Probe {
    /// Counts invocations; shared by all of them.
    invocations: Arc<AtomicU32>,
    /// What this invocation opened.
    resource: Option<String>,
}

#[async_trait]
impl LambdaWorker for Probe {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        let number = self.invocations.fetch_add(1, Ordering::Relaxed) + 1;
        eprintln!("probe: configure opens resource {number}");
        if let Some(left) = self.resource.replace(format!("resource {number}")) {
            eprintln!("probe: leaked {left}");
        }
        for name in ["first", "second"] {
            config.shutdown_hooks.add(name, move |ending: Shutdown| async move {
                eprintln!("probe: hook {name} after {:?}", ending.reason);
                if name == "first" { misbehave("PROBE_HOOK").await } else { Ok(()) }
            });
        }
        misbehave("PROBE_CONFIGURE").await?;
        let worker = &mut config.worker_options;
        let only = std::env::var("PROBE_ONLY").unwrap_or_default();
        if only != "workflows" {
            worker.register_activities(Activities);
        }
        if only != "activities" {
            worker
                .register_workflow::<Stubborn>()?
                .register_workflow::<Block>()?
                .register_workflow::<Panics>()?
                .register_workflow::<Doze>()?
                .register_workflow::<TimeLeft>()?
                .register_workflow::<LocalDoze>()?
                .register_workflow::<Patient>()?;
        }
        if let Ok(way) = std::env::var("PROBE_WORKER") {
            worker.worker_interceptor(Saboteur { panic: way == "panic" });
        }
        match std::env::var("PROBE_SET").as_deref() {
            Ok("grace") => worker.graceful_shutdown_period = Some(Duration::from_millis(200)),
            Ok("one-activity") => worker.tuner = one_activity(),
            _ => {}
        }
        Ok(())
    }

    async fn on_start(&mut self, running: &RunningWorker) -> Result<(), BoxError> {
        eprintln!("probe: on_start for {}", running.task_queue);
        misbehave("PROBE_ON_START").await
    }

    async fn on_shutdown(&mut self, _: &Shutdown) -> Result<(), BoxError> {
        let resource = self.resource.take();
        eprintln!("probe: on_shutdown closes {}", resource.as_deref().unwrap_or("nothing"));
        misbehave("PROBE_ON_SHUTDOWN").await
    }
}

async fn misbehave(variable: &str) -> Result<(), BoxError> {
    match std::env::var(variable).as_deref() {
        Ok("fail") => Err(format!("{variable} said so").into()),
        Ok("panic") => panic!("{variable} said so"),
        Ok("hang") => {
            tokio::time::sleep(FOR_EVER).await;
            Ok(())
        }
        Ok("block") => {
            std::thread::sleep(FOR_EVER);
            Ok(())
        }
        _ => Ok(()),
    }
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    let version =
        WorkerDeploymentVersion::builder().deployment_name("probe").build_id("dev").build();
    run_worker(version, Probe::default()).await
}
