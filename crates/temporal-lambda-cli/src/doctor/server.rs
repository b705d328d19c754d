//! What the server says: the library asks it and judges; here is what only this command adds.

use std::time::Duration;

use temporal_lambda_worker::WorkerDeploymentVersion;
use temporal_lambda_worker::check::{self, Code, Finding, Level};
use temporalio_client::{Client, ClientOptions};

use super::provider;
use super::settings::Settings;

/// How long connecting, and the first call, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Every check that needs the server, until one makes the next pointless.
pub(super) async fn check(
    settings: &Settings,
    version: Option<WorkerDeploymentVersion>,
) -> Vec<Finding> {
    let client = match connect(settings).await {
        Ok(client) => client,
        Err(finding) => return vec![finding],
    };
    let task_queue = settings.task_queue.as_deref();
    let options = &settings.connection;
    let mut findings = check::server(&client, options, version.as_ref(), task_queue).await;
    match version {
        Some(version) => provider::try_now(&mut findings, &client, &version).await,
        None if findings.iter().all(|finding| finding.level < Level::Problem) => {
            let message = "the deployment name or the build ID is only in the function's code, so the \
                           server was not asked about the version";
            let advice = "give --deployment-name and --build-id";
            findings.push(Finding::new("version", Code::VersionUnknown, message).advice(advice));
        }
        None => {}
    }
    findings
}

async fn connect(settings: &Settings) -> Result<Client, Finding> {
    let unreachable = |message: String| {
        Finding::new("connection", Code::Unreachable, message).advice(
            "check TEMPORAL_ADDRESS and the TLS settings (TEMPORAL_TLS); in Lambda, also the VPC and \
             its security groups",
        )
    };
    let connecting = check::connect(&settings.connection);
    let connection = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connection) => connection?,
        Err(_) => {
            let target = &settings.connection.target;
            return Err(unreachable(format!(
                "{target} does not answer within {CONNECT_TIMEOUT:?}"
            )));
        }
    };
    Client::new(connection, ClientOptions::new(&*settings.namespace).build())
        .map_err(|error| unreachable(error.to_string()))
}
