//! What the frontend saw, and waiting for it.

use super::{DEFAULT_WAIT, DeploymentVersion, FrontendError, MockFrontend, Rpc, rpc::Told};
use bytes::Bytes;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// One call, as it came in.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Seen {
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
}

impl Seen {
    pub(crate) fn new(rpc: Rpc, request: Bytes, told: Told) -> Self {
        Self {
            rpc,
            at: Instant::now(),
            namespace: told.namespace,
            identity: told.identity,
            task_queue: told.task_queue,
            sticky_queue: told.sticky_queue,
            worker_instance_key: told.worker_instance_key,
            deployment_version: told.deployment_version,
            request,
        }
    }

    /// The request as a message.
    ///
    /// # Errors
    /// When the request is not of that type.
    pub fn decode<M: prost::Message + Default>(&self) -> Result<M, prost::DecodeError> {
        M::decode(self.request.clone())
    }
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen")
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

impl MockFrontend {
    /// Every call so far, oldest first, also the refused and the scripted ones. A call over
    /// loopback that was refused for its compression never got this far.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// How many calls of one RPC there were.
    pub fn count(&self, rpc: Rpc) -> usize {
        let state = self.lock();
        state.seen.iter().filter(|seen| seen.rpc == rpc).count()
    }

    /// The long polls for tasks, past and open.
    pub fn polls(&self) -> Vec<Seen> {
        self.seen_where(|seen| seen.rpc.is_poll())
    }

    /// The reports of ended tasks: completed, failed and canceled.
    pub fn completions(&self) -> Vec<Seen> {
        self.seen_where(|seen| seen.rpc.is_completion())
    }

    /// The goodbyes of workers.
    pub fn shutdown_workers(&self) -> Vec<Seen> {
        self.seen_where(|seen| seen.rpc == Rpc::ShutdownWorker)
    }

    /// The identities that called, each once, in order of appearance.
    pub fn identities(&self) -> Vec<String> {
        let mut identities: Vec<String> = Vec::new();
        for seen in &self.lock().seen {
            if !seen.identity.is_empty() && !identities.contains(&seen.identity) {
                identities.push(seen.identity.clone());
            }
        }
        identities
    }

    /// Waits until `condition` holds, for at most [`DEFAULT_WAIT`] on tokio's clock. The condition
    /// is looked at after every change of the frontend. Cancel safe.
    ///
    /// # Errors
    /// [`FrontendError::TimedOut`], with what was seen by then.
    pub async fn wait_until(
        &self,
        condition: impl FnMut(&Self) -> bool,
    ) -> Result<(), FrontendError> {
        self.wait_until_within(DEFAULT_WAIT, condition).await
    }

    /// [`MockFrontend::wait_until`] with a bound of its own.
    ///
    /// # Errors
    /// [`FrontendError::TimedOut`], with what was seen by then.
    pub async fn wait_until_within(
        &self,
        bound: Duration,
        mut condition: impl FnMut(&Self) -> bool,
    ) -> Result<(), FrontendError> {
        let until = Instant::now() + bound;
        // The condition takes the lock itself, so it is asked between two looks at the state.
        loop {
            let changes = self.inner.changes.subscribe();
            let before = *changes.borrow();
            if condition(self) {
                return Ok(());
            }
            self.watch_state(Some(until), |_| {
                (*self.inner.changes.borrow() != before).then_some(())
            })
            .await
            .ok_or_else(|| self.timed_out("a condition", bound))?;
        }
    }

    pub(super) fn timed_out(&self, what: impl Into<String>, waited: Duration) -> FrontendError {
        let mut counts = BTreeMap::new();
        let state = self.lock();
        for seen in &state.seen {
            *counts.entry(seen.rpc.clone()).or_insert(0_usize) += 1;
        }
        let seen = counts.iter().map(|(rpc, count)| format!("{count} {rpc}")).collect::<Vec<_>>();
        FrontendError::TimedOut {
            what: what.into(),
            waited,
            seen: if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") },
            unsupported: state.workflows.unsupported.clone(),
        }
    }

    fn seen_where(&self, wanted: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let state = self.lock();
        state.seen.iter().filter(|seen| wanted(seen)).cloned().collect()
    }
}
