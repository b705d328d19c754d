//! A worker deployment and its versions.

use std::time::Duration;

use serde_json::json;
use temporalio_client::{
    Client, NamespacedClient as _,
    grpc::WorkflowService as _,
    tonic::{Code, IntoRequest as _, Response, Status},
};
use temporalio_common::protos::temporal::api::{
    compute::v1::{ComputeConfig, ComputeConfigScalingGroup, ComputeProvider, ComputeScaler},
    deployment::v1::{WorkerDeploymentInfo, WorkerDeploymentVersion},
    enums::v1::RoutingConfigUpdateState,
    workflowservice::v1::{
        CreateWorkerDeploymentRequest, CreateWorkerDeploymentVersionRequest,
        DescribeWorkerDeploymentRequest, DescribeWorkerDeploymentVersionRequest,
        DescribeWorkerDeploymentVersionResponse, SetWorkerDeploymentCurrentVersionRequest,
    },
};

use super::{error::TemporalError, worker_polls::poll_as_worker};
use crate::payload::json_payload;

/// How often the server is asked while something is waited for. It throttles much more than that.
const RETRY: Duration = Duration::from_millis(100);
/// How long the task queues may take to hear which version is current. The server tells them after
/// it has answered; should it never say that it is done, they have heard by then all the same.
const ROUTING_TIMEOUT: Duration = Duration::from_secs(10);

/// A worker deployment, which need not exist. Made by
/// [`Temporal::deployment`](super::Temporal::deployment).
#[derive(Clone)]
pub struct Deployment {
    client: Client,
    name: String,
}

impl std::fmt::Debug for Deployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployment").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The role that the server assumes to call a function.
#[derive(Debug, Clone, Copy)]
pub struct Role<'a> {
    /// The role's ARN.
    pub arn: &'a str,
    /// The external ID that its trust policy asks for.
    pub external_id: &'a str,
}

impl Deployment {
    /// The deployment of this name, in the client's namespace.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the server knows of it; `None` when it does not exist.
    ///
    /// # Errors
    ///
    /// [`TemporalError::Rpc`].
    pub async fn describe(&self) -> Result<Option<WorkerDeploymentInfo>, TemporalError> {
        let request = DescribeWorkerDeploymentRequest {
            namespace: self.client.namespace(),
            deployment_name: self.name.clone(),
        };
        let mut service = self.client.clone();
        let answer = service.describe_worker_deployment(request.into_request()).await;
        let answer = if_found(answer, "describing the worker deployment")?;
        Ok(answer.and_then(|it| it.worker_deployment_info))
    }

    /// What the server knows of a version, with the statistics of its task queues; `None` when it does
    /// not exist.
    ///
    /// # Errors
    ///
    /// [`TemporalError::Rpc`].
    pub async fn describe_version(
        &self,
        build_id: &str,
    ) -> Result<Option<DescribeWorkerDeploymentVersionResponse>, TemporalError> {
        self.look_at(build_id, true).await
    }

    async fn look_at(
        &self,
        build_id: &str,
        report_task_queue_stats: bool,
    ) -> Result<Option<DescribeWorkerDeploymentVersionResponse>, TemporalError> {
        let request = DescribeWorkerDeploymentVersionRequest {
            namespace: self.client.namespace(),
            deployment_version: Some(self.version(build_id)),
            report_task_queue_stats,
            ..Default::default()
        };
        let mut service = self.client.clone();
        let answer = service.describe_worker_deployment_version(request.into_request()).await;
        if_found(answer, "describing the deployment version")
    }

    /// Creates the deployment, so that versions can be created in it.
    ///
    /// # Errors
    ///
    /// [`TemporalError::Rpc`]; its code is `AlreadyExists` when there is one.
    pub async fn create(&self) -> Result<(), TemporalError> {
        let request = CreateWorkerDeploymentRequest {
            namespace: self.client.namespace(),
            deployment_name: self.name.clone(),
            identity: self.identity(),
            request_id: uuid::Uuid::new_v4().to_string(),
        };
        let mut service = self.client.clone();
        let answer = service.create_worker_deployment(request.into_request()).await;
        answer.map(drop).map_err(TemporalError::refused("creating the worker deployment"))
    }

