//! Settings of a dev server.

use std::{ffi::OsString, fmt, path::PathBuf, time::Duration};

use super::{DevServer, error::DevServerError};

/// Settings of a [`DevServer`]. Made by [`DevServer::builder`].
#[derive(Clone)]
pub struct DevServerBuilder {
    pub(super) cli: Option<PathBuf>,
    pub(super) port: Option<u16>,
    pub(super) ui: bool,
    pub(super) db_filename: Option<PathBuf>,
    pub(super) namespaces: Vec<String>,
    pub(super) search_attributes: Vec<(String, String)>,
    pub(super) dynamic_config: Vec<(String, String)>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) log_level: String,
    pub(super) start_timeout: Duration,
}

impl fmt::Debug for DevServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Environment variables may hold credentials.
        f.debug_struct("DevServerBuilder")
            .field("port", &self.port)
            .field("ui", &self.ui)
            .field("db_filename", &self.db_filename)
            .field("namespaces", &self.namespaces)
            .field("dynamic_config", &self.dynamic_config)
            .finish_non_exhaustive()
    }
}

impl Default for DevServerBuilder {
    fn default() -> Self {
        Self {
            cli: None,
            port: None,
            ui: false,
            db_filename: None,
            namespaces: Vec::new(),
            search_attributes: Vec::new(),
            dynamic_config: Vec::new(),
            env: Vec::new(),
            log_level: "error".to_owned(),
            start_timeout: Duration::from_secs(60),
        }
    }
}

impl DevServerBuilder {
    /// The `temporal` program. Default: `TEMPORAL_CLI`, then `PATH`, then one that is fetched.
    #[must_use]
    pub fn cli_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.cli = Some(path.into());
        self
    }

    /// The frontend's port, for clients that must find it again after a restart. Default: any
    /// free one, which [`DevServer::restart`] keeps too.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Whether the web UI runs too, see [`DevServer::ui_url`]. Default: false.
    #[must_use]
    pub fn ui(mut self, ui: bool) -> Self {
        self.ui = ui;
        self
    }

    /// A SQLite file that keeps the server's state over restarts. Default: memory only.
    #[must_use]
    pub fn db_filename(mut self, file: impl Into<PathBuf>) -> Self {
        self.db_filename = Some(file.into());
        self
    }

    /// Adds a namespace; `default` always exists.
    #[must_use]
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespaces.push(name.into());
        self
    }

    /// Adds a search attribute of a type such as `Keyword` or `Int`.
    #[must_use]
    pub fn search_attribute(mut self, name: impl Into<String>, kind: impl Into<String>) -> Self {
        self.search_attributes.push((name.into(), kind.into()));
        self
    }

    /// Sets a dynamic configuration value, such as `("frontend.enableUpdate", true)`.
    #[must_use]
    pub fn dynamic_config(
        mut self,
        key: impl Into<String>,
        value: impl Into<serde_json::Value>,
    ) -> Self {
        self.dynamic_config.push((key.into(), value.into().to_string()));
        self
    }

    /// Sets an environment variable of the server.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// What the server logs: `debug`, `info`, `warn`, `error` (the default) or `never`.
    #[must_use]
    pub fn log_level(mut self, level: impl Into<String>) -> Self {
        self.log_level = level.into();
        self
    }

    /// How long the server may take to become healthy. Default: 60 s.
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }

    /// Turns the Worker Controller on, with AWS at `endpoint_url`: the server then invokes the
    /// Lambda functions of deployment versions there. Give it
    /// [`LambdaEmulator::endpoint_url`](crate::lambda::LambdaEmulator::endpoint_url).
    ///
    /// Versions may be created without a role; with one, the server calls STS at the same place.
    #[must_use]
    pub fn worker_controller(self, endpoint_url: impl Into<OsString>) -> Self {
        let aws = "workercontroller.compute_providers.aws.require_role_and_external_id";
        let providers = "workercontroller.compute_providers.enabled";
        let scaling = "workercontroller.scaling_algorithms.enabled";
        self.env("AWS_ENDPOINT_URL", endpoint_url)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .dynamic_config("workercontroller.enabled", true)
            .dynamic_config(aws, false)
            .dynamic_config(providers, serde_json::json!(["aws-lambda"]))
            .dynamic_config(scaling, serde_json::json!(["no-sync"]))
    }

    /// Starts the server and waits until it answers and has its namespaces.
    ///
    /// Not cancel safe in one way: a CLI that is being fetched is fetched to the end. A server
    /// that was started is killed when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`DevServerError`] when there is no CLI, or the server ends or does not become healthy.
    pub async fn start(self) -> Result<DevServer, DevServerError> {
        DevServer::start_with(self).await
    }
}
