//! What can go wrong in a command, and what to do about it.

use std::time::Duration;

use temporal_lambda_testkit::{lambda::EmulatorError, server::DevServerError};
use temporalio_client::tonic::{Code, Status};

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Server(#[from] DevServerError),
    #[error(transparent)]
    Lambda(#[from] EmulatorError),
    #[error("Temporal at {address} cannot be reached: {reason}")]
    Connect { address: String, reason: String },
    #[error("{what} was refused by Temporal ({code:?}): {message}")]
    Rpc { what: &'static str, code: Code, message: String },
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
    #[error("a file or folder cannot be used: {0}")]
    Folder(std::io::Error),
    #[error("{what} did not happen within {within:?}; {hint}")]
    NotInTime { what: String, within: Duration, hint: String },
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

impl CliError {
    pub(crate) fn rpc(what: &'static str, status: &Status) -> Self {
        Self::Rpc { what, code: status.code(), message: status.message().to_owned() }
    }

    /// Whether the server was only asked too often.
    pub(crate) fn is_throttled(&self) -> bool {
        matches!(self, Self::Rpc { code: Code::ResourceExhausted, .. })
    }

    /// 130 is what shells say of a command that Ctrl-C ended.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted => 130,
            _ => 1,
        }
    }
}
