//! Sources of a configuration other than the file that is found and the environment.

use std::fmt;
use std::path::PathBuf;

use temporalio_client::{ClientOptions, ConnectionOptions};
use temporalio_common::worker::WorkerDeploymentVersion;

/// Where the configuration of a handler comes from, below what `configure` does.
///
/// By default `temporal.toml` is read where it is found, and the environment's variables override it.
///
/// ```
/// use temporal_lambda_worker::{ConfigSource, LambdaWorkerConfig, LambdaWorkerHandler, WorkerDeploymentVersion};
///
/// # fn main() -> Result<(), temporal_lambda_worker::LambdaWorkerError> {
/// # let version = WorkerDeploymentVersion::builder().deployment_name("d").build_id("1").build();
/// // A test that does not depend on the variables of the machine that runs it.
/// let source = ConfigSource::text("[lambda_worker]\ntask_queue = \"orders\"").without_environment();
/// let handler = LambdaWorkerHandler::builder(version, |_: &mut LambdaWorkerConfig| Ok(()))
///     .config_source(source)
///     .build()?;
/// # let _ = handler;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ConfigSource {
    pub(in crate::config) file: FileSource,
    pub(in crate::config) options: Option<Box<(ConnectionOptions, ClientOptions)>>,
    reads_environment: bool,
}

/// Which file is read.
#[derive(Clone)]
pub(crate) enum FileSource {
    /// The one that is found.
    Found,
    Path(PathBuf),
    /// The text of one.
    Text(String),
    None,
}

impl Default for ConfigSource {
    /// The file that is found, and the environment.
    fn default() -> Self {
        Self { file: FileSource::Found, options: None, reads_environment: true }
    }
}

impl ConfigSource {
    /// The file at `path`, in the form of `temporal.toml`, whatever `TEMPORAL_CONFIG_FILE` says. It is
    /// read in each invocation, which fails with [`ConfigError`](crate::ConfigError) if that cannot be done.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { file: FileSource::Path(path.into()), ..Self::default() }
    }

    /// This text, in the form of `temporal.toml`; no file is read.
    pub fn text(toml: impl Into<String>) -> Self {
        Self { file: FileSource::Text(toml.into()), ..Self::default() }
    }

    /// These options, in the place of every profile and of the variables for the connection, which are not
    /// even looked at; no file is read. The worker's own variables (`TEMPORAL_TASK_QUEUE` and
    /// `TEMPORAL_LAMBDA_*`) are read. An API key file fills a key in only where `connection` has none.
    pub fn options(connection: ConnectionOptions, client: ClientOptions) -> Self {
        let options = Some(Box::new((connection, client)));
        Self { file: FileSource::None, options, reads_environment: true }
    }

    /// No file and no variable: what the code does not set has its default.
    pub fn none() -> Self {
        Self { file: FileSource::None, options: None, reads_environment: false }
    }

    /// Reads no variable of the environment. Without a path or a text it reads no file either, since variables say
    /// where the file is.
    #[must_use]
    pub fn without_environment(mut self) -> Self {
        self.reads_environment = false;
        if matches!(self.file, FileSource::Found) {
            self.file = FileSource::None;
        }
        self
    }

    pub(crate) fn reads_environment(&self) -> bool {
        self.reads_environment
    }
}

impl fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither a text nor options: both may hold a secret.
        let file = match &self.file {
            FileSource::Found => "where it is found".to_owned(),
            FileSource::Path(path) => format!("{path:?}"),
            FileSource::Text(_) => "a text".to_owned(),
            FileSource::None => "none".to_owned(),
        };
        f.debug_struct("ConfigSource")
            .field("file", &file)
            .field("has_options", &self.options.is_some())
            .field("reads_environment", &self.reads_environment)
            .finish()
    }
}

/// The settings that the code gives, which file and environment override.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) version: WorkerDeploymentVersion,
    pub(crate) task_queue: Option<String>,
    pub(crate) source: ConfigSource,
}

impl Origin {
    pub(crate) fn of(version: WorkerDeploymentVersion) -> Self {
        Self { version, task_queue: None, source: ConfigSource::default() }
    }
}
