//! Polls as a worker of a version makes them: they bring the version into being.

use std::{convert::Infallible, time::Duration};

use temporalio_client::{Client, NamespacedClient as _, tonic::IntoRequest as _};
use temporalio_common::protos::temporal::api::{
    deployment::v1::WorkerDeploymentOptions,
    enums::v1::WorkerVersioningMode,
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{PollActivityTaskQueueRequest, PollWorkflowTaskQueueRequest},
};

/// How long to wait after a refusal.
const RETRY: Duration = Duration::from_millis(100);

/// Polls for workflow and for activity tasks, again and again.
pub(super) async fn poll_as_worker(
    client: &Client,
    deployment_name: &str,
    build_id: &str,
    task_queue: &str,
) -> Infallible {
    let task_queue = Some(TaskQueue { name: task_queue.to_owned(), ..Default::default() });
    let deployment_options = Some(WorkerDeploymentOptions {
        deployment_name: deployment_name.to_owned(),
        build_id: build_id.to_owned(),
        worker_versioning_mode: WorkerVersioningMode::Versioned.into(),
    });
    let workflows = PollWorkflowTaskQueueRequest {
        namespace: client.namespace(),
        task_queue: task_queue.clone(),
        identity: client.connection().identity().to_owned(),
        deployment_options: deployment_options.clone(),
        ..Default::default()
    };
    let activities = PollActivityTaskQueueRequest {
        namespace: client.namespace(),
        task_queue,
        identity: client.connection().identity().to_owned(),
        deployment_options,
        ..Default::default()
    };
    let connection = client.connection();
    let (mut one, mut two) = (connection.workflow_service(), connection.workflow_service());
    loop {
        let one = one.poll_workflow_task_queue(workflows.clone().into_request());
        let two = two.poll_activity_task_queue(activities.clone().into_request());
        if let (Err(_), Err(_)) = tokio::join!(one, two) {
            // A server that throttles them must not be asked again at once.
            tokio::time::sleep(RETRY).await;
        }
    }
}
