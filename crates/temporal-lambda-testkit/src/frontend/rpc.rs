//! The RPCs of a worker, by name.

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
}

impl std::fmt::Display for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
