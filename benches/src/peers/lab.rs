//! One server, one emulator, and the functions in it.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use temporal_lambda_testkit::lambda::{
    EnvEvent, Environment, Function, FunctionConfig, Invocation, LambdaEmulator,
};
use temporal_lambda_testkit::server::{DevServer, Temporal};
use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;
use tokio::task::JoinHandle;

use super::programs::Program;

const BUILD_ID: &str = "1";
/// The server's setting that makes it end the polls of a worker that shuts down.
const ENDS_POLLS: &str = "frontend.enableCancelWorkerPollsOnShutdown";
/// At a fourteenth of a core the peers need more than Lambda's limit of 10 s to begin, which is a row of its
/// own and no reason to see nothing else of them.
const INIT_TIMEOUT: Duration = Duration::from_secs(120);
/// Far longer than anything takes that is waited for.
const SOON: Duration = Duration::from_secs(60);
/// The workflow of all sides that has one activity, which greets.
const HELLO: &str = "HelloWorkflow";
/// The one whose activity sleeps, and heartbeats meanwhile.
const SLEEP: &str = "SleepWorkflow";

/// What a server is like.
#[derive(Clone, Copy, Debug)]
pub(super) enum ServerKind {
    /// As Temporal's dev server is by itself.
    Stock,
    /// It ends the polls of a worker that shuts down.
    EndsPolls,
    /// Its Worker Controller calls functions.
    CallsFunctions,
}

/// A server and an emulator.
pub(super) struct Lab {
    /// The emulator.
    lambda: LambdaEmulator,
    server: DevServer,
    temporal: Temporal,
    ids: AtomicUsize,
}

/// How a function differs from others.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// What it is called beside its side.
    pub(super) name: String,
    /// How long an invocation may take.
    pub(super) timeout: Duration,
    /// How many environments it may have.
    pub(super) environments: usize,
    /// Variables beside those that every function has.
    pub(super) variables: Vec<(String, String)>,
    /// The command that its own is handed to, if any.
    pub(super) started_by: Vec<String>,
}

/// A function whose deployment and task queue are its own.
pub(super) struct Deployed {
    /// The function.
    pub(super) function: Function,
    /// The task queue.
    pub(super) queue: String,
}

impl Setting {
    /// One environment, and nothing else.
    pub(super) fn new(name: &str, timeout: Duration) -> Self {
        Self {
            name: name.to_owned(),
            timeout,
            environments: 1,
            variables: Vec::new(),
            started_by: Vec::new(),
        }
    }

    /// With an idle timeout: a setting of ours, which the others do not know.
    pub(super) fn idle_timeout(mut self, time: &str) -> Self {
        self.variables.push(("TEMPORAL_LAMBDA_IDLE_TIMEOUT".to_owned(), time.to_owned()));
        self
    }
}

impl Lab {
    /// Starts both.
    pub(super) async fn start(kind: ServerKind) -> Result<Self> {
        let lambda = LambdaEmulator::start().await?;
        let server = DevServer::builder();
        let server = match kind {
            ServerKind::Stock => server,
            ServerKind::EndsPolls => server.dynamic_config(ENDS_POLLS, true),
            ServerKind::CallsFunctions => server.worker_controller(lambda.endpoint_url()),
        };
        let server = server.start().await?;
        let temporal = server.temporal().await?;
        Ok(Self { lambda, server, temporal, ids: AtomicUsize::new(0) })
    }

    /// Where the server answers.
    pub(super) fn address(&self) -> String {
        self.server.address()
    }

    /// The program that the server is.
    pub(super) fn cli(&self) -> &Path {
        self.server.cli_path()
    }

    /// Makes a function of a side, and its version current.
    pub(super) async fn deploy(&self, program: &Program, setting: &Setting) -> Result<Deployed> {
        let deployed = self.add_function(program, setting)?;
        let deployment = self.temporal.deployment(&deployed.queue);
        deployment.make_current_by_polling(BUILD_ID, &deployed.queue, SOON).await?;
        Ok(deployed)
    }

    /// Makes a function of a side that the server's Worker Controller calls, and its version current. It has no
    /// environment.
    pub(super) async fn deploy_from_zero(
        &self,
        program: &Program,
        setting: &Setting,
    ) -> Result<Deployed> {
        let deployed = self.add_function(program, setting)?;
        let deployment = self.temporal.deployment(&deployed.queue);
        deployment.create().await?;
        deployment.create_version_for_lambda(BUILD_ID, deployed.function.arn(), None).await?;
        deployment.wait_for_poll(BUILD_ID, SOON).await?;
        deployment.make_current(BUILD_ID).await?;
        // Of the event that came with the version: the peers would serve it until their stop time.
        deployed.function.environments().iter().for_each(Environment::kill);
        deployed.function.idle(SOON).await?;
        Ok(deployed)
    }

