//! Calls as the frontend keeps them: those that came in, and the polls that are open.

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::rpc::{DeploymentVersion, RequestInfo, Rpc};

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
    metadata: HeaderMap,
}

impl RecordedCall {
    pub(super) fn new(rpc: Rpc, request: Bytes, metadata: HeaderMap, info: RequestInfo) -> Self {
        Self {
            rpc,
            at: Instant::now(),
            namespace: info.namespace,
            identity: info.identity,
            task_queue: info.task_queue,
            sticky_queue: info.sticky_queue,
            worker_instance_key: info.worker_instance_key,
            deployment_version: info.deployment_version,
            request,
            metadata,
        }
    }

    /// What came with the call under this name, such as `authorization`; `None` when there is none, or no
    /// text. It is not in the `Debug` form, since it may be a credential.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.get(name)?.to_str().ok()
    }

    /// The request as a message.
    ///
    /// # Errors
    /// When the request is not of that type.
    pub fn decode<M: prost::Message + Default>(&self) -> Result<M, prost::DecodeError> {
        M::decode(self.request.clone())
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

/// A long poll that waits for its answer, also one that hangs by a script.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OpenPoll {
    /// Which kind of task it waits for.
    pub rpc: Rpc,
    /// The (normal) task queue.
    pub task_queue: String,
    /// The sticky queue, if it polls that.
    pub sticky_queue: Option<String>,
    /// The worker's identity.
    pub identity: String,
    /// The worker's instance key.
    pub worker_instance_key: String,
    /// Since when it waits, on tokio's clock.
    pub since: Instant,
}

impl OpenPoll {
    pub(super) fn new(rpc: Rpc, info: &RequestInfo) -> Self {
        Self {
            rpc,
            task_queue: info.task_queue.clone(),
            sticky_queue: info.sticky_queue.clone(),
            identity: info.identity.clone(),
            worker_instance_key: info.worker_instance_key.clone(),
            since: Instant::now(),
        }
    }
}
