//! Worker deployments and their versions, asked about over gRPC.

use std::time::Duration;

use temporalio_client::tonic::{Code, IntoRequest as _};
use temporalio_client::{Client, NamespacedClient as _};
use temporalio_common::protos::temporal::api::deployment::v1::{
    WorkerDeploymentInfo, WorkerDeploymentVersion,
};
use temporalio_common::protos::temporal::api::enums::v1::RoutingConfigUpdateState;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeWorkerDeploymentRequest, DescribeWorkerDeploymentVersionRequest,
    DescribeWorkerDeploymentVersionResponse, SetWorkerDeploymentCurrentVersionRequest,
    ValidateWorkerDeploymentVersionComputeConfigRequest,
};

use crate::error::CliError;

/// Who changed something, as the server shows it.
const IDENTITY: &str = "temporal-lambda";
/// How often the server is asked while something is waited for. It refuses who asks much more often.
const LOOK: Duration = Duration::from_millis(100);
/// How long the task queues may take to hear which version is current. The server tells them after
/// it has answered; should it never say that it is done, they have heard by then all the same.
const ROUTING: Duration = Duration::from_secs(10);

/// One worker deployment, which need not exist.
#[derive(Clone)]
pub(crate) struct Deployment {
    client: Client,
    pub(crate) name: String,
}

impl Deployment {
    pub(crate) fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    fn version(&self, build_id: &str) -> WorkerDeploymentVersion {
        WorkerDeploymentVersion {
            build_id: build_id.to_owned(),
            deployment_name: self.name.clone(),
        }
    }

    /// What the server knows of it; `None` when it does not exist.
    pub(crate) async fn describe(&self) -> Result<Option<WorkerDeploymentInfo>, CliError> {
        let request = DescribeWorkerDeploymentRequest {
            namespace: self.client.namespace(),
            deployment_name: self.name.clone(),
        };
        let mut service = self.client.connection().workflow_service();
        match service.describe_worker_deployment(request.into_request()).await {
            Ok(answer) => Ok(answer.into_inner().worker_deployment_info),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(CliError::rpc("describing the worker deployment", &status)),
        }
    }

    /// What the server knows of a version; `None` when it does not exist.
    pub(crate) async fn describe_version(
        &self,
        build_id: &str,
        with_stats: bool,
    ) -> Result<Option<DescribeWorkerDeploymentVersionResponse>, CliError> {
        let request = DescribeWorkerDeploymentVersionRequest {
            namespace: self.client.namespace(),
            deployment_version: Some(self.version(build_id)),
            report_task_queue_stats: with_stats,
            ..Default::default()
        };
        let mut service = self.client.connection().workflow_service();
        match service.describe_worker_deployment_version(request.into_request()).await {
            Ok(answer) => Ok(Some(answer.into_inner())),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(CliError::rpc("describing the deployment version", &status)),
        }
    }

    /// Has the server try to reach what it would call for the version: why it cannot, or `None`.
    pub(crate) async fn provider_error(&self, build_id: &str) -> Result<Option<String>, CliError> {
        let request = ValidateWorkerDeploymentVersionComputeConfigRequest {
            namespace: self.client.namespace(),
            deployment_version: Some(self.version(build_id)),
            identity: IDENTITY.to_owned(),
            ..Default::default()
        };
        let mut service = self.client.connection().workflow_service();
        let request = request.into_request();
        match service.validate_worker_deployment_version_compute_config(request).await {
            Ok(_) => Ok(None),
            Err(status) if matches!(status.code(), Code::InvalidArgument) => {
                Ok(Some(status.message().to_owned()))
            }
            Err(status) => Err(CliError::rpc("validating the compute provider", &status)),
        }
    }

    /// Waits until a worker of the version has polled: the names of its task queues.
    pub(crate) async fn bound(
        &self,
        build_id: &str,
        within: Duration,
    ) -> Result<Vec<String>, CliError> {
        let wait = async {
            loop {
                let version = patiently(self.describe_version(build_id, false).await)?.flatten();
                let queues = version.map(|version| version.version_task_queues).unwrap_or_default();
                let mut names: Vec<_> = queues.into_iter().map(|queue| queue.name).collect();
                names.sort();
                names.dedup();
                if !names.is_empty() {
                    return Ok(names);
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(within, wait).await.unwrap_or_else(|_| {
            Err(CliError::NotInTime {
                what: format!("a poll by a worker of {}:{build_id}", self.name),
                within,
                hint: "the function's deployment name and build ID must be these; its log says \
                       what else went wrong"
                    .to_owned(),
            })
        })
    }

    /// Makes the version current, and waits until new workflows go to it. One that is started
    /// earlier would wait in the task queue for a worker without a version.
    pub(crate) async fn make_current(&self, build_id: &str) -> Result<(), CliError> {
        let request = SetWorkerDeploymentCurrentVersionRequest {
            namespace: self.client.namespace(),
            deployment_name: self.name.clone(),
            build_id: build_id.to_owned(),
            identity: IDENTITY.to_owned(),
            // That a worker polled was seen; when a function is not invoked, nobody polls.
            ignore_missing_task_queues: true,
            allow_no_pollers: true,
            ..Default::default()
        };
        let mut service = self.client.connection().workflow_service();
        let answer = service.set_worker_deployment_current_version(request.into_request()).await;
        answer.map_err(|status| CliError::rpc("making the version current", &status))?;
        tokio::time::timeout(ROUTING, self.routed()).await.unwrap_or(Ok(()))
    }

    /// Waits until the task queues know the routing.
    async fn routed(&self) -> Result<(), CliError> {
        loop {
            let known = patiently(self.describe().await)?;
            let done = known.flatten().is_some_and(|known| {
                known.routing_config_update_state() != RoutingConfigUpdateState::InProgress
            });
            if done {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// An answer, or `None` when the server was asked too often and may be asked again.
fn patiently<T>(answer: Result<T, CliError>) -> Result<Option<T>, CliError> {
    match answer {
        Err(error) if error.is_throttled() => Ok(None),
        answer => answer.map(Some),
    }
}
