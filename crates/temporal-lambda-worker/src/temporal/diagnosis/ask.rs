//! The questions to the server that diagnoses need. They are asked only when something looks odd.

use std::time::Duration;

use temporalio_client::Connection;
use temporalio_client::tonic::{Code, IntoRequest as _};
use temporalio_common::protos::temporal::api::deployment::v1::{
    WorkerDeploymentInfo, WorkerDeploymentVersion as Version,
};
use temporalio_common::protos::temporal::api::enums::v1::TaskQueueType;
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeTaskQueueRequest, DescribeTaskQueueResponse, DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest, DescribeWorkerDeploymentVersionResponse,
};
use tokio::time::timeout;

use super::nothing::{Answers, Worker};

/// The server has this long to answer all questions that are asked together: 2 s. No exit waits for it.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// The server and namespace that are asked.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) connection: Connection,
    pub(super) namespace: String,
}

impl Asked {
    /// Asks why this worker has no task. An answer that fails to come is left out.
    pub(super) async fn about(&self, worker: &Worker) -> Answers {
        let asking = async {
            tokio::join!(
                self.version(worker),
                self.deployment(worker),
                self.task_queue(worker, TaskQueueType::Workflow),
                self.task_queue(worker, TaskQueueType::Activity),
            )
        };
        let Ok((version, deployment, workflows, activities)) =
            timeout(ANSWERED_WITHIN, asking).await
        else {
            return Answers::default();
        };
        let backlog = match (backlog(workflows.as_ref()), backlog(activities.as_ref())) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0) + other.unwrap_or(0)),
        };
        let routed = workflows.and_then(|it| it.versioning_info).unwrap_or_default();
        Answers {
            version,
            deployment,
            backlog,
            queue_current: routed.current_deployment_version,
            queue_ramping: routed.ramping_deployment_version,
        }
    }

    /// Asks how many activities wait on the worker's task queue; `None`: no answer.
    pub(super) async fn waiting_activities(&self, worker: &Worker) -> Option<i64> {
        let asking = self.task_queue(worker, TaskQueueType::Activity);
        backlog(timeout(ANSWERED_WITHIN, asking).await.ok()?.as_ref())
    }

    async fn version(
        &self,
        worker: &Worker,
    ) -> Result<DescribeWorkerDeploymentVersionResponse, Code> {
        let request = DescribeWorkerDeploymentVersionRequest {
            namespace: self.namespace.clone(),
            deployment_version: Some(Version {
                deployment_name: worker.deployment_name.clone(),
                build_id: worker.build_id.clone(),
            }),
            report_task_queue_stats: true,
            ..Default::default()
        };
        let mut service = self.connection.workflow_service();
        let answer = service.describe_worker_deployment_version(request.into_request()).await;
        answer.map(|it| it.into_inner()).map_err(|status| {
            tracing::debug!(%status, "the server does not say why no task comes");
            status.code()
        })
    }

    async fn deployment(&self, worker: &Worker) -> Option<WorkerDeploymentInfo> {
        let request = DescribeWorkerDeploymentRequest {
            namespace: self.namespace.clone(),
            deployment_name: worker.deployment_name.clone(),
        };
        let mut service = self.connection.workflow_service();
        let answer = service.describe_worker_deployment(request.into_request()).await.ok()?;
        answer.into_inner().worker_deployment_info
    }

    async fn task_queue(
        &self,
        worker: &Worker,
        tasks: TaskQueueType,
    ) -> Option<DescribeTaskQueueResponse> {
        let name = worker.task_queue.clone();
        let request = DescribeTaskQueueRequest {
            namespace: self.namespace.clone(),
            task_queue: Some(TaskQueue { name, ..Default::default() }),
            task_queue_type: tasks.into(),
            report_stats: true,
            ..Default::default()
        };
        let mut service = self.connection.workflow_service();
        Some(service.describe_task_queue(request.into_request()).await.ok()?.into_inner())
    }
}

fn backlog(described: Option<&DescribeTaskQueueResponse>) -> Option<i64> {
    Some(described?.stats.as_ref()?.approximate_backlog_count)
}
