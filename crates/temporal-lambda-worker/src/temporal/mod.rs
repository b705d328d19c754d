//! Temporal, as the driver needs it: something to connect to, and something that makes workers.

mod connect;
mod fit;
mod flight;
mod gate;
mod leave;
mod sdk;
mod worker;

use futures_util::future::BoxFuture;
use temporalio_client::Connection;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::config::LambdaWorkerConfig;
use crate::error::Fault;
use crate::invocation::Invocation;
use crate::lifecycle::{Ending, Input};
use crate::report::{ConnectionUse, TaskCounts};

pub(crate) use gate::Namespaces;
pub(crate) use sdk::Sdk;
#[cfg(feature = "otel")]
pub(crate) use worker::is_workflow_thread;

/// A connection for one invocation, under that invocation's identity.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) connection: Connection,
    pub(crate) how: ConnectionUse,
    pub(crate) namespaces: Namespaces,
}

/// What a worker needs from the driver.
pub(crate) struct Ports {
    /// Where the worker says what happens.
    pub(crate) inputs: UnboundedSender<Input<Fault>>,
    /// Knows all that runs for the worker, as long as it runs.
    pub(crate) running: TaskTracker,
    pub(crate) invocation: Invocation,
    /// When polling ends in any case. `None`: there is no deadline.
    pub(crate) stop: Option<Instant>,
    /// When polling will end if nothing changes; `None`: not by itself.
    pub(crate) next_stop: watch::Receiver<Option<Instant>>,
}

/// The Temporal side of an invocation. The real one is [`Sdk`]; tests have a scripted one.
pub(crate) trait Temporal: Send + Sync + 'static {
    /// Connects, or takes over the connection of an earlier invocation.
    fn connect(&self, config: &LambdaWorkerConfig) -> BoxFuture<'static, Result<Link, Fault>>;

    /// Begins to create a worker on a thread of its own. It says [`Input::WorkerCreated`] or
    /// [`Input::Failed`], and when it has ended [`Input::WorkerStopped`] or
    /// [`Input::WorkerFailed`].
    fn launch(&self, link: &Link, config: &LambdaWorkerConfig, ports: Ports) -> Box<dyn Launched>;

    /// Lets go of the kept connection; its socket closes as soon as nobody uses it.
    fn forget(&self);
}

/// A worker that was launched. All of these return at once.
pub(crate) trait Launched: Send {
    /// Lets it poll.
    fn poll(&self);
    /// Stops polling; it ends when what is in flight has ended.
    fn stop(&self, why: Option<Ending>);
    /// Drops the activities that are still in flight.
    fn abandon_activities(&self);
    /// Drops the worker wherever it stands.
    fn abandon(&self);
    /// Unregisters the worker from its connection. More than once is as good as once.
    fn finalize(&self);
    /// What became of tasks so far.
    fn tasks(&self) -> TaskCounts;
}
