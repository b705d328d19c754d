//! The worker's identity in its polls, and the requests that tell the server of its shutdown.

use std::sync::{Mutex, PoisonError};

use prost::Message as _;
use temporalio_client::callback_based::GrpcRequest;
use temporalio_common::protos::temporal::api::enums::v1::{TaskQueueKind, TaskQueueType};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PollActivityTaskQueueRequest, PollWorkflowTaskQueueRequest, ShutdownWorkerRequest,
};
use uuid::Uuid;

/// The worker as its polls name it. Only polls have the name of its sticky queue.
#[derive(Default)]
pub(super) struct Identity(Mutex<Named>);

#[derive(Default)]
struct Named {
    shutdown: ShutdownWorkerRequest,
    /// Replaces the SDK's instance key once the server was told of a shutdown and the worker polls on
    /// after all.
    instance_key: Option<String>,
}

impl Identity {
    /// Notes the identity in a poll. Returns the poll with the instance key in force.
    pub(super) fn sign(&self, mut call: GrpcRequest) -> GrpcRequest {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        macro_rules! sign {
            ($request:ident, $of_type:ident) => {
                if let Ok(mut poll) = $request::decode(&*call.proto) {
                    if let Some(key) = &named.instance_key {
                        poll.worker_instance_key.clone_from(key);
                        call.proto = poll.encode_to_vec().into();
                    }
                    named.shutdown.namespace = poll.namespace;
                    named.shutdown.identity = poll.identity;
                    named.shutdown.worker_instance_key = poll.worker_instance_key;
                    named.note_queue(poll.task_queue, TaskQueueType::$of_type);
                }
            };
        }
        match call.rpc.as_str() {
            "PollWorkflowTaskQueue" => sign!(PollWorkflowTaskQueueRequest, Workflow),
            "PollActivityTaskQueue" => sign!(PollActivityTaskQueueRequest, Activity),
            _ => {}
        }
        call
    }

    /// The request that tells the server of this worker's shutdown; `None` if it never polled.
    pub(super) fn shutdown(&self) -> Option<ShutdownWorkerRequest> {
        let named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut request = named.shutdown.clone();
        "polling has stopped".clone_into(&mut request.reason);
        (!request.task_queue_types.is_empty()).then_some(request)
    }

    /// The request by which the server closes this worker's sticky queue, and ends no other poll: a server ends polls
    /// by their instance key, and the key here is new. `None`: the worker has no sticky queue.
    pub(super) fn sticky_queue_shutdown(&self) -> Option<ShutdownWorkerRequest> {
        let named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &named.shutdown;
        (!known.sticky_task_queue.is_empty()).then(|| ShutdownWorkerRequest {
            namespace: known.namespace.clone(),
            identity: known.identity.clone(),
            sticky_task_queue: known.sticky_task_queue.clone(),
            worker_instance_key: Uuid::new_v4().to_string(),
            reason: "polling may stop".to_owned(),
            ..Default::default()
        })
    }

    /// Gives polls a new instance key: a server that was told of a shutdown need not give tasks to the key that shut
    /// down.
    pub(super) fn renew(&self) {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        named.instance_key = Some(Uuid::new_v4().to_string());
    }
}

impl Named {
    /// Notes a task queue that is polled.
    fn note_queue(&mut self, queue: Option<TaskQueue>, of_type: TaskQueueType) {
        let Some(queue) = queue else { return };
        if queue.kind() == TaskQueueKind::Sticky {
            self.shutdown.sticky_task_queue = queue.name;
            return;
        }
        self.shutdown.task_queue = queue.name;
        if !self.shutdown.task_queue_types.contains(&of_type.into()) {
            self.shutdown.task_queue_types.push(of_type.into());
        }
    }
}
