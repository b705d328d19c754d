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
};

use crate::error::CliError;

/// How often the server is asked while something is waited for.
const LOOK: Duration = Duration::from_millis(50);
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
            deployment_version: Some(WorkerDeploymentVersion {
                build_id: build_id.to_owned(),
                deployment_name: self.name.clone(),
            }),
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

    /// Waits until a worker of the version has polled: the names of its task queues.
    pub(crate) async fn bound(
        &self,
        build_id: &str,
        within: Duration,
    ) -> Result<Vec<String>, CliError> {
        let wait = async {
            loop {
                if let Some(version) = self.describe_version(build_id, false).await? {
                    let mut names: Vec<_> =
                        version.version_task_queues.into_iter().map(|queue| queue.name).collect();
                    names.sort();
                    names.dedup();
                    if !names.is_empty() {
                        return Ok(names);
                    }
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
            identity: "temporal-lambda".to_owned(),
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
        while let Some(known) = self.describe().await? {
            if known.routing_config_update_state() != RoutingConfigUpdateState::InProgress {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}
