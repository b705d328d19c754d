//! Reading the configuration of an invocation within a time limit, and refusing an invocation whose configuration
//! is wrong.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::config::{LambdaWorkerConfig, Origin, Variables};
use crate::driver::conclude;
use crate::driver::environment::Environment;
use crate::error::{ConfigError, Fault};
use crate::hooks::ShutdownHooks;
use crate::invocation::{Invocation, WriteFigures};
use crate::lifecycle::RESPONSE_RESERVE;
use crate::report::{InvocationReport, LambdaWorkerError};

/// How long reading the configuration may take: 10 s, as connecting, and half of the invocation's time at
/// most. It takes milliseconds, unless a file is on a network.
const READ_CAP: Duration = Duration::from_secs(10);

/// The configuration before `configure`. Its files are read on a thread of their own: a file system
/// that does not answer must not keep this one from answering Lambda.
pub(crate) async fn load(
    environment: &Environment,
    origin: Arc<Origin>,
    variables: Variables,
    invocation: Invocation,
) -> Result<LambdaWorkerConfig, Fault> {
    let remaining = invocation.remaining_time().unwrap_or(Duration::MAX);
    let read =
        move || LambdaWorkerConfig::load(&origin, &variables, invocation, ShutdownHooks::default());
    let mut config = if remaining <= RESPONSE_RESERVE {
        // Too late to read files, and the driver refuses the event.
        read()?
    } else {
        let within = (remaining / 2).min(READ_CAP);
        match timeout(within, environment.threads.user.spawn_blocking(read)).await {
            Ok(Ok(loaded)) => loaded?,
            Ok(Err(error)) => {
                let message = error.to_string();
                return Err(Fault::Panicked { place: "reading the configuration", message });
            }
            Err(_) => return Err(ConfigError::ReadTooLong { within }.into()),
        }
    };
    config.begin_telemetry(environment.telemetry.clone());
    config.warnings.log_to(environment.logged.clone());
    Ok(config)
}

/// The function that writes an invocation's figures if its configuration cannot be read: only a variable can ask for
/// them then.
pub(crate) fn figures(environment: &Environment, variables: &Variables) -> Option<WriteFigures> {
    let asked = matches!(variables.boolean("TEMPORAL_LAMBDA_EMF"), Ok(Some(true)));
    environment.telemetry.figures.filter(|_| asked)
}

/// The result of an invocation that was refused for its configuration, before anything else began.
pub(crate) fn refused(
    fault: Fault,
    invocation: &Invocation,
    figures: Option<WriteFigures>,
) -> Result<InvocationReport, LambdaWorkerError> {
    let report = InvocationReport {
        request_id: invocation.request_id.clone(),
        function_arn: invocation.function_arn.clone(),
        cold_start: invocation.cold_start,
        ..InvocationReport::default()
    };
    conclude(report, vec![fault], figures)
}
