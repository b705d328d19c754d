//! `doctor`: looks for what keeps a function from working, and says what to do. What can be found, and how
//! it is judged, is the library's `check` module, which a check inside of the function uses too.

mod function_env;
mod provider;
mod report;
mod server;
mod sources;

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use temporal_lambda_worker::WorkerDeploymentVersion;
use temporal_lambda_worker::check::{Code, Finding};

use self::function_env::FunctionEnv;
use self::report::Report;
use crate::error::CliError;
use crate::settings;

/// Which function is looked at.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The function's environment: lines of NAME=VALUE, or what `aws lambda
    /// get-function-configuration` prints. Default: this process's own environment.
    #[arg(long, value_name = "FILE")]
    function_env: Option<PathBuf>,
    /// The folder with the function's code, where its `temporal.toml` is. Default with
    /// --function-env: none, so that a file of the current folder is not taken for the function's.
    #[arg(long, value_name = "FOLDER")]
    task_root: Option<PathBuf>,
    /// The server's address; overrides the configured one.
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// The function's timeout. Default: the one in --function-env, if the file has it.
    #[arg(long, value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// The worker deployment's name, if it is set only in the function's code.
    #[arg(long, value_name = "NAME")]
    deployment_name: Option<String>,
    /// The build ID, if it is set only in the function's code.
    #[arg(long, value_name = "ID")]
    build_id: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CliError> {
    if args.function_env.is_some() || args.task_root.is_some() || args.address.is_some() {
        return elsewhere(args).await;
    }
    let mut report = Report { settings: sources::sources(), findings: Vec::new() };
    match settings::resolve(args.timeout).await {
        Ok(settings) => {
            report.findings.extend_from_slice(&settings.findings);
            report.findings.extend(args.timeout.is_none().then(timeout_unknown));
            let name = args.deployment_name.or_else(|| settings.deployment_name.clone());
            let build_id = args.build_id.or_else(|| settings.build_id.clone());
            let version = name.zip(build_id).map(|(name, build_id)| {
                WorkerDeploymentVersion::builder().deployment_name(name).build_id(build_id).build()
            });
            report.findings.extend(server::check(&settings, version).await);
        }
        Err(finding) => report.findings.push(finding),
    }
    if args.json {
        println!("{}", report.json());
    } else {
        report.print();
    }
    Ok(if report.is_ready() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn timeout_unknown() -> Finding {
    let message = "the function's timeout is not known; Lambda's default of 3 s is too short for any \
                   shutdown deadline buffer";
    Finding::new("time", Code::TimeoutUnknown, message).advice(
        "give --timeout, or give --function-env what `aws lambda get-function-configuration` prints",
    )
}

/// Runs this very command again in the function's environment: the settings are then read by the
/// code that reads them in Lambda, from where it reads them.
async fn elsewhere(args: Args) -> Result<ExitCode, CliError> {
    let this = std::env::current_exe().map_err(CliError::Folder)?;
    let mut command = tokio::process::Command::new(this);
    command.arg("doctor").stdin(Stdio::null()).kill_on_drop(true);
    let mut timeout = args.timeout;
    let empty = tempfile::tempdir().map_err(CliError::Folder)?;
    if let Some(file) = &args.function_env {
        let function = FunctionEnv::read(file)?;
        timeout = timeout.or(function.timeout);
        command.env_clear().envs(function.variables);
        command.env("LAMBDA_TASK_ROOT", empty.path()).current_dir(empty.path());
    }
    if let Some(folder) = &args.task_root {
        let folder = folder.canonicalize().map_err(CliError::Folder)?;
        command.env("LAMBDA_TASK_ROOT", &folder).current_dir(folder);
    }
    if let Some(address) = &args.address {
        command.env("TEMPORAL_ADDRESS", address);
    }
    if let Some(timeout) = timeout {
        command.arg("--timeout").arg(format!("{}ms", timeout.as_millis()));
    }
    for (flag, value) in
        [("--deployment-name", &args.deployment_name), ("--build-id", &args.build_id)]
    {
        if let Some(value) = value {
            command.args([flag, value]);
        }
    }
    if args.json {
        command.arg("--json");
    }
    let status = command.status().await.map_err(CliError::Folder)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
