//! What users implement: the [`LambdaWorker`] trait, or a closure in its place.

use async_trait::async_trait;
use temporalio_client::Client;
use temporalio_common::worker::WorkerDeploymentVersion;
use tokio_util::sync::CancellationToken;

use crate::config::LambdaWorkerConfig;
use crate::error::BoxError;
use crate::hooks::Shutdown;
use crate::invocation::Invocation;

/// A Temporal worker that runs inside Lambda invocations.
///
/// Each invocation works on its own clone of the struct. What belongs to one invocation is a
/// [`PerInvocation`] field that `configure` fills and `on_shutdown` empties; what is shared across warm invocations sits
/// behind an [`Arc`](std::sync::Arc) in the struct that was handed to
/// [`run_worker`](crate::run_worker) or [`LambdaWorkerHandler::new`](crate::LambdaWorkerHandler::new).
///
/// The methods run on threads of their own, not on the caller's: one that blocks cannot keep the
/// invocation from returning in time.
///
/// # Cancel safety
/// Each method's future is dropped at an await point when its time is over or the invocation is
/// cancelled. `on_shutdown` runs after that nevertheless.
#[async_trait]
pub trait LambdaWorker: Clone + Send + 'static {
    /// Says what the worker is made of: registers workflows and activities, changes settings, adds
    /// shutdown hooks, makes per-invocation resources. Called once per invocation, first of all;
    /// what it takes counts against the time for work.
    ///
    /// # Errors
    /// An error ends the invocation; the hooks added so far and `on_shutdown` run.
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError>;

    /// Called once per invocation, when the worker is created and about to poll.
    ///
    /// # Errors
    /// An error ends the invocation before the worker has polled; hooks and `on_shutdown` run.
    async fn on_start(&mut self, running: &RunningWorker) -> Result<(), BoxError> {
        let _ = running;
        Ok(())
    }

    /// Called once per invocation, last of all, on every path on which `configure` was entered, but
    /// for one: it is not called while `configure` or `on_start` blocks its thread, since that one
    /// holds the struct.
    ///
    /// # Errors
    /// An error is logged and reported; it does not fail the invocation.
    async fn on_shutdown(&mut self, ending: &Shutdown) -> Result<(), BoxError> {
        ending.on_shutdown_is_default.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

/// A field of a [`LambdaWorker`] that belongs to one invocation: a clone of the struct starts with
/// it empty. Set it in `configure`, take it in `on_shutdown`.
///
/// It is for values that are not `Clone`. Where `T` is `Clone`, an `Option<T>` that is `None` in the struct
/// that [`run_worker`](crate::run_worker) was given does the same.
///
/// ```
/// use temporal_lambda_worker::PerInvocation;
///
/// struct Lease;
///
/// #[derive(Clone, Default)]
/// struct Orders {
///     lease: PerInvocation<Lease>,
/// }
///
/// let mut first = Orders::default();
/// first.lease.set(Lease);
/// let mut second = first.clone();
/// assert!(second.lease.take().is_none());
/// assert!(first.lease.take().is_some());
/// ```
#[derive(Debug)]
pub struct PerInvocation<T>(Option<T>);

impl<T> PerInvocation<T> {
    /// Holds `value` from now on; returns the value that it held before.
    pub fn set(&mut self, value: T) -> Option<T> {
        self.0.replace(value)
    }

    /// The value; `None` if none was set, or if it was taken.
    pub fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// The value, to be changed; `None` if none was set, or if it was taken.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_mut()
    }

    /// Takes the value out.
    pub fn take(&mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T> Default for PerInvocation<T> {
    /// Empty.
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Clone for PerInvocation<T> {
    /// Empty, whatever this one holds.
    fn clone(&self) -> Self {
        Self(None)
    }
}

/// A worker that is about to poll, as [`LambdaWorker::on_start`] sees it.
#[derive(Clone)]
#[non_exhaustive]
pub struct RunningWorker {
    /// A client with the invocation's connection options, on the channel that the worker uses too. It works until the
    /// invocation ends, in hooks and `on_shutdown`, too.
    pub client: Client,
    /// The task queue that the worker polls.
    pub task_queue: String,
    /// The version of its worker deployment that the worker polls as.
    pub version: WorkerDeploymentVersion,
    /// The worker's identity in workflow histories.
    pub identity: String,
    /// The facts of the invocation.
    pub invocation: Invocation,
    /// Cancelled when polling stops. Cancelling it stops polling: the invocation ends with reason
    /// [`Reason::Cancelled`](crate::Reason::Cancelled).
    pub stop: CancellationToken,
}

impl RunningWorker {
    /// A worker that does not run, for tests of an `on_start`. Its identity is that of the invocation.
    pub fn new(
        client: Client,
        task_queue: impl Into<String>,
        version: WorkerDeploymentVersion,
        invocation: Invocation,
    ) -> Self {
        let (identity, stop) = (invocation.identity(), CancellationToken::new());
        Self { client, task_queue: task_queue.into(), version, identity, invocation, stop }
    }
}

impl std::fmt::Debug for RunningWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client's Debug would print headers.
        f.debug_struct("RunningWorker")
            .field("task_queue", &self.task_queue)
            .field("version", &self.version)
            .field("identity", &self.identity)
            .field("invocation", &self.invocation)
            .finish_non_exhaustive()
    }
}
