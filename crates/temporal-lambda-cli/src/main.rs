//! `temporal-lambda`: try, run and check Temporal workers on AWS Lambda from a laptop.
//!
//! `docs/laptop.md` in this crate's folder explains the loop that `dev` and `demo` run, and has a
//! picture of it.

mod aws;
mod cargo;
mod cloud;
mod cost;
mod demo;
mod deploy;
mod dev;
mod doctor;
mod error;
#[allow(unreachable_pub, reason = "the example of that name, which is a program by itself")]
mod hello;
mod invoke;
mod local_cloud;
mod program;
mod settings;
mod show;
mod trouble;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::error::CliError;

/// Try, run and check Temporal workers on AWS Lambda, without an AWS account.
#[derive(Parser)]
#[command(name = "temporal-lambda", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the whole loop: a Temporal server scales a function from zero and back.
    Demo(demo::Args),
    /// Runs a function under a local Temporal server, until Ctrl-C.
    Dev(dev::Args),
    /// Builds a function, brings it to Lambda, and gives its new version to Temporal.
    Deploy(Box<deploy::up::Args>),
    /// Makes the version current that was so before, or ends a ramp.
    Rollback(deploy::rollback::Args),
    /// Shows the versions of a deployment, in Temporal and in Lambda.
    Status(deploy::status::Args),
    /// Deletes drained versions, in Temporal and in Lambda.
    Prune(deploy::prune::Args),
    /// Runs a Temporal server and an emulated Lambda for `deploy --endpoint local`, until Ctrl-C.
    Cloud(cloud::Args),
    /// Invokes a function once, and shows what it did.
    Invoke(invoke::Args),
    /// Looks for what keeps a function from working, and says what to do.
    Doctor(doctor::Args),
    /// Is a function, the one that `demo` runs: try `temporal-lambda dev -- temporal-lambda hello`.
    Hello,
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let chosen = match &command {
        Command::Dev(args) => args.settings(),
        Command::Invoke(args) => args.settings(),
        Command::Deploy(args) => args.settings(),
        Command::Rollback(args) => args.settings(),
        Command::Status(args) => args.settings(),
        Command::Prune(args) => args.settings(),
        Command::Cloud(_) | Command::Demo(_) | Command::Doctor(_) | Command::Hello => {
            settings::Chosen::new()
        }
    };
    if let Err(error) = settings::take(&chosen) {
        return failed(&error);
    }
    match command {
        // It has a runtime of its own, as every function.
        Command::Hello => match hello::main() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:?}");
                ExitCode::FAILURE
            }
        },
        command => run(command),
    }
}

#[tokio::main]
async fn run(command: Command) -> ExitCode {
    let result = match command {
        // It ends in good order, and so looks after interruption itself.
        Command::Dev(args) => dev::run(args, interrupted()).await,
        Command::Cloud(args) => cloud::run(args, interrupted()).await,
        Command::Deploy(args) => unless_interrupted(Box::pin(deploy::up::run(*args))).await,
        Command::Rollback(args) => unless_interrupted(Box::pin(deploy::rollback::run(args))).await,
        Command::Status(args) => unless_interrupted(Box::pin(deploy::status::run(args))).await,
        Command::Prune(args) => unless_interrupted(Box::pin(deploy::prune::run(args))).await,
        Command::Demo(args) => unless_interrupted(demo::run(args)).await,
        Command::Doctor(args) => unless_interrupted(Box::pin(doctor::run(args))).await,
        Command::Invoke(args) => unless_interrupted(invoke::run(args)).await,
        Command::Hello => Ok(ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &CliError) -> ExitCode {
    eprintln!("temporal-lambda: {error}");
    ExitCode::from(error.exit_code())
}

/// Dropping the command's future ends what it started.
async fn unless_interrupted(
    run: impl Future<Output = Result<ExitCode, CliError>>,
) -> Result<ExitCode, CliError> {
    tokio::select! {
        result = run => result,
        () = interrupted() => Err(CliError::Interrupted),
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the signals end the process at once, as they do by default.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