    fn add_function(&self, program: &Program, setting: &Setting) -> Result<Deployed> {
        let queue = format!("{}-{}", program.side.key(), setting.name);
        let started_by = setting.started_by.iter().map(Into::into);
        let own = program.arguments.iter().map(Into::into);
        let mut command = started_by.chain([program.path.clone().into_os_string()]).chain(own);
        let config = FunctionConfig::process(&queue, command.next().unwrap_or_default())
            .args(command)
            .current_dir(&program.folder)
            .concurrency(setting.environments)
            .memory_mb(256)
            .timeout(setting.timeout)
            .init_timeout(INIT_TIMEOUT)
            .max_retry_attempts(0)
            .env("TEMPORAL_ADDRESS", self.server.address())
            .env("TEMPORAL_TASK_QUEUE", &queue)
            .env("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", &queue)
            .env("TEMPORAL_LAMBDA_BUILD_ID", BUILD_ID)
            // Python would write the bytecode of the function beside its source.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(setting.variables.iter().map(|(key, value)| (key, value)));
        Ok(Deployed { function: self.lambda.add_function(config)?, queue })
    }

    /// Starts a workflow for a function: its ID.
    pub(super) async fn start_workflow(&self, deployed: &Deployed) -> Result<String> {
        let id = self.next_id(deployed);
        self.temporal.start_workflow(&deployed.queue, HELLO, &id, &"World").await?;
        Ok(id)
    }

    /// Starts a workflow for a function whose activity sleeps: its ID.
    pub(super) async fn start_sleep(&self, deployed: &Deployed, time: Duration) -> Result<String> {
        let id = self.next_id(deployed);
        let millis = u64::try_from(time.as_millis())?;
        self.temporal.start_workflow(&deployed.queue, SLEEP, &id, &millis).await?;
        Ok(id)
    }

    fn next_id(&self, deployed: &Deployed) -> String {
        format!("{}-{}", deployed.queue, self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits for the end of a workflow.
    pub(super) async fn result(&self, id: &str) -> Result<()> {
        self.result_within(id, SOON).await
    }

    /// Waits for the end of a workflow.
    pub(super) async fn result_within(&self, id: &str, within: Duration) -> Result<()> {
        self.temporal.workflow_result(id, within).await?;
        Ok(())
    }

    /// The history of a workflow.
    pub(super) async fn history(&self, id: &str) -> Result<Vec<HistoryEvent>> {
        Ok(self.temporal.workflow_history(id).await?)
    }

    /// When a workflow ended, by the server's clock.
    pub(super) async fn closed(&self, id: &str) -> Result<SystemTime> {
        let history = self.history(id).await?;
        let time = history.last().and_then(|event| event.event_time);
        let time = time.context("its last event has a time")?;
        Ok(time.try_into()?)
    }
}

impl Deployed {
    /// Invokes it: the invocation when it is over, which is an error where the function failed.
    pub(super) async fn invoke(&self) -> Result<Invocation> {
        let invocation = self.function.invoke("{}").await?;
        let success = invocation.outcome.is_success();
        ensure!(success, "{}: {}\n{}", self.queue, invocation.outcome, invocation.log_text());
        Ok(invocation)
    }

    /// Begins an invocation, which goes on beside the caller.
    pub(super) fn begin(&self) -> JoinHandle<Result<Invocation>> {
        let invoked = Self { function: self.function.clone(), queue: self.queue.clone() };
        tokio::spawn(async move { invoked.invoke().await })
    }

    /// The environment that it has now: each has one at a time.
    pub(super) fn environment(&self) -> Result<Environment> {
        self.function.environments().pop().context("it has no environment")
    }
}

/// When something first happened to an environment.
pub(super) fn first(environment: &Environment, wanted: fn(&EnvEvent) -> bool) -> Result<Instant> {
    let timeline = environment.timeline();
    let found = timeline.iter().find(|(_, event)| wanted(event)).map(|(at, _)| *at);
    found.context("it did not happen")
}

/// The CPU time that a process has had, in milliseconds, threads that are gone included.
pub(super) fn cpu_ms(pid: u32) -> Result<f64> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?))?;
    Ok(ms(clock_gettime(clock)?.into()))
}

/// In milliseconds.
pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
