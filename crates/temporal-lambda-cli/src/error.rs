//! What can go wrong in a command, and what to do about it.

use temporal_lambda_testkit::lambda::EmulatorError;
use temporal_lambda_testkit::server::{DevServerError, TemporalError};
use temporal_lambda_worker::check::Finding;

use crate::aws::AwsError;
use crate::deploy::error::DeployError;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Server(#[from] DevServerError),
    #[error(transparent)]
    Lambda(#[from] EmulatorError),
    #[error(transparent)]
    Temporal(#[from] TemporalError),
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    Deploy(#[from] DeployError),
    #[error("cargo cannot be run: {0}; install Rust, or name a built program instead")]
    NoCargo(std::io::Error),
    #[error("cargo could not build {what}; its messages are above")]
    Build { what: String },
    #[error("cargo built {what}, but no program came of it; name one with --bin or --example")]
    NoProgram { what: String },
    #[error(
        "say which function to run: its command after `--`, or --package, --bin or --example \
         to have it built by cargo"
    )]
    NoFunction,
    #[error("--watch needs something to build: name it with --package, --bin or --example")]
    NothingToWatch,
    #[error("the function's environment in {} cannot be used: {reason}", file.display())]
    FunctionEnv { file: std::path::PathBuf, reason: String },
    #[error("the server cannot be used: {message}{}", advice.as_ref().map(|it| format!("; {it}")).unwrap_or_default())]
    Settings { message: String, advice: Option<String> },
    #[error("a file or folder cannot be used: {0}")]
    Folder(std::io::Error),
    #[error("the first call of {version} failed, so no worker polled: {reason}")]
    FirstCall { version: String, reason: String },
    #[error(
        "the function polled as {polled}, but it was called for {version}: the server would call \
         it again and again. Set the deployment name and build ID in one place only"
    )]
    OtherVersion { version: String, polled: String },
    #[error("interrupted")]
    Interrupted,
}

impl From<Finding> for CliError {
    fn from(finding: Finding) -> Self {
        Self::Settings { message: finding.message, advice: finding.advice }
    }
}

impl CliError {
    /// 130 is what shells say of a command that Ctrl-C ended.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted => 130,
            _ => 1,
        }
    }
}
