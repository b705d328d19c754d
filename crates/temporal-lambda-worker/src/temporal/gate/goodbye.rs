//! Telling the server that a worker shuts down, before its core does.

use std::sync::{Arc, Mutex, PoisonError};

use prost::Message as _;
use temporalio_client::Connection;
use temporalio_client::callback_based::GrpcRequest;
use temporalio_client::tonic::IntoRequest as _;
use temporalio_common::protos::temporal::api::enums::v1::{TaskQueueKind, TaskQueueType};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PollActivityTaskQueueRequest, PollWorkflowTaskQueueRequest, ShutdownWorkerRequest,
};

use super::polls::Kind;

/// What a worker's polls say of it. Only they know the name of its sticky queue.
#[derive(Clone, Default)]
pub(super) struct Goodbye(Arc<Mutex<ShutdownWorkerRequest>>);

impl Goodbye {
    /// Notes what this poll says of its worker. Returns what it is for.
    pub(super) fn note(&self, poll: &GrpcRequest) -> Kind {
        let mut request = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (of_type, queue) = match poll.rpc.as_str() {
            "PollWorkflowTaskQueue" => {
                let Ok(poll) = PollWorkflowTaskQueueRequest::decode(&*poll.proto) else {
                    return Kind::Workflow;
                };
                request.namespace = poll.namespace;
                request.identity = poll.identity;
                request.worker_instance_key = poll.worker_instance_key;
                (TaskQueueType::Workflow, poll.task_queue)
            }
            "PollActivityTaskQueue" => {
                let Ok(poll) = PollActivityTaskQueueRequest::decode(&*poll.proto) else {
                    return Kind::Other;
                };
                request.namespace = poll.namespace;
                request.identity = poll.identity;
                request.worker_instance_key = poll.worker_instance_key;
                (TaskQueueType::Activity, poll.task_queue)
            }
            _ => return Kind::Other,
        };
        match queue {
            Some(TaskQueue { name, kind, .. }) if kind == TaskQueueKind::Sticky as i32 => {
                request.sticky_task_queue = name;
                return Kind::Sticky;
            }
            Some(TaskQueue { name, .. }) => {
                request.task_queue = name;
                if !request.task_queue_types.contains(&(of_type as i32)) {
                    request.task_queue_types.push(of_type as i32);
                }
            }
            None => {}
        }
        if of_type == TaskQueueType::Workflow { Kind::Workflow } else { Kind::Other }
    }

    /// Says it. Whether it was heard does not matter: the core says it again, and polls are not
    /// waited for for ever.
    pub(super) async fn say(&self, connection: &Connection) {
        let mut request = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if request.task_queue_types.is_empty() {
            return;
        }
        request.reason = "polling has stopped".to_owned();
        let _ = connection.workflow_service().shutdown_worker(request.into_request()).await;
    }
}
