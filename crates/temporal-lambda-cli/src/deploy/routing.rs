//! Which version gets workflows, and which are gone: calls that the testkit does not have.

use temporal_lambda_testkit::server::{Deployment, TemporalError};
use temporalio_client::NamespacedClient as _;
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::tonic::{Code, IntoRequest as _, Response, Status};
use temporalio_common::protos::temporal::api::compute::v1::{
    ComputeConfig, ComputeConfigScalingGroupUpdate,
};
use temporalio_common::protos::temporal::api::deployment::v1::WorkerDeploymentVersion;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    CreateWorkerDeploymentVersionRequest, DeleteWorkerDeploymentVersionRequest,
    SetWorkerDeploymentCurrentVersionRequest, SetWorkerDeploymentRampingVersionRequest,
    UpdateWorkerDeploymentVersionComputeConfigRequest,
};

use super::compute::{Compute, GROUP};

/// Creates a version for a published version of a function, which Temporal calls at once. One that exists already was
/// made by an earlier call.
pub(super) async fn create_version(
    deployment: &Deployment,
    build_id: &str,
    compute: &Compute,
) -> Result<(), TemporalError> {
    let group = compute.group();
    let request = CreateWorkerDeploymentVersionRequest {
        namespace: deployment.client().namespace(),
        deployment_version: Some(version(deployment, build_id)),
        compute_config: Some(ComputeConfig { scaling_groups: [(GROUP.to_owned(), group)].into() }),
        identity: identity(deployment),
        request_id: request_id(deployment, build_id),
    };
    let mut service = deployment.client().clone();
    let created = service.create_worker_deployment_version(request.into_request()).await;
    match created {
        Err(status) if status.code() == Code::AlreadyExists => Ok(()),
        created => done("creating the deployment version", created),
    }
}

/// Changes what Temporal calls for a version.
pub(super) async fn set_compute(
    deployment: &Deployment,
    build_id: &str,
    compute: &Compute,
) -> Result<(), TemporalError> {
    let update = ComputeConfigScalingGroupUpdate {
        scaling_group: Some(compute.group()),
        ..Default::default()
    };
    let request = UpdateWorkerDeploymentVersionComputeConfigRequest {
        namespace: deployment.client().namespace(),
        deployment_version: Some(version(deployment, build_id)),
        compute_config_scaling_groups: [(GROUP.to_owned(), update)].into(),
        identity: identity(deployment),
        // Another one each time: the same configuration may have been set before, and changed since.
        request_id: String::new(),
        ..Default::default()
    };
    let mut service = deployment.client().clone();
    let request = request.into_request();
    let updated = service.update_worker_deployment_version_compute_config(request).await;
    done("changing the version's compute configuration", updated)
}

/// Makes a version current, and waits until new workflows go to it. The server refuses a version without one of the
/// task queues that are in use.
pub(super) async fn make_current(
    deployment: &Deployment,
    build_id: &str,
) -> Result<(), TemporalError> {
    let request = SetWorkerDeploymentCurrentVersionRequest {
        namespace: deployment.client().namespace(),
        deployment_name: deployment.name().to_owned(),
        build_id: build_id.to_owned(),
        identity: identity(deployment),
        // When a function is not being called, nothing polls.
        allow_no_pollers: true,
        ..Default::default()
    };
    let mut service = deployment.client().clone();
    let set = service.set_worker_deployment_current_version(request.into_request()).await;
    done("making the version current", set)?;
    deployment.routed().await
}

/// Gives a version a share of the new workflows; without a version, nothing ramps any more.
pub(super) async fn ramp(
    deployment: &Deployment,
    share: Option<(&str, u8)>,
) -> Result<(), TemporalError> {
    let (build_id, percentage) = share.unwrap_or_default();
    let request = SetWorkerDeploymentRampingVersionRequest {
        namespace: deployment.client().namespace(),
        deployment_name: deployment.name().to_owned(),
        build_id: build_id.to_owned(),
        percentage: f32::from(percentage),
        identity: identity(deployment),
        allow_no_pollers: true,
        ..Default::default()
    };
    let mut service = deployment.client().clone();
    let set = service.set_worker_deployment_ramping_version(request.into_request()).await;
    done("setting the ramp", set)?;
    deployment.routed().await
}

/// Deletes a version that is drained: the server refuses others. One that is gone is as good as deleted.
pub(super) async fn delete_version(
    deployment: &Deployment,
    build_id: &str,
) -> Result<(), TemporalError> {
    let request = DeleteWorkerDeploymentVersionRequest {
        namespace: deployment.client().namespace(),
        deployment_version: Some(version(deployment, build_id)),
        identity: identity(deployment),
        ..Default::default()
    };
    let mut service = deployment.client().clone();
    match service.delete_worker_deployment_version(request.into_request()).await {
        Err(status) if status.code() == Code::NotFound => Ok(()),
        deleted => done("deleting the deployment version", deleted),
    }
}

fn done<T>(what: &'static str, outcome: Result<Response<T>, Status>) -> Result<(), TemporalError> {
    match outcome {
        Ok(_) => Ok(()),
        Err(status) => Err(TemporalError::Rpc { what, status: Box::new(status) }),
    }
}

fn version(deployment: &Deployment, build_id: &str) -> WorkerDeploymentVersion {
    let (deployment_name, build_id) = (deployment.name().to_owned(), build_id.to_owned());
    WorkerDeploymentVersion { deployment_name, build_id }
}

fn identity(deployment: &Deployment) -> String {
    deployment.client().connection().identity().to_owned()
}

/// The same each time, so that a call whose answer was lost can be made again.
fn request_id(deployment: &Deployment, build_id: &str) -> String {
    format!("temporal-lambda-{}-{build_id}", deployment.name())
}