    /// Creates a version whose worker is the Lambda function `arn`, called as `role`, or without one. The
    /// server needs [`worker_controller`](super::DevServerBuilder::worker_controller), and
    /// calls the function at once.
    ///
    /// # Errors
    ///
    /// [`TemporalError::Rpc`], also when the server cannot assume the role or see the function.
    pub async fn create_version_for_lambda(
        &self,
        build_id: &str,
        arn: &str,
        role: Option<Role<'_>>,
    ) -> Result<(), TemporalError> {
        let mut details = json!({ "arn": arn });
        if let Some(role) = role {
            details["role"] = role.arn.into();
            details["role_external_id"] = role.external_id.into();
        }
        let group = ComputeConfigScalingGroup {
            provider: Some(ComputeProvider {
                r#type: "aws-lambda".to_owned(),
                details: Some(json_payload(&details)),
                ..Default::default()
            }),
            scaler: Some(ComputeScaler { r#type: "no-sync".to_owned(), details: None }),
            ..Default::default()
        };
        let request = CreateWorkerDeploymentVersionRequest {
            namespace: self.client.namespace(),
            deployment_version: Some(self.version(build_id)),
            compute_config: Some(ComputeConfig {
                scaling_groups: [("default".to_owned(), group)].into(),
            }),
            identity: self.identity(),
            request_id: uuid::Uuid::new_v4().to_string(),
        };
        let mut service = self.client.clone();
        let answer = service.create_worker_deployment_version(request.into_request()).await;
        answer.map(drop).map_err(TemporalError::refused("creating the deployment version"))
    }

    /// Waits until a worker of the version has polled: the names of its task queues. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`TemporalError::NotInTime`] after `within`, [`TemporalError::Rpc`].
    pub async fn wait_for_poll(
        &self,
        build_id: &str,
        within: Duration,
    ) -> Result<Vec<String>, TemporalError> {
        let wait = async {
            loop {
                let version = unless_throttled(self.look_at(build_id, false).await)?.flatten();
                let queues = version.map(|version| version.version_task_queues).unwrap_or_default();
                let mut names: Vec<_> = queues.into_iter().map(|queue| queue.name).collect();
                names.sort();
                names.dedup();
                if !names.is_empty() {
                    return Ok(names);
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        let polled = tokio::time::timeout(within, wait).await;
        polled.unwrap_or_else(|_| Err(self.not_in_time("a poll by a worker of", build_id, within)))
    }

    /// Makes a version current that exists, with or without a worker that polls, and waits until new
    /// workflows go to it: one that is started earlier would wait in the task queue for a worker without
    /// a version.
    ///
    /// # Errors
    ///
    /// [`TemporalError::Rpc`].
    pub async fn make_current(&self, build_id: &str) -> Result<(), TemporalError> {
        let mut request = self.current_request(build_id);
        // When a function is not being called, nothing polls.
        request.ignore_missing_task_queues = true;
        request.allow_no_pollers = true;
        self.set_current(request).await?;
        self.routed().await
    }

    /// Makes a version current that need not exist: for a function that the test calls itself. The
    /// version comes into being by polls of `task_queue`, as a worker of it would make them; they are
    /// over when this returns, or is dropped.
    ///
    /// # Errors
    ///
    /// After `within`: [`TemporalError::Rpc`] with the server's last refusal, or
    /// [`TemporalError::NotInTime`] when there was none.
    pub async fn make_current_by_polling(
        &self,
        build_id: &str,
        task_queue: &str,
        within: Duration,
    ) -> Result<(), TemporalError> {
        let mut refusal = None;
        let set = async {
            while let Err(error) = self.set_current(self.current_request(build_id)).await {
                refusal = Some(error);
                tokio::time::sleep(RETRY).await;
            }
        };
        let set = async {
            tokio::select! {
                never = poll_as_worker(&self.client, &self.name, build_id, task_queue) => match never {},
                () = set => {}
            }
        };
        if tokio::time::timeout(within, set).await.is_err() {
            let late = self.not_in_time("making current", build_id, within);
            return Err(refusal.unwrap_or(late));
        }
        self.routed().await
    }

    /// Waits until the task queues know which versions get workflows, for 10 s at most.
    ///
    /// # Errors
    ///
    /// [`TemporalError::Rpc`].
    pub async fn routed(&self) -> Result<(), TemporalError> {
        let routed = async {
            loop {
                let known = unless_throttled(self.describe().await)?.flatten();
                let updating = RoutingConfigUpdateState::InProgress;
                if known.is_some_and(|it| it.routing_config_update_state() != updating) {
                    return Ok(());
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::time::timeout(ROUTING_TIMEOUT, routed).await.unwrap_or(Ok(()))
    }

    async fn set_current(
        &self,
        request: SetWorkerDeploymentCurrentVersionRequest,
    ) -> Result<(), TemporalError> {
        let mut service = self.client.clone();
        let answer = service.set_worker_deployment_current_version(request.into_request()).await;
        answer.map(drop).map_err(TemporalError::refused("making the version current"))
    }

    fn current_request(&self, build_id: &str) -> SetWorkerDeploymentCurrentVersionRequest {
        SetWorkerDeploymentCurrentVersionRequest {
            namespace: self.client.namespace(),
            deployment_name: self.name.clone(),
            build_id: build_id.to_owned(),
            identity: self.identity(),
            ..Default::default()
        }
    }

    fn version(&self, build_id: &str) -> WorkerDeploymentVersion {
        let (deployment_name, build_id) = (self.name.clone(), build_id.to_owned());
        WorkerDeploymentVersion { deployment_name, build_id }
    }

    fn identity(&self) -> String {
        self.client.connection().identity().to_owned()
    }

    fn not_in_time(&self, what: &str, build_id: &str, within: Duration) -> TemporalError {
        TemporalError::NotInTime {
            what: format!("{what} {}:{build_id}", self.name),
            within,
            hint:
                "the worker's deployment name and build ID must be these; its log says what else \
                   went wrong"
                    .to_owned(),
        }
    }
}

/// An answer, or `None` when there is no such thing.
fn if_found<T>(
    answer: Result<Response<T>, Status>,
    what: &'static str,
) -> Result<Option<T>, TemporalError> {
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(TemporalError::refused(what)(status)),
    }
}

/// An answer, or `None` when the server was asked too often and may be asked again.
fn unless_throttled<T>(answer: Result<T, TemporalError>) -> Result<Option<T>, TemporalError> {
    match answer {
        Err(error) if error.code() == Some(Code::ResourceExhausted) => Ok(None),
        answer => answer.map(Some),
    }
}
