//! Temporal's side of an invocation: connecting, and a worker per invocation whose polls end without losing a task.
//!
//! # How polling ends
//!
//! If a client drops a poll just as the server hands out a task to it, the task is lost until its
//! timeout. So the last polls are waited for. The SDK's worker calls the server through a [gate](gate),
//! which writes every poll, task and answer into one account, [`in_flight`]. When the worker was idle,
//! or the stop time is near, the lifecycle goes from polling to quiescing, and `Gate::quiesce`
//!
//! 1. holds back polls that have not begun. To the SDK they are slow polls.
//! 2. gives up the sticky queue. Completions ask for it no longer (with a known stop time, from 3.15 s
//!    before it). While a poll is under way there, the server is told to close that queue (by `ShutdownWorker`
//!    with its name): the poll ends, and later tasks of its workflows go to the normal queue. Without a
//!    poll, a task that waits on the queue would wait for its timeout. A server that refuses calls for their
//!    number is asked for up to 3 s.
//! 3. waits for the polls under way. The server answers a poll 1 s before the time that it asks for is
//!    over, so each asks for a time that ends when polling may end, and lasts 1.25 s at least. If the
//!    namespace has `worker_poll_complete_on_shutdown`, an idle worker says that it shuts down, and
//!    the server ends its polls within a round trip. That loses no task in the last second of a poll, in which
//!    the server does not pass it on to another partition of the task queue.
//! 4. waits until the worker has seen each task that a poll brought, and says `PollsEnded`.
//!
//! If a poll brings a task and there is time, polls begin again. Otherwise draining begins, and the
//! SDK's core is shut down in that moment: it drops the polls that are held back, of which the server
//! knows nothing, and its grace period begins with the lifecycle's.
//!
//! Polls are not waited for after a cancellation, when the server is silent for 0.3 s after their time,
//! while they are in the SDK's back-off, or if they are for Nexus tasks, which the SDK does not serve.
//! Workflow tasks that a dropped worker has not answered are failed by the gate: the server hands them
//! out again at once.

mod core;
mod diagnosis;
mod gate;
mod in_flight;
mod interceptors;
mod sdk;
mod worker;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::config::LambdaWorkerConfig;
use crate::connection::Link;
use crate::error::Fault;
use crate::invocation::Invocation;
use crate::lifecycle::Input;
use crate::report::WorkerReport;

pub(crate) use sdk::Sdk;

/// What a worker needs from the driver.
pub(crate) struct Ports {
    /// Takes the worker's inputs to the lifecycle.
    pub(crate) inputs: UnboundedSender<Input<Fault>>,
    /// Tracks every task of the worker for as long as it runs.
    pub(crate) running: TaskTracker,
    pub(crate) invocation: Invocation,
    /// When polling ends in any case. `None`: there is no deadline.
    pub(crate) stop: Option<Instant>,
    /// When polling will end if the worker stays quiet; `None`: not known.
    pub(crate) next_idle_end: watch::Receiver<Option<Instant>>,
}

/// The Temporal side of an invocation. The real one is [`Sdk`]; tests have a scripted one.
pub(crate) trait Temporal: Send + Sync + 'static {
    /// Connects, over the channel of an earlier invocation or a new one.
    fn connect(&self, config: &LambdaWorkerConfig) -> BoxFuture<'static, Result<Link, Fault>>;

    /// Begins to create a worker on a thread of its own. The worker sends [`Input::WorkerCreated`] or
    /// [`Input::Failed`], and when it has ended [`Input::WorkerStopped`] or
    /// [`Input::WorkerFailed`].
    fn launch(&self, link: &Link, config: &LambdaWorkerConfig, ports: Ports) -> Box<dyn Launched>;

    /// Drops the kept channel; its socket closes when no invocation uses it any more.
    fn forget(&self);
}

/// A worker that was launched. All of these return at once.
pub(crate) trait Launched: Send {
    /// Lets the worker poll.
    fn poll(&self);
    /// Lets no poll begin any more, since the worker is `idle` or the stop time is near. The worker sends
    /// [`Input::PollsEnded`] when no poll is under way.
    fn hold_polls(&self, idle: bool);
    /// Lets polls begin again.
    fn resume_polls(&self);
    /// Ends the polls and shuts the worker down; it ends when its tasks have ended.
    fn stop(&self);
    /// Drops the activities that are still in flight.
    fn abandon_activities(&self);
    /// Drops the worker, whatever it is doing.
    fn abandon(&self);
    /// Unregisters the worker from its connection. Doing so again does nothing.
    fn finalize(&self);
    /// The worker's figures so far.
    fn report(&self) -> WorkerReport;
    /// The fault of the server, if it let the worker not poll at all or, for a worker that was `given_up`, not
    /// end.
    fn server_fault(&self, given_up: bool) -> Option<Fault>;
}
