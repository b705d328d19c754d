//! Calls as the frontend keeps them: what came in, and what its request says of the caller.

use bytes::Bytes;
use http::HeaderMap;
use prost::Message;
use temporalio_common::protos::temporal::api::{
    deployment::v1::WorkerDeploymentOptions,
    enums::v1::{TaskQueueKind, WorkerVersioningMode},
    taskqueue::v1::TaskQueue,
    workflowservice::v1 as api,
};
use tokio::time::Instant;

use super::rpc::Rpc;

/// One call, as it came in.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct RecordedCall {
    /// Which RPC.
    pub rpc: Rpc,
    /// When it came in, on tokio's clock.
    pub at: Instant,
    /// The namespace in the request; empty for RPCs without one.
    pub namespace: String,
    /// The caller's identity; empty where the request has none.
    pub identity: String,
    /// The (normal) task queue; empty where the request has none.
    pub task_queue: String,
    /// The sticky queue, of a poll on one and of `ShutdownWorker`.
    pub sticky_queue: Option<String>,
    /// The worker's instance key; empty where the request has none.
    pub worker_instance_key: String,
    /// The deployment version that the worker says it is.
    pub deployment_version: Option<DeploymentVersion>,
    /// The request itself, in protobuf.
    pub request: Bytes,
    pub(super) metadata: HeaderMap,
    pub(super) authority: Option<String>,
}

/// The deployment version that a worker names in its requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DeploymentVersion {
    /// The name of the worker deployment.
    pub deployment_name: String,
    /// The build ID within it.
    pub build_id: String,
    /// Whether the worker uses worker versioning.
    pub versioned: bool,
}

/// Reads a request, by a table: the RPC, its message, and the fields that [`RecordedCall`] takes from it.
/// Each message has a namespace.
macro_rules! read {
    ($call:ident, $rpc:ident, $bytes:ident:
     $($name:ident($request:ident) { $($field:ident)* })*) => {
        match $rpc {
            $(Rpc::$name => if let Ok(message) = api::$request::decode($bytes) {
                $call.namespace = message.namespace;
                $(read!(@$field $call, message);)*
            })*
            _ => {}
        }
    };
    (@identity $call:ident, $message:ident) => { $call.identity = $message.identity };
    (@worker_instance_key $call:ident, $message:ident) => {
        $call.worker_instance_key = $message.worker_instance_key
    };
    (@deployment_options $call:ident, $message:ident) => {
        $call.deployment_version = version($message.deployment_options)
    };
    (@task_queue $call:ident, $message:ident) => { $call.queue($message.task_queue) };
    (@worker_heartbeat $call:ident, $message:ident) => {
        if let Some(heartbeat) = $message.worker_heartbeat.into_iter().next() {
            $call.worker_instance_key = heartbeat.worker_instance_key;
            $call.task_queue = heartbeat.task_queue;
        }
    };
    // Where the two queues are fields of their own.
    (@queues $call:ident, $message:ident) => {
        $call.task_queue = $message.task_queue;
        $call.sticky_queue = Some($message.sticky_task_queue).filter(|name| !name.is_empty());
    };
}

impl RecordedCall {
    /// Reads a request. What it says of the caller stays empty when it cannot be decoded.
    pub(super) fn read(rpc: Rpc, request: Bytes, metadata: HeaderMap) -> Self {
        let bytes = request.clone();
        let mut call = Self {
            rpc,
            at: Instant::now(),
            namespace: String::new(),
            identity: String::new(),
            task_queue: String::new(),
            sticky_queue: None,
            worker_instance_key: String::new(),
            deployment_version: None,
            request,
            metadata,
            authority: None,
        };
        let rpc = call.rpc.clone();
        read! {
            call, rpc, bytes:
            DescribeNamespace(DescribeNamespaceRequest) {}
            PollWorkflowTaskQueue(PollWorkflowTaskQueueRequest) {
                identity worker_instance_key deployment_options task_queue
            }
            PollActivityTaskQueue(PollActivityTaskQueueRequest) {
                identity worker_instance_key deployment_options task_queue
            }
            PollNexusTaskQueue(PollNexusTaskQueueRequest) {
                identity worker_instance_key deployment_options task_queue
            }
            RespondWorkflowTaskCompleted(RespondWorkflowTaskCompletedRequest) {
                identity worker_instance_key deployment_options
            }
            RespondWorkflowTaskFailed(RespondWorkflowTaskFailedRequest) {
                identity deployment_options
            }
            RespondActivityTaskCompleted(RespondActivityTaskCompletedRequest) {
                identity deployment_options
            }
            RespondActivityTaskFailed(RespondActivityTaskFailedRequest) {
                identity deployment_options
            }
            RespondActivityTaskCanceled(RespondActivityTaskCanceledRequest) {
                identity deployment_options
            }
            RecordActivityTaskHeartbeat(RecordActivityTaskHeartbeatRequest) { identity }
            RecordWorkerHeartbeat(RecordWorkerHeartbeatRequest) { identity worker_heartbeat }
            ShutdownWorker(ShutdownWorkerRequest) { identity worker_instance_key queues }
            ResetStickyTaskQueue(ResetStickyTaskQueueRequest) {}
            StartWorkflowExecution(StartWorkflowExecutionRequest) { identity task_queue }
        }
        call
    }

    /// What came with the call under this name, such as `authorization`; `None` when there is none, or no
    /// text. It is not in the `Debug` form, since it may be a credential.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.get(name)?.to_str().ok()
    }

    /// The host that the call names (`:authority`), as proxies route by it; `None` for a call that came without a
    /// socket.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// The request as a message.
    ///
    /// # Errors
    /// When the request is not of that type.
    pub fn decode<M: Message + Default>(&self) -> Result<M, prost::DecodeError> {
        M::decode(self.request.clone())
    }

    fn queue(&mut self, queue: Option<TaskQueue>) {
        let queue = queue.unwrap_or_default();
        if queue.kind() == TaskQueueKind::Sticky {
            self.task_queue = queue.normal_name;
            self.sticky_queue = Some(queue.name);
        } else {
            self.task_queue = queue.name;
        }
    }
}

impl std::fmt::Debug for RecordedCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordedCall")
            .field("rpc", &self.rpc)
            .field("identity", &self.identity)
            .field("task_queue", &self.task_queue)
            .field("sticky_queue", &self.sticky_queue)
            .field("worker_instance_key", &self.worker_instance_key)
            .field("deployment_version", &self.deployment_version)
            .field("request_bytes", &self.request.len())
            .finish_non_exhaustive()
    }
}

fn version(options: Option<WorkerDeploymentOptions>) -> Option<DeploymentVersion> {
    let options = options?;
    Some(DeploymentVersion {
        versioned: options.worker_versioning_mode() == WorkerVersioningMode::Versioned,
        deployment_name: options.deployment_name,
        build_id: options.build_id,
    })
}
