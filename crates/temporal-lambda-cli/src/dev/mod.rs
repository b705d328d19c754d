//! `dev`: a server, a function and the Worker Controller between them, for as long as one works.

mod board;
mod controller;
mod log;
mod view;
mod watch;

use std::future::Future;
use std::net::TcpListener;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use temporal_lambda_testkit::lambda::{Function, LambdaEmulator};
use temporal_lambda_testkit::server::{Deployment, DevServer};
use temporalio_client::Client;

use self::controller::Controller;
use self::view::View;
use self::watch::Sources;

use crate::error::CliError;
use crate::local_cloud::{LocalCloud, ServerArgs};
use crate::program::{Program, ProgramArgs, function_name};
use crate::settings::{self, Chosen, Settings};
use crate::show::event_log::report;

/// The namespace that dev servers have.
const NAMESPACE: &str = "default";
/// The port where clients look for a Temporal server.
const USUAL_PORT: u16 = 7233;
/// How long a new version's worker may take to poll.
const FIRST_POLL: Duration = Duration::from_secs(30);
/// How long a poll may take to be seen once its worker is done.
const SETTLING: Duration = Duration::from_secs(5);

/// What is developed, and where.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    program: ProgramArgs,
    /// Execution environments at once.
    #[arg(long, value_name = "N", default_value_t = 10)]
    concurrency: usize,
    /// The worker deployment's name. Default: the program's.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The build ID; with --watch, its start.
    #[arg(long, value_name = "ID", default_value = "dev")]
    build_id: String,
    /// A running server to join, as host:port. Namespace, TLS and credentials are those that a function
    /// would use: temporal.toml and the TEMPORAL_* variables, which the function has, too. The server's own
    /// Worker Controller is not used: this program looks at the backlog and invokes the function. Without
    /// --address a server is started, and the function has none of the TEMPORAL_* variables.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["port", "stock_server"])]
    address: Option<String>,
    /// The server's port; 0: any free one. Default: 7233 if it is free, else any.
    #[arg(long)]
    port: Option<u16>,
    #[command(flatten)]
    server: ServerArgs,
    /// Rebuilds when sources change, and deploys the result as a new version, which is made current
    /// immediately. Pinned workflows stay on their version.
    #[arg(long)]
    watch: bool,
}

impl Args {
    /// The settings that these arguments change: where a server is joined, the function's variables are
    /// settings for this command, too.
    pub(crate) fn settings(&self) -> Chosen {
        let Some(address) = &self.address else { return Chosen::new() };
        let mut chosen = settings::among(&self.program.variables);
        chosen.insert("TEMPORAL_ADDRESS".to_owned(), address.clone());
        chosen
    }
}

pub(crate) async fn run(
    args: Args,
    interrupted: impl Future<Output = ()>,
) -> Result<ExitCode, CliError> {
    let mut interrupted = pin!(interrupted);
    let mut dev = tokio::select! {
        dev = Dev::start(args) => dev?,
        () = &mut interrupted => return Err(CliError::Interrupted),
    };
    let worked = tokio::select! {
        result = dev.work() => result,
        () = &mut interrupted => Ok(()),
    };
    dev.end().await;
    worked.map(|()| ExitCode::SUCCESS)
}

struct Dev {
    args: Args,
    deployment: Deployment,
    lambda: LambdaEmulator,
    /// `None` when a running server was joined.
    server: Option<DevServer>,
    /// What the user has set outside of the function's code; `None` where that cannot be used.
    settings: Option<Settings>,
    controller: Option<Controller>,
    client: Client,
    view: View,
    /// Copies of programs, one for each version: an old version must not run new code.
    copies: tempfile::TempDir,
    program: Program,
    sources: Option<Sources>,
}

impl Dev {
    async fn start(args: Args) -> Result<Self, CliError> {
        let target = args.program.cargo();
        if args.watch && target.is_none() {
            return Err(CliError::NothingToWatch);
        }
        let (program, built) = args.program.program().await?;
        let sources = match built.filter(|_| args.watch).zip(target) {
            Some((built, target)) => Some(Sources::new(target, &built)?),
            None => None,
        };
        let name = args.name.clone().unwrap_or_else(|| name_of(&program));
        let settings = settings::resolve(None).await;
        let (lambda, server, client, settings) = match &args.address {
            Some(_) => {
                let settings = settings?;
                let client = settings.connect().await?;
                (LambdaEmulator::start().await?, None, client, Some(settings))
            }
            None => {
                let port = args.port.or_else(usual_port).filter(|port| *port != 0);
                let LocalCloud { lambda, server, client } =
                    LocalCloud::start(true, port, &args.server).await?;
                (lambda, Some(server), client, settings.ok())
            }
        };
        let deployment = Deployment::new(client.clone(), name);
        let controller =
            server.is_none().then(|| Controller::start(deployment.clone(), args.concurrency));
        let view = View::start(&lambda, args.program.memory);
        let copies = tempfile::tempdir().map_err(CliError::Folder)?;
        Ok(Self {
            args,
            deployment,
            lambda,
            server,
            settings,
            controller,
            client,
            view,
            copies,
            program,
            sources,
        })
    }

