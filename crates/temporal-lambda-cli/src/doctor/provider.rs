//! Has the server try to reach the compute provider, which a check inside of the function leaves out: the server
//! may invoke the function for it.

use std::time::Duration;

use temporal_lambda_worker::WorkerDeploymentVersion;
use temporal_lambda_worker::check::{Code, Finding, provider_refused};
use temporalio_client::tonic::{Code as Grpc, IntoRequest as _, Status};
use temporalio_client::{Client, NamespacedClient as _};
use temporalio_common::protos::temporal::api::deployment::v1::WorkerDeploymentVersion as VersionProto;
use temporalio_common::protos::temporal::api::workflowservice::v1::ValidateWorkerDeploymentVersionComputeConfigRequest;

/// How long the server may try to reach the compute provider.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(20);

/// Replaces what the server found when it last tried to reach the provider by what it finds now. A server that does
/// not try at once leaves the finding as it is.
pub(super) async fn try_now(
    findings: &mut [Finding],
    client: &Client,
    version: &WorkerDeploymentVersion,
) {
    let is_tried = |it: &&mut Finding| {
        it.subject == "provider" && matches!(it.code, Code::Ok | Code::ProviderRefused)
    };
    let Some(finding) = findings.iter_mut().find(is_tried) else { return };
    match tokio::time::timeout(PROVIDER_TIMEOUT, refusal(client, version)).await {
        Ok(Ok(Some(error))) => *finding = provider_refused(&error),
        Ok(Ok(None)) => {
            *finding = Finding::new("provider", Code::Ok, "the server can invoke the function");
        }
        Ok(Err(_)) | Err(_) => {}
    }
}

/// Why the server cannot invoke what it would invoke for the version, or `None`.
async fn refusal(
    client: &Client,
    version: &WorkerDeploymentVersion,
) -> Result<Option<String>, Status> {
    let request = ValidateWorkerDeploymentVersionComputeConfigRequest {
        namespace: client.namespace(),
        deployment_version: Some(VersionProto {
            build_id: version.build_id.clone(),
            deployment_name: version.deployment_name.clone(),
        }),
        identity: client.connection().identity().to_owned(),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let request = request.into_request();
    match service.validate_worker_deployment_version_compute_config(request).await {
        Ok(_) => Ok(None),
        Err(status) if status.code() == Grpc::InvalidArgument => {
            Ok(Some(status.message().to_owned()))
        }
        Err(status) => Err(status),
    }
}
