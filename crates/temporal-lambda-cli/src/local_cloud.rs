//! The laptop's cloud: a Temporal server whose Worker Controller calls an emulated Lambda.

use std::time::Duration;

use temporal_lambda_testkit::lambda::LambdaEmulator;
use temporal_lambda_testkit::server::{DevServer, Temporal, connection_options};
use temporalio_client::Client;

use crate::error::CliError;

/// How long connecting to a server may take in one try.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The server's setting that makes it end the polls of a worker that shuts down.
pub(crate) const ENDS_POLLS: &str = "frontend.enableCancelWorkerPollsOnShutdown";

/// What the server is to be like.
#[derive(clap::Args, Debug)]
pub(crate) struct ServerArgs {
    /// Starts the server with its own defaults. Without this flag the server ends the polls of a
    /// worker that shuts down, so that an idle exit does not wait up to 1.85 s for them.
    #[arg(long)]
    stock_server: bool,
}

/// A server and an emulator that know each other. Dropping it ends both.
pub(crate) struct LocalCloud {
    pub(crate) lambda: LambdaEmulator,
    pub(crate) server: DevServer,
    pub(crate) client: Client,
}

impl LocalCloud {
    /// Starts both. `ui`: with the server's web UI.
    pub(crate) async fn start(
        ui: bool,
        port: Option<u16>,
        server: &ServerArgs,
    ) -> Result<Self, CliError> {
        Self::start_around(LambdaEmulator::start().await?, ui, port, server).await
    }

    /// Starts a server for an emulator that runs.
    pub(crate) async fn start_around(
        lambda: LambdaEmulator,
        ui: bool,
        port: Option<u16>,
        server: &ServerArgs,
    ) -> Result<Self, CliError> {
        let stock = server.stock_server;
        let mut server = DevServer::builder().ui(ui).worker_controller(lambda.endpoint_url());
        if !stock {
            server = server.dynamic_config(ENDS_POLLS, true);
        }
        if let Some(port) = port {
            server = server.port(port);
        }
        let server = server.start().await?;
        let client = connect(&server.address()).await?;
        Ok(Self { lambda, server, client })
    }

    /// Ends both in good order: environments first, whose workers still call the server.
    pub(crate) async fn stop(self) {
        self.lambda.shutdown().await;
        drop(self.client);
        self.server.stop().await;
    }
}

/// A client of the namespace `default` on a server without TLS, as dev servers are.
async fn connect(address: &str) -> Result<Client, CliError> {
    let mut options = connection_options(address)?;
    options.identity = "temporal-lambda".to_owned();
    options.connect_timeout = Some(CONNECT_TIMEOUT);
    Ok(Temporal::connect(options).await?.client().clone())
}
