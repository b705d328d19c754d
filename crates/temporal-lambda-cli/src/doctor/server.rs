//! What the server says: the library asks it and judges; here is what only this command adds.

use temporal_lambda_worker::WorkerDeploymentVersion;
use temporal_lambda_worker::check::{self, Code, Finding, Level};

use super::provider;
use crate::settings::Settings;

/// Every check that needs the server, until one makes the next pointless.
pub(super) async fn check(
    settings: &Settings,
    version: Option<WorkerDeploymentVersion>,
) -> Vec<Finding> {
    let client = match settings.connect().await {
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
