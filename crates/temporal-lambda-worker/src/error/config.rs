//! What can be wrong with a configuration. No message shows a value that may be a secret.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::BoxError;
use super::text::{about_the_home, did_you_mean, is_secret, listed, named, place, short};

/// The configuration is wrong: permanent until somebody changes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `TEMPORAL_CONFIG_FILE` names a file that does not exist.
    #[error(
        "TEMPORAL_CONFIG_FILE names {path:?}, which does not exist{}: correct it, or unset it to use temporal.toml if there is one",
        about_the_home(path)
    )]
    #[non_exhaustive]
    FileMissing {
        /// The file that was named.
        path: PathBuf,
    },
    /// The file exists but cannot be read.
    #[error("{path:?} cannot be read")]
    #[non_exhaustive]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the configuration does not come.
    #[error(
        "the configuration could not be read within {within:?}: temporal.toml, api_key_file, or a certificate or key that the TLS settings name. Is each a plain file, and does its file system answer (a network mount may not)?"
    )]
    #[non_exhaustive]
    ReadTooLong {
        /// How long it was waited for.
        within: Duration,
    },
    /// The file is not TOML. The line's text is not shown, since it may hold a secret.
    #[error(
        "{path:?} is not valid TOML at line {line}: correct that line (it is not shown here, as it may hold a secret)"
    )]
    #[non_exhaustive]
    FileMalformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A key is unknown, in `[lambda_worker]` or in the profile that is used.
    #[error("{path:?} has an unknown key {key:?} in [{table}]{}", did_you_mean(nearest))]
    #[non_exhaustive]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
        /// The key.
        key: String,
        /// The known key most like it.
        nearest: Option<String>,
    },
    /// A key has a value of the wrong kind, in `[lambda_worker]` or in the profile that is used.
    /// The value is not shown, since it may be a secret.
    #[error("{path:?} has a bad value for {}: it must be {expected}", place(key))]
    #[non_exhaustive]
    BadKey {
        /// The file.
        path: PathBuf,
        /// The key with its tables, such as `profile.default.tls.disabled`.
        key: String,
        /// What the value must be.
        expected: String,
    },
    /// A `TEMPORAL_LAMBDA_*` variable is unknown.
    #[error("the environment variable {name} is unknown{}", did_you_mean(nearest))]
    #[non_exhaustive]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The known variable most like it.
        nearest: Option<String>,
    },
    /// A variable has a value of the wrong kind.
    #[error("the environment variable {name} is {value}: it must be {expected}, or unset")]
    #[non_exhaustive]
    BadVariable {
        /// The variable.
        name: String,
        /// Its value in quotes; `(not shown)` for a secret.
        value: String,
        /// What the value must be.
        expected: String,
    },
    /// A variable that is read is not Unicode.
    #[error("the environment variable {name} is not valid Unicode: set it again")]
    #[non_exhaustive]
    NotUnicode {
        /// The variable.
        name: String,
    },
    /// `TEMPORAL_PROFILE` is set, but there is no file that could hold a profile.
    #[error(
        "TEMPORAL_PROFILE names profile {profile:?}, but there is no configuration file; it was looked for at {}: add it there, name it with TEMPORAL_CONFIG_FILE, or unset TEMPORAL_PROFILE",
        listed(looked_at)
    )]
    #[non_exhaustive]
    NoFileForProfile {
        /// The profile.
        profile: String,
        /// Where the file was looked for.
        looked_at: Vec<PathBuf>,
    },
    /// `TEMPORAL_PROFILE` names a profile that is not in the file.
    #[error(
        "profile {profile:?} is not in {path:?}, which has {}: correct TEMPORAL_PROFILE",
        if profiles.is_empty() { "none".to_owned() } else { listed(profiles) }
    )]
    #[non_exhaustive]
    UnknownProfile {
        /// The profile.
        profile: String,
        /// The file.
        path: PathBuf,
        /// The profiles in it.
        profiles: Vec<String>,
    },
    /// The server's address is none.
    #[error("{setting} is {value:?}: {reason}")]
    #[non_exhaustive]
    BadAddress {
        /// The setting.
        setting: String,
        /// Its value.
        value: String,
        /// What is wrong, and what it must be.
        reason: String,
    },
    /// The address asks for TLS and a setting turns it off.
    #[error(
        "the server's address {address:?} asks for TLS, but {setting} turns TLS off: remove https:// from the address, or that setting"
    )]
    #[non_exhaustive]
    ContradictoryTls {
        /// The address.
        address: String,
        /// The setting.
        setting: String,
    },
    /// A certificate or a key cannot be used for TLS.
    #[error("{setting}{}: {reason}", named(path))]
    #[non_exhaustive]
    TlsMaterial {
        /// The setting.
        setting: String,
        /// The file, if the setting names one.
        path: Option<PathBuf>,
        /// What is wrong with it.
        reason: String,
    },
    /// The API key cannot be sent.
    #[error(
        "the API key has characters that cannot stand in a header (a line break at its end?): set {setting} again"
    )]
    #[non_exhaustive]
    BadApiKey {
        /// The setting.
        setting: String,
    },
    /// A remote codec is configured, which this SDK does not have: payloads would not be encoded.
    #[error(
        "{setting} names a remote codec, which this SDK cannot use: payloads would go out as they are. Remove it, or set a data converter with a codec in configure (config.client_options.data_converter) and take the endpoint out of the configuration (config.codec_endpoint = None)"
    )]
    #[non_exhaustive]
    RemoteCodec {
        /// The setting.
        setting: String,
    },
    /// The SDK's loader refuses the profile or the `TEMPORAL_*` variables.
    #[error("the Temporal client configuration is wrong: {reason}")]
    #[non_exhaustive]
    Profile {
        /// What is wrong.
        reason: String,
    },
    /// A file that a setting names cannot be read.
    #[error("{setting} names {path:?}, which cannot be read{}", about_the_home(path))]
    #[non_exhaustive]
    NamedFile {
        /// The setting.
        setting: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no task queue.
    #[error(
        "no task queue is set: set TEMPORAL_TASK_QUEUE, task_queue in [lambda_worker] of temporal.toml, WorkerFunction::task_queue, or config.set_task_queue in configure"
    )]
    NoTaskQueue,
    /// There is no namespace.
    #[error(
        "the namespace is empty: set config.client_options.namespace in configure, or leave it as TEMPORAL_NAMESPACE or the profile say"
    )]
    NoNamespace,
    /// The deployment name or the build ID is empty.
    #[error(
        "the worker deployment version is incomplete (deployment name {deployment_name:?}, build ID {build_id:?}): give both to run_worker, or set TEMPORAL_LAMBDA_DEPLOYMENT_NAME and TEMPORAL_LAMBDA_BUILD_ID"
    )]
    #[non_exhaustive]
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
    #[non_exhaustive]
    UnpublishedVersion {
        /// The function's version.
        version: String,
    },
    /// A variable that Lambda sets is missing.
    #[error(
        "the environment variable {name} is not set: this program must be started by AWS Lambda, cargo lambda or temporal-lambda"
    )]
    #[non_exhaustive]
    NotInLambda {
        /// The variable.
        name: &'static str,
    },
    /// The server takes no such deployment name, build ID or task queue.
    #[error("the {part} {value:?} is refused by the server: {rule}. Change {setting}")]
    #[non_exhaustive]
    BadName {
        /// `deployment name`, `build ID` or `task queue`.
        part: &'static str,
        /// What it is.
        value: String,
        /// The server's rule.
        rule: &'static str,
        /// What sets it.
        setting: &'static str,
    },
    /// No workflow and no activity is registered.
    #[error(
        "no workflow and no activity is registered: register at least one on config.worker_options in configure"
    )]
    NothingRegistered,
    /// A plugin of `config.client_options` could not do its work.
    #[error(
        "plugin {plugin:?} failed to configure {target}. Correct it, or take it out of config.client_options"
    )]
    #[non_exhaustive]
    Plugin {
        /// The plugin's name.
        plugin: String,
        /// What it should configure: `connection options` or `client options`.
        target: String,
        /// What it said.
        source: BoxError,
    },
    /// Worker plugins were given to the builder of `WorkerOptions`.
    #[error(
        "config.worker_options were built with worker plugins ({names}), which would run last and could change the deployment version and the grace period: \
         give them to config.client_options (ClientOptions::new(..).plugin(..)), or call their configure_worker_options(&mut config.worker_options) in configure"
    )]
    #[non_exhaustive]
    WorkerPlugins {
        /// The plugins' names.
        names: String,
    },
    /// The SDK refuses the worker options.
    #[error("the SDK refuses config.worker_options: {reason}")]
    #[non_exhaustive]
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
    #[non_exhaustive]
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
    #[non_exhaustive]
    TooSmall {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: usize,
        /// Its lower bound.
        least: usize,
    },
}

impl ConfigError {
    /// A variable that must be something else.
    pub(crate) fn bad_variable(name: &str, value: &str, expected: &str) -> Self {
        let shown = if is_secret(name) { "set (not shown)".to_owned() } else { short(value) };
        Self::BadVariable { name: name.to_owned(), value: shown, expected: expected.to_owned() }
    }

    /// A key of the file that must be something else.
    pub(crate) fn bad_key(path: &Path, key: &str, expected: &str) -> Self {
        Self::BadKey { path: path.into(), key: key.to_owned(), expected: expected.to_owned() }
    }

    /// A file that a setting names.
    pub(crate) fn named_file(setting: &str, path: PathBuf, source: std::io::Error) -> Self {
        Self::NamedFile { setting: setting.to_owned(), path, source }
    }
}
