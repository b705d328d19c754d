//! One server, one emulator, and the functions in it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use temporal_lambda_testkit::lambda::{
    EnvEvent, Environment, Function, FunctionConfig, Invocation, LambdaEmulator,
};
use temporal_lambda_testkit::server::{DevServer, Temporal};

use tokio::task::JoinHandle;

use super::programs::Program;

const BUILD_ID: &str = "1";
/// At a fourteenth of a core the peers need more than Lambda's limit of 10 s to begin, which is a row of its
/// own and no reason to see nothing else of them.
const INIT_TIMEOUT: Duration = Duration::from_secs(120);
/// Far longer than anything takes that is waited for.
const SOON: Duration = Duration::from_secs(60);
/// The workflow of all sides: it has one activity.
const WORKFLOW: &str = "HelloWorkflow";

/// A server and an emulator.
pub(super) struct Lab {
    /// The emulator.
    lambda: LambdaEmulator,
    server: DevServer,
    temporal: Temporal,
    ids: AtomicUsize,
}

/// How a function differs from others.
#[derive(Clone, Debug, Default)]
pub(super) struct Setting {
    /// What it is called beside its side.
    pub(super) name: String,
    /// How long an invocation may take.
    pub(super) timeout: Duration,
    /// Variables beside those that every function has.
    pub(super) variables: Vec<(String, String)>,
    /// The cgroup that it runs in: its file `cgroup.procs`.
    pub(super) cgroup: Option<PathBuf>,
}

/// A function whose deployment and task queue are its own.
pub(super) struct Deployed {
    /// The function.
    pub(super) function: Function,
    /// The task queue.
    pub(super) queue: String,
}

impl Lab {
    /// Starts both.
    pub(super) async fn start() -> Result<Self> {
        let server = DevServer::start().await?;
        let temporal = server.temporal().await?;
        let lambda = LambdaEmulator::start().await?;
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
        let queue = format!("{}-{}", program.side.key(), setting.name);
        let mut config = match &setting.cgroup {
            None => FunctionConfig::process(&queue, &program.path),
            Some(procs) => FunctionConfig::process(&queue, "sh")
                .args(["-c", r#"echo $$ > "$0" && exec "$@""#])
                .arg(procs)
                .arg(&program.path),
        };
        config = config
            .args(&program.arguments)
            .current_dir(&program.folder)
            .concurrency(1)
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
        let function = self.lambda.add_function(config)?;
        let deployment = self.temporal.deployment(&queue);
        deployment.make_current_by_polling(BUILD_ID, &queue, SOON).await?;
        Ok(Deployed { function, queue })
    }

    /// Starts a workflow for a function: its ID.
    pub(super) async fn start_workflow(&self, deployed: &Deployed) -> Result<String> {
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{number}", deployed.queue);
        self.temporal.start_workflow(&deployed.queue, WORKFLOW, &id, &"World").await?;
        Ok(id)
    }

    /// Waits for the end of a workflow.
    pub(super) async fn result(&self, id: &str) -> Result<()> {
        self.temporal.workflow_result(id, SOON).await?;
        Ok(())
    }

    /// When a workflow ended, by the server's clock.
    pub(super) async fn closed(&self, id: &str) -> Result<SystemTime> {
        let history = self.temporal.workflow_history(id).await?;
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

/// The CPU time that a process has had, in milliseconds: the kernel counts in steps of 10.
pub(super) fn cpu_ms(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').context("a name in parentheses")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok());
    // `utime` and `stime`, the 14th and 15th of all fields.
    let ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
    // There are 100 in a second on every platform that Linux runs on.
    Ok(ticks.context("two numbers")? * 10.0)
}

/// In milliseconds.
pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
