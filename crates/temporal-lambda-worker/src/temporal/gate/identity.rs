//! What polls say of their worker, and what the server is told of it when it stops polling.

use std::sync::{Mutex, PoisonError};

use prost::Message as _;
use temporalio_client::callback_based::GrpcRequest;
use temporalio_common::protos::temporal::api::enums::v1::{TaskQueueKind, TaskQueueType};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PollActivityTaskQueueRequest, PollWorkflowTaskQueueRequest, ShutdownWorkerRequest,
};
use uuid::Uuid;

/// The worker as its polls name it. Only they know the name of its sticky queue.
#[derive(Default)]
pub(super) struct Identity(Mutex<Named>);

#[derive(Default)]
struct Named {
    shutdown: ShutdownWorkerRequest,
    /// Takes the place of the SDK's key once the server was told that the worker stops, and it went
    /// on after all.
    instance_key: Option<String>,
}

impl Identity {
    /// Notes what this poll says of its worker. Returns the poll as the server may have it.
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

    /// What the server is told when this worker stops polling; `None` if it never polled.
    pub(super) fn shutdown(&self) -> Option<ShutdownWorkerRequest> {
        let named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut request = named.shutdown.clone();
        "polling has stopped".clone_into(&mut request.reason);
        (!request.task_queue_types.is_empty()).then_some(request)
    }

    /// What the server is told so that it closes the sticky queue of this worker, and nothing else: polls
    /// are ended by the key of their worker, and this one is nobody's. `None`: it has none.
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

    /// From now on polls are those of another worker instance: a server that was told of a shutdown
    /// need not give any task to the one that shut down.
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
