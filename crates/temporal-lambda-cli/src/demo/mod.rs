//! `demo`: a Temporal server scales a function from zero, and back to zero.

mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use temporal_lambda_testkit::lambda::Function;
use temporal_lambda_testkit::server::Temporal;

use self::table::Phase;
use crate::error::CliError;
use crate::local_cloud::{LocalCloud, ServerArgs};
use crate::program::Program;
use crate::show::event_log::{EventLog, Timestamps};
use crate::{cost::Bill, show::paint};

/// The function's own names for itself: its deployment, its build, its task queue.
const DEPLOYMENT: &str = "hello";
const BUILD_ID: &str = "dev";
const TASK_QUEUE: &str = "hello";

const TIMEOUT: Duration = Duration::from_secs(20);
const MEMORY_MB: u32 = 256;
/// Environments at once: enough to see a burst scale out, few enough for two cores.
const CONCURRENCY: usize = 3;
/// Workflows that are started at once in the end; with the two before, 20.
const BURST: usize = 18;
/// How long any one step may take before the demo gives up.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// What the demo is to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A program to run in the place of the command's own `hello` function: with the same workflows, and
    /// under the same names.
    #[arg(long, value_name = "PATH")]
    function: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CliError> {
    let program = match args.function {
        Some(path) => Program { path, args: Vec::new() },
        None => Program {
            path: std::env::current_exe().map_err(CliError::Folder)?,
            args: vec!["hello".into()],
        },
    };
    let timestamps = Timestamps::begin();
    timestamps.print("temporal", "a real Temporal server and an emulated Lambda are starting");
    let cloud = LocalCloud::start(false, None, &args.server).await?;
    timestamps.print(
        "temporal",
        format!("server at {}, Lambda at {}", cloud.server.address(), cloud.lambda.address()),
    );
    let config = program
        .function("hello", TIMEOUT, MEMORY_MB)
        .concurrency(CONCURRENCY)
        .env("TEMPORAL_ADDRESS", cloud.server.address())
        // Its server ends polls by itself, and whoever watches need not wait for idle exits.
        .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "500ms");
    let function = cloud.lambda.add_function(config)?;
    let event_log = EventLog::start(timestamps, cloud.lambda.subscribe());
    let demo = Demo {
        timestamps,
        event_log,
        function: function.clone(),
        temporal: Temporal::new(cloud.client.clone()),
    };
    let ran = demo.run().await;
    demo.event_log.caught_up().await;
    // The end of the environments is not shown.
    drop(demo);
    let phases = ran?;

    let mut bill = Bill::default();
    for invocation in function.invocations() {
        bill.add(&invocation, MEMORY_MB);
    }
    println!("\n{}", table::table(&phases).trim_fmt());
    println!(
        "{} invocations, {:.2} s billed: about ${:.7} at {MEMORY_MB} MB (x86 list price)",
        bill.requests,
        bill.billed.as_secs_f64(),
        bill.dollars(),
    );
    let started: usize = phases.iter().map(|phase| phase.started).sum();
    let completed: usize = phases.iter().map(|phase| phase.latencies.len()).sum();
    let verdict = format!("demo: {started} workflows started, {completed} completed");
    cloud.stop().await;
    if completed == started {
        println!("{}", paint::green(verdict));
        Ok(ExitCode::SUCCESS)
    } else {
        println!("{}", paint::red(verdict));
        Ok(ExitCode::FAILURE)
    }
}

/// The demo's phases, and what they need.
struct Demo {
    timestamps: Timestamps,
    event_log: EventLog,
    function: Function,
    temporal: Temporal,
}

impl Demo {
    async fn run(&self) -> Result<Vec<Phase>, CliError> {
        let mut phases = Vec::new();

        self.title("The version is created, and the server calls the function to see it poll");
        let before = self.finished();
        let deployment = self.temporal.deployment(DEPLOYMENT);
        deployment.create().await?;
        deployment.create_version_for_lambda(BUILD_ID, self.function.arn(), None).await?;
        let queues = deployment.wait_for_poll(BUILD_ID, STEP_TIMEOUT).await?;
        self.timestamps
            .print("temporal", format!("its worker polled: task queue {}", queues.join(", ")));
        deployment.make_current(BUILD_ID).await?;
        self.timestamps
            .print("temporal", format!("{DEPLOYMENT}:{BUILD_ID} is the current version"));
        self.back_to_zero().await?;
        phases.push(self.phase("first call", before, 0, Vec::new()));

        self.title("Cold: Lambda took the idle environment away; one workflow is started");
        for environment in self.function.environments() {
            environment.kill();
            environment.gone(STEP_TIMEOUT).await?;
        }
        phases.push(self.run_phase("cold", 1).await?);

        self.title("Warm: the frozen environment is there; one workflow is started");
        phases.push(self.run_phase("warm", 1).await?);

        self.title(&format!("Burst: {BURST} workflows are started at once"));
        phases.push(self.run_phase("burst", BURST).await?);
        Ok(phases)
    }

    /// Starts workflows, waits for them, and then for the function to be back at zero.
    async fn run_phase(&self, name: &'static str, workflows: usize) -> Result<Phase, CliError> {
        let before = self.finished();
        let runs = (0..workflows).map(|number| self.workflow(format!("demo-{name}-{number}")));
        let ended = tokio::time::timeout(STEP_TIMEOUT, join_all(runs)).await.unwrap_or_default();
        let latencies: Vec<_> = ended.into_iter().flatten().collect();
        self.timestamps.print("client", format!("{} of {workflows} completed", latencies.len()));
        self.back_to_zero().await?;
        Ok(self.phase(name, before, workflows, latencies))
    }

    /// Runs one workflow: from its start to its result, or `None` with the reason told.
    async fn workflow(&self, id: String) -> Option<Duration> {
        let began = Instant::now();
        let result = async {
            self.temporal.start_workflow(TASK_QUEUE, "HelloWorkflow", &id, &"Lambda").await?;
            self.temporal.workflow_result(&id, STEP_TIMEOUT).await
        };
        match result.await {
            Ok(_) => Some(began.elapsed()),
            Err(error) => {
                self.timestamps.print("client", paint::red(format!("{id} failed: {error}")));
                None
            }
        }
    }

    async fn back_to_zero(&self) -> Result<(), CliError> {
        self.function.idle(STEP_TIMEOUT).await?;
        self.event_log.caught_up().await;
        self.timestamps.print("lambda", paint::bold("back to zero: no invocation runs"));
        Ok(())
    }

    fn title(&self, text: &str) {
        println!("\n{}", paint::bold(text));
    }

    fn finished(&self) -> usize {
        self.function.invocations().len()
    }

    fn phase(
        &self,
        name: &'static str,
        before: usize,
        started: usize,
        latencies: Vec<Duration>,
    ) -> Phase {
        let invocations = self.function.invocations().split_off(before);
        Phase { name, started, latencies, invocations }
    }
}
