//! Which function is meant, and how it is to run.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use temporal_lambda_testkit::lambda::FunctionConfig;
use temporal_lambda_worker::LIFECYCLE_TARGET;

use crate::cargo::{Built, CargoTarget};
use crate::error::CliError;
use crate::settings::{self, Settings};

/// The idle timeout where nothing says another: long enough for tasks that follow one another, short
/// enough to see a function scale to zero.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// A program that can be run as a function.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<OsString>,
}

impl Program {
    /// The configuration of an emulated function that runs the program and logs as JSON, moves of its
    /// lifecycle included.
    pub(crate) fn function(&self, name: &str, timeout: Duration, memory_mb: u32) -> FunctionConfig {
        FunctionConfig::process(name, &self.path)
            .args(&self.args)
            .timeout(timeout)
            .memory_mb(memory_mb)
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("RUST_LOG", format!("info,{LIFECYCLE_TARGET}=debug"))
    }
}

/// The function to run: built by cargo, or a command.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ProgramArgs {
    /// The package of the function, which cargo builds first.
    #[arg(short, long)]
    package: Option<String>,
    /// The binary, which cargo builds first.
    #[arg(long, conflicts_with = "example")]
    bin: Option<String>,
    /// The example, which cargo builds first.
    #[arg(long)]
    example: Option<String>,
    /// Build with optimizations.
    #[arg(long)]
    release: bool,
    /// The function's timeout.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    /// How long the worker may have nothing to do before an invocation ends. An idle timeout in the
    /// function's code counts more. Default: what temporal.toml and the environment say, else 2s.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    idle_timeout: Option<Duration>,
    /// The function's memory size in MB. It is not enforced; the cost estimate depends on it.
    #[arg(long, value_name = "MB", default_value_t = 256)]
    pub(crate) memory: u32,
    /// An environment variable of the function. May be given more than once.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) variables: Vec<(String, String)>,
    /// The command that runs the function; with --package, --bin or --example: its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl ProgramArgs {
    /// What cargo has to build, if anything.
    pub(crate) fn cargo(&self) -> Option<CargoTarget> {
        let target = CargoTarget {
            package: self.package.clone(),
            bin: self.bin.clone(),
            example: self.example.clone(),
            release: self.release,
        };
        let named = self.package.is_some() || self.bin.is_some() || self.example.is_some();
        named.then_some(target)
    }

    /// The program, built if need be; with what cargo said about it.
    pub(crate) async fn program(&self) -> Result<(Program, Option<Built>), CliError> {
        if let Some(target) = self.cargo() {
            let built = target.build(false).await?;
            return Ok((self.with_path(built.program.clone()), Some(built)));
        }
        let (path, args) = self.command.split_first().ok_or(CliError::NoFunction)?;
        Ok((Program { path: path.into(), args: args.to_vec() }, None))
    }

    /// The same function from another file.
    pub(crate) fn with_path(&self, path: PathBuf) -> Program {
        let args =
            if self.cargo().is_some() { self.command.as_slice() } else { &self.command[1..] };
        Program { path, args: args.to_vec() }
    }

    /// The configuration of an emulated function that runs the program: with the idle timeout of these
    /// arguments or of `settings`, and with the variables that were given.
    pub(crate) fn function(
        &self,
        name: &str,
        program: &Program,
        settings: Option<&Settings>,
    ) -> FunctionConfig {
        let set = settings.and_then(|it| it.idle_timeout);
        let idle_timeout = self.idle_timeout.or(set).unwrap_or(IDLE_TIMEOUT);
        program
            .function(name, self.timeout, self.memory)
            .env(settings::IDLE_TIMEOUT, format!("{}ms", idle_timeout.as_millis()))
            .envs(self.variables.clone())
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it must be NAME=VALUE".to_owned()),
    }
}

/// Makes a function's name of `text`: letters, digits, `-` and `_`.
pub(crate) fn function_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_split_at_its_first_equals_sign() {
        let pair = name_and_value("A=b=c");
        assert_eq!(pair, Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(name_and_value("A").is_err() && name_and_value("=b").is_err());
    }

    #[test]
    fn a_functions_name_has_only_characters_that_lambda_allows() {
        assert_eq!(function_name("my.app v1_2"), "my-app-v1_2");
    }
}
