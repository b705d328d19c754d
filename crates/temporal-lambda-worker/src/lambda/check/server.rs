//! Asking the server about the set-up. `answers.rs` judges the answers.

use temporalio_client::tonic::{Code as Grpc, IntoRequest as _, Status};
use temporalio_client::{Client, Connection, ConnectionOptions};
use temporalio_common::protos::temporal::api::deployment::v1::{
    WorkerDeploymentInfo, WorkerDeploymentVersion as VersionProto,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest, DescribeWorkerDeploymentVersionResponse,
};
use temporalio_common::worker::WorkerDeploymentVersion;

use super::answers::{self, Answers, refused_by};
use super::finding::{Code, Finding, Level};
use crate::config::conceal;
use crate::connection;

/// Connects as a worker does. The server is asked for its capabilities, which proves address, TLS and, as far as the
/// server checks them, credentials.
///
/// # Errors
/// Why that failed, as a finding.
///
/// # Cancel safety
/// Dropping the future gives the attempt up. The attempt has no time limit of its own.
pub async fn connect(options: &ConnectionOptions) -> Result<Connection, Finding> {
    connection::connect(options).await.map_err(|fault| Finding::from(&fault))
}

/// Asks the server that `client` is connected to about the namespace, and then about `version` and whether
/// workers of it have polled `task_queue`. A problem with the namespace ends it, since everything else is
/// in the namespace. `version` and `task_queue` may be unknown. `options` are those of the
/// connection; no message shows a credential in them.
///
/// # Cancel safety
/// Dropping the future ends it. It changes nothing on the server.
pub async fn server(
    client: &Client,
    options: &ConnectionOptions,
    version: Option<&WorkerDeploymentVersion>,
    task_queue: Option<&str>,
) -> Vec<Finding> {
    let tls = if options.tls_options.is_some() { "with TLS" } else { "without TLS" };
    let key = if options.api_key.is_some() { ", with an API key" } else { "" };
    let connected = format!("{} answers, {tls}{key}", options.target);
    let mut findings = vec![Finding::new("connection", Code::Ok, connected)];
    let namespace = &client.options().namespace;
    let request = DescribeNamespaceRequest { namespace: namespace.clone(), ..Default::default() };
    let mut service = client.connection().workflow_service();
    let described = service.describe_namespace(request.into_request()).await;
    let described = described.map(temporalio_client::tonic::Response::into_inner);
    findings.extend(answers::namespace(namespace, described.map_err(|it| without(it, options))));
    if let Some(version) = version
        && !findings.iter().any(|finding| finding.level == Level::Problem)
    {
        findings.extend(ask_about(client, options, version, task_queue).await);
    }
    findings
}

async fn ask_about(
    client: &Client,
    options: &ConnectionOptions,
    version: &WorkerDeploymentVersion,
    task_queue: Option<&str>,
) -> Vec<Finding> {
    let deployment = match describe_deployment(client, version).await {
        Ok(deployment) => deployment,
        Err(status) if status.code() == Grpc::NotFound => None,
        Err(status) => return vec![refused_by("deployment", &without(status, options))],
    };
    let described = match (&deployment, describe_version(client, version).await) {
        (None, _) => None,
        (Some(_), Ok(described)) => Some(described),
        (Some(_), Err(status)) if status.code() == Grpc::NotFound => None,
        (Some(_), Err(status)) => return vec![refused_by("version", &without(status, options))],
    };
    answers::version(&Answers { version, task_queue, deployment, described })
}

/// A status without the credentials that its message may quote.
fn without(status: Status, options: &ConnectionOptions) -> Status {
    Status::new(status.code(), conceal(status.message().to_owned(), options))
}

async fn describe_deployment(
    client: &Client,
    version: &WorkerDeploymentVersion,
) -> Result<Option<WorkerDeploymentInfo>, Status> {
    let request = DescribeWorkerDeploymentRequest {
        namespace: client.options().namespace.clone(),
        deployment_name: version.deployment_name.clone(),
    };
    let mut service = client.connection().workflow_service();
    let response = service.describe_worker_deployment(request.into_request()).await?;
    Ok(response.into_inner().worker_deployment_info)
}

async fn describe_version(
    client: &Client,
    version: &WorkerDeploymentVersion,
) -> Result<DescribeWorkerDeploymentVersionResponse, Status> {
    let request = DescribeWorkerDeploymentVersionRequest {
        namespace: client.options().namespace.clone(),
        deployment_version: Some(VersionProto {
            deployment_name: version.deployment_name.clone(),
            build_id: version.build_id.clone(),
        }),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let response = service.describe_worker_deployment_version(request.into_request()).await?;
    Ok(response.into_inner())
}
