//! `cloud`: a Temporal server and an emulated Lambda on this machine, to deploy to.

use std::process::ExitCode;

use temporal_lambda_testkit::lambda::LambdaEmulator;

use crate::aws::LOCAL_PORT;
use crate::error::CliError;
use crate::local_cloud::{LocalCloud, ServerArgs};
use crate::show::event_log::{EventLog, Timestamps};

/// The port where clients look for a Temporal server.
const TEMPORAL_PORT: u16 = 7233;

/// Where it listens.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The Temporal server's port; 0: any free one.
    #[arg(long, default_value_t = TEMPORAL_PORT)]
    port: u16,
    /// The port of the emulated Lambda; 0: any free one. `--endpoint local` means the default.
    #[arg(long, default_value_t = LOCAL_PORT)]
    lambda_port: u16,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(
    args: Args,
    interrupted: impl Future<Output = ()>,
) -> Result<ExitCode, CliError> {
    let mut interrupted = std::pin::pin!(interrupted);
    let timestamps = Timestamps::begin();
    let start = async {
        let lambda = LambdaEmulator::builder().port(args.lambda_port).start().await?;
        let port = (args.port != 0).then_some(args.port);
        LocalCloud::start_around(lambda, true, port, &args.server).await
    };
    let mut cloud = tokio::select! {
        cloud = start => cloud?,
        () = &mut interrupted => return Err(CliError::Interrupted),
    };
    let event_log = EventLog::start(timestamps, cloud.lambda.subscribe());
    timestamps.print("temporal", format!("server at {}", cloud.server.address()));
    if let Some(ui) = cloud.server.ui_url() {
        timestamps.print("temporal", format!("UI at {ui}"));
    }
    timestamps.print("lambda", format!("endpoint {}", cloud.lambda.endpoint_url()));
    let ended = tokio::select! {
        () = interrupted => Ok(ExitCode::SUCCESS),
        died = cloud.server.died() => Err(died.into()),
    };
    event_log.caught_up().await;
    cloud.stop().await;
    ended
}
