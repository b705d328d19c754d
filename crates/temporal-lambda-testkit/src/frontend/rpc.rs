//! The RPCs of a worker, and what their requests say about the caller.

use prost::Message as _;
use temporalio_common::protos::temporal::api::{
    deployment::v1::WorkerDeploymentOptions,
    enums::v1::{TaskQueueKind, WorkerVersioningMode},
    taskqueue::v1::TaskQueue,
    workflowservice::v1 as api,
};

macro_rules! rpcs {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// An RPC of the Temporal frontend, by the name it has in the API.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Rpc {
            $($(#[$doc])+ $name,)+
            /// Any other RPC, by its name. Unscripted it is answered with `UNIMPLEMENTED`.
            Other(String),
        }

        impl Rpc {
            /// The RPC of this name (`"PollWorkflowTaskQueue"`).
            pub fn named(name: &str) -> Self {
                match name {
                    $(stringify!($name) => Self::$name,)+
                    other => Self::Other(other.to_owned()),
                }
            }

            /// The name of the RPC in the API.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$name => stringify!($name),)+
                    Self::Other(name) => name,
                }
            }
        }
    };
}

rpcs! {
    /// The first call of every connection: the server's version and capabilities.
    GetSystemInfo,
    /// A worker's first call: does the namespace exist, and what can it do?
    DescribeNamespace,
    /// Long poll for workflow tasks, on the normal and on the sticky queue.
    PollWorkflowTaskQueue,
    /// Long poll for activity tasks.
    PollActivityTaskQueue,
    /// Long poll for Nexus tasks.
    PollNexusTaskQueue,
    /// A workflow task's commands.
    RespondWorkflowTaskCompleted,
    /// A workflow task that the worker could not do.
    RespondWorkflowTaskFailed,
    /// An activity's result.
    RespondActivityTaskCompleted,
    /// An activity's failure.
    RespondActivityTaskFailed,
    /// An activity that honored its cancellation.
    RespondActivityTaskCanceled,
    /// An activity's heartbeat.
    RecordActivityTaskHeartbeat,
    /// The answer to a query.
    RespondQueryTaskCompleted,
    /// A Nexus task's result.
    RespondNexusTaskCompleted,
    /// A Nexus task's failure.
    RespondNexusTaskFailed,
    /// A worker's own heartbeat.
    RecordWorkerHeartbeat,
    /// A worker shuts down; a server may end its long polls.
    ShutdownWorker,
    /// A worker gives up its sticky queue for one workflow.
    ResetStickyTaskQueue,
    /// A client starts a workflow.
    StartWorkflowExecution,
}

impl Rpc {
    /// Whether this is one of the long polls for tasks.
    pub fn is_poll(&self) -> bool {
        matches!(
            self,
            Self::PollWorkflowTaskQueue | Self::PollActivityTaskQueue | Self::PollNexusTaskQueue
        )
    }

    /// Whether this reports the end of a task: completed, failed or canceled.
    pub fn is_completion(&self) -> bool {
        matches!(
            self,
            Self::RespondWorkflowTaskCompleted
                | Self::RespondWorkflowTaskFailed
                | Self::RespondActivityTaskCompleted
                | Self::RespondActivityTaskFailed
                | Self::RespondActivityTaskCanceled
                | Self::RespondQueryTaskCompleted
                | Self::RespondNexusTaskCompleted
                | Self::RespondNexusTaskFailed
        )
    }
}

impl std::fmt::Display for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
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

/// What a request says about its sender; empty where the message has no such field.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestInfo {
    pub(crate) namespace: String,
    pub(crate) identity: String,
    pub(crate) task_queue: String,
    pub(crate) sticky_queue: Option<String>,
    pub(crate) worker_instance_key: String,
    pub(crate) deployment_version: Option<DeploymentVersion>,
}

/// Reads a request, by a table: the RPC, its message, and the fields that [`RequestInfo`] takes from it.
/// Each message has a namespace.
macro_rules! read {
    ($info:ident, $rpc:ident, $bytes:ident:
     $($name:ident($request:ident) { $($field:ident)* })*) => {
        match $rpc {
            $(Rpc::$name => if let Ok(message) = api::$request::decode($bytes) {
                $info.namespace = message.namespace;
                $(read!(@$field $info, message);)*
            })*
            _ => {}
        }
    };
    (@identity $info:ident, $message:ident) => { $info.identity = $message.identity };
    (@worker_instance_key $info:ident, $message:ident) => {
        $info.worker_instance_key = $message.worker_instance_key
    };
    (@deployment_options $info:ident, $message:ident) => {
        $info.deployment_version = version($message.deployment_options)
    };
    (@task_queue $info:ident, $message:ident) => { $info.queue($message.task_queue) };
    (@worker_heartbeat $info:ident, $message:ident) => {
        if let Some(heartbeat) = $message.worker_heartbeat.into_iter().next() {
            $info.worker_instance_key = heartbeat.worker_instance_key;
            $info.task_queue = heartbeat.task_queue;
        }
    };
    // Where the two queues are fields of their own.
    (@queues $info:ident, $message:ident) => {
        $info.task_queue = $message.task_queue;
        $info.sticky_queue = Some($message.sticky_task_queue).filter(|name| !name.is_empty());
    };
}

impl RequestInfo {
    /// Reads a request. All fields stay empty when it cannot be decoded.
    pub(crate) fn read(rpc: &Rpc, bytes: &[u8]) -> Self {
        let mut info = Self::default();
        read! {
            info, rpc, bytes:
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
        info
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

fn version(options: Option<WorkerDeploymentOptions>) -> Option<DeploymentVersion> {
    let options = options?;
    Some(DeploymentVersion {
        versioned: options.worker_versioning_mode() == WorkerVersioningMode::Versioned,
        deployment_name: options.deployment_name,
        build_id: options.build_id,
    })
}
