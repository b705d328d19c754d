//! What can be wrong with a configuration. No message shows a value that may be a secret.

use std::path::PathBuf;
use std::time::Duration;

/// The configuration is wrong: permanent until somebody changes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `TEMPORAL_CONFIG_FILE` names a file that does not exist.
    #[error(
        "TEMPORAL_CONFIG_FILE names {path:?}, which does not exist: correct it, or unset it to use temporal.toml if there is one"
    )]
    FileMissing {
        /// The file that was named.
        path: PathBuf,
    },
    /// The file exists but cannot be read.
    #[error("{path:?} cannot be read: {source}")]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML. The line's text is not shown, since it may hold a secret.
    #[error(
        "{path:?} is not valid TOML at line {line}: correct that line (it is not shown here, as it may hold a secret)"
    )]
    FileMalformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A table of the file is almost, but not quite, one that is read.
    #[error(
        "{path:?} has a table [{name}], which nothing reads: did you mean [lambda_worker] or [profile.*]?"
    )]
    UnknownTable {
        /// The file.
        path: PathBuf,
        /// The table.
        name: String,
    },
    /// A key in `[lambda_worker]` is unknown.
    #[error("{path:?} has an unknown key {key:?} in [lambda_worker]{}", did_you_mean(nearest))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The known key most like it.
        nearest: Option<String>,
    },
    /// A key in `[lambda_worker]` has a value of the wrong kind.
    #[error("{path:?} has a bad value for {key:?} in [lambda_worker]: {reason}")]
    BadKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong with the value.
        reason: String,
    },
    /// A `TEMPORAL_LAMBDA_*` variable is unknown.
    #[error("the environment variable {name} is unknown{}", did_you_mean(nearest))]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The known variable most like it.
        nearest: Option<String>,
    },
    /// A `TEMPORAL_LAMBDA_*` variable has a value of the wrong kind.
    #[error("the environment variable {name} has a bad value: {reason}")]
    BadVariable {
        /// The variable.
        name: String,
        /// What is wrong with the value.
        reason: String,
    },
    /// A `TEMPORAL_*` variable is not Unicode.
    #[error("the environment variable {name} is not valid Unicode: set it again")]
    NotUnicode {
        /// The variable.
        name: String,
    },
    /// The SDK's loader refuses the profile or the `TEMPORAL_*` variables.
    #[error("the Temporal client configuration is wrong: {reason}")]
    Profile {
        /// What is wrong.
        reason: String,
    },
    /// A file that a setting names cannot be read.
    #[error("{setting} names {path:?}, which cannot be read: {source}")]
    NamedFile {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no task queue.
    #[error(
        "no task queue is set: set TEMPORAL_TASK_QUEUE, task_queue in [lambda_worker] of temporal.toml, or config.worker_options.task_queue in configure"
    )]
    NoTaskQueue,
    /// The deployment name or the build ID is empty.
    #[error(
        "the worker deployment version is incomplete (deployment name {deployment_name:?}, build ID {build_id:?}): give both to run_worker, or set TEMPORAL_LAMBDA_DEPLOYMENT_NAME and TEMPORAL_LAMBDA_BUILD_ID"
    )]
    IncompleteVersion {
        /// The deployment name.
        deployment_name: String,
        /// The build ID.
        build_id: String,
    },
    /// The deployment version should come from Lambda, but the function is not published.
    #[error(
        "the function's version is {version:?}, which is no build ID: whatever is deployed next has the same name, so pinned workflows would run on changed code. Publish a version and invoke it by a qualified ARN, set TEMPORAL_LAMBDA_BUILD_ID, or allow it with LambdaVersion::allow_latest"
    )]
    UnpublishedVersion {
        /// The function's version.
        version: String,
    },
    /// A variable that Lambda sets is missing.
    #[error(
        "the environment variable {name} is not set: this program must be started by AWS Lambda, cargo lambda or temporal-lambda"
    )]
    NotInLambda {
        /// The variable.
        name: &'static str,
    },
    /// A variable that Lambda sets has a value that is not understood.
    #[error("the environment variable {name} has a value that is not understood: {reason}")]
    BadLambdaVariable {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// No workflow and no activity is registered.
    #[error(
        "no workflow and no activity is registered: register at least one on config.worker_options in configure"
    )]
    NothingRegistered,
    /// The SDK refuses the worker options.
    #[error("the SDK refuses config.worker_options: {reason}")]
    WorkerOptions {
        /// What the SDK said.
        reason: String,
    },
    /// The worker would never cancel activities that outlive the grace period.
    #[error(
        "config.worker_options.graceful_shutdown_period is None, so activities would never be cancelled and Lambda would kill them at the deadline: set how long they may go on, e.g. Some(Duration::from_secs(5))"
    )]
    NoGracePeriod,
    /// The buffer does not hold the grace period and what must follow it.
    #[error(
        "shutdown_deadline_buffer is {buffer:?}, but the grace period of {grace:?} and what follows it need at least {least:?}: raise shutdown_deadline_buffer or lower graceful_shutdown_timeout"
    )]
    BufferTooSmall {
        /// The buffer.
        buffer: Duration,
        /// The grace period.
        grace: Duration,
        /// The least buffer for it.
        least: Duration,
    },
    /// A number must not be zero, or has another lower bound.
    #[error("{key} is {value}, but must be at least {least}")]
    TooSmall {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: usize,
        /// Its lower bound.
        least: usize,
    },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    match nearest {
        Some(nearest) => format!(": did you mean {nearest}?"),
        None => ": remove it, or see the configuration table in the README".to_owned(),
    }
}