    async fn work(&mut self) -> Result<(), CliError> {
        let server = match (&self.server, &self.settings) {
            (Some(server), _) => format!("server at {}, namespace {NAMESPACE}", server.address()),
            (None, Some(settings)) => format!("{}: joined", settings.server()),
            (None, None) => String::new(),
        };
        self.view.say("temporal", server);
        if let Some(ui) = self.server.as_ref().and_then(DevServer::ui_url) {
            self.view.say("temporal", format!("UI at {ui}"));
        }
        if self.server.is_some() {
            self.deployment.create().await?;
        }
        let mut number = 1;
        let program = self.copy_of(&self.build_id(number), self.program.path.clone()).await?;
        let mut failed = self.deploy(&self.build_id(number), program).await.err();
        loop {
            // A version that does not work ends the command, unless it can be mended.
            if let Some(error) = failed.take() {
                if self.sources.is_none() {
                    return Err(error);
                }
                self.view.complain(&error);
            }
            let died = async {
                match &mut self.server {
                    Some(server) => server.died().await,
                    None => std::future::pending().await,
                }
            };
            let Some(sources) = &mut self.sources else {
                return Err(died.await.into());
            };
            tokio::select! {
                () = sources.changed() => {}
                died = died => return Err(died.into()),
            }
            self.view.say("cargo", "sources changed: building");
            match sources.build().await {
                Ok(None) => self.view.say("cargo", "the program is the same as before"),
                Ok(Some(path)) => {
                    number += 1;
                    let build_id = self.build_id(number);
                    let program = self.copy_of(&build_id, path).await?;
                    failed = self.deploy(&build_id, program).await.err();
                }
                Err(error) => self.view.complain(&error),
            }
        }
    }

    fn build_id(&self, number: usize) -> String {
        let start = &self.args.build_id;
        if self.args.watch { format!("{start}-{number}") } else { start.clone() }
    }

    /// Makes a function of the program and a version of the function, and the version current.
    async fn deploy(&self, build_id: &str, program: Program) -> Result<(), CliError> {
        let name = self.deployment.name();
        let function = function_name(&format!("{name}-{build_id}"));
        let config = self.args.program.function(&function, &program, self.settings.as_ref());
        let config = match &self.server {
            Some(server) => config
                .env("TEMPORAL_ADDRESS", server.address())
                .env("TEMPORAL_NAMESPACE", NAMESPACE)
                .env("TEMPORAL_TLS", "false"),
            None => config.envs(settings::inherited()),
        };
        let config = config
            .concurrency(self.args.concurrency)
            .env("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", name)
            .env("TEMPORAL_LAMBDA_BUILD_ID", build_id);
        let function = self.lambda.add_function(config)?;
        self.view.add(function.clone());
        self.first_call(build_id, &function).await?;
        let queues = self.first_poll(build_id, &function).await?;
        self.deployment.make_current(build_id).await?;
        let version = format!("{name}:{build_id}");
        self.view.say(
            "temporal",
            format!("{version} is current, on task queue {}: start workflows", queues.join(", ")),
        );
        Ok(())
    }

    /// Gets the function called for the first time, so that its worker polls.
    async fn first_call(&self, build_id: &str, function: &Function) -> Result<(), CliError> {
        if self.server.is_some() {
            self.deployment.create_version_for_lambda(build_id, function.arn(), None).await?;
        }
        if let Some(controller) = &self.controller {
            controller.add(build_id, function.clone())?;
        }
        Ok(())
    }

    /// Waits for the first poll, or for the end of a first call that did not bring one.
    async fn first_poll(
        &self,
        build_id: &str,
        function: &Function,
    ) -> Result<Vec<String>, CliError> {
        let version = format!("{}:{build_id}", self.deployment.name());
        let ended = async {
            let ended = function.wait_for(1, FIRST_POLL).await?;
            Ok::<_, CliError>(ended.into_iter().next())
        };
        let ended = tokio::select! {
            polled = self.deployment.wait_for_poll(build_id, FIRST_POLL) => return Ok(polled?),
            ended = ended => ended?,
        };
        let outcome = ended.as_ref().map(|call| &call.outcome);
        if let Some(outcome) = outcome.filter(|outcome| !outcome.is_success()) {
            return Err(CliError::FirstCall { version, reason: outcome.to_string() });
        }
        let polled = ended
            .and_then(|call| report(&call))
            .map(|report| format!("{}:{}", report.deployment_name, report.build_id));
        match polled.filter(|polled| *polled != version) {
            Some(polled) => Err(CliError::OtherVersion { version, polled }),
            // The poll and the call's end may be seen in any order.
            None => Ok(self.deployment.wait_for_poll(build_id, SETTLING).await?),
        }
    }

    /// The program as it is now, in a file that nobody else writes.
    async fn copy_of(&self, build_id: &str, path: PathBuf) -> Result<Program, CliError> {
        if !self.args.watch {
            return Ok(self.program.clone());
        }
        let copy = self.copies.path().join(function_name(build_id));
        tokio::fs::copy(&path, &copy).await.map_err(CliError::Folder)?;
        Ok(self.args.program.with_path(copy))
    }

    /// Ends everything that was started.
    async fn end(self) {
        self.view.end().await;
        drop(self.controller);
        self.lambda.shutdown().await;
        drop((self.deployment, self.client));
        if let Some(server) = self.server {
            server.stop().await;
        }
    }
}

/// A deployment's name for a program: its file's.
fn name_of(program: &Program) -> String {
    let stem = program.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.filter(|stem| !stem.is_empty()).unwrap_or_else(|| "function".to_owned())
}

fn usual_port() -> Option<u16> {
    TcpListener::bind(("127.0.0.1", USUAL_PORT)).is_ok().then_some(USUAL_PORT)
}
