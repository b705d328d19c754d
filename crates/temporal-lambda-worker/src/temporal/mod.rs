//! Temporal, as the driver needs it: something to connect to, and something that makes workers.
//!
//! # How polling ends
//!
//! A poll that is dropped may take a task with it: the server hands the task out in that moment,
//! nobody has it, and it waits for its timeout. So polls are not dropped; they end.
//!
//! A worker calls the server through a [gate](gate), which sees every poll and every answer to a
//! task, and keeps one account of them: [`in_flight`]. When the lifecycle goes from polling to
//! quiescing (the worker was idle, or the stop time is near), the gate
//!
//! 1. holds back polls that have not begun. The SDK's core sees slow polls, nothing else;
//! 2. takes the wish for a sticky queue out of completions (a second earlier, if the stop time is
//!    known). While a poll is on the sticky queue, it has the server close that queue (by
//!    `ShutdownWorker` with its name): the poll ends, and tasks that come later go to the normal
//!    queue. Then it resets the workflows that are sticky to this worker;
//! 3. waits for the polls under way. A poll ends 1 s before the time that it asks for, so each asked
//!    for no longer than until polling might end, and for 2.25 s at least. An idle worker on a
//!    server that ends the polls of a worker that shuts down (`worker_poll_complete_on_shutdown`)
//!    tells it so, and they end within a round trip;
//! 4. waits until every task that a poll brought has reached the worker, and says `PollsEnded`.
//!
//! A poll that brings a task while there is time to poll on leads back to polling, and the polls
//! that were held back begin. Else draining begins: the core is shut down in that moment, drops the
//! polls that are held back (which nobody else knows of), and its grace period is the lifecycle's.
//!
//! Not waited for: any poll after a cancellation, and a poll that the server leaves unanswered past
//! its time. Polls in the SDK's back-off are not under way, so they keep nobody waiting.
//!
//! What the worker leaves unanswered when it is dropped (a workflow task whose local activity was
//! too long, say) is failed by the gate, so that the server hands it out again at once.

mod channel;
mod connect;
mod core;
mod fit;
mod gate;
mod in_flight;
mod interceptors;
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
use crate::lifecycle::Input;
use crate::report::{ConnectionUse, WorkerReport};

pub(crate) use connect::Server;
pub(crate) use sdk::Sdk;
#[cfg(feature = "otel")]
pub(crate) use worker::is_workflow_thread;

/// A connection for one invocation, under that invocation's identity and with its credentials.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) connection: Connection,
    pub(crate) how: ConnectionUse,
    pub(crate) server: Server,
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
    /// When polling will end if the worker stays quiet; `None`: not known.
    pub(crate) next_idle_end: watch::Receiver<Option<Instant>>,
}

/// The Temporal side of an invocation. The real one is [`Sdk`]; tests have a scripted one.
pub(crate) trait Temporal: Send + Sync + 'static {
    /// Connects, over the channel of an earlier invocation or a new one.
    fn connect(&self, config: &LambdaWorkerConfig) -> BoxFuture<'static, Result<Link, Fault>>;

    /// Begins to create a worker on a thread of its own. It says [`Input::WorkerCreated`] or
    /// [`Input::Failed`], and when it has ended [`Input::WorkerStopped`] or
    /// [`Input::WorkerFailed`].
    fn launch(&self, link: &Link, config: &LambdaWorkerConfig, ports: Ports) -> Box<dyn Launched>;

    /// Lets go of the kept channel; its socket closes as soon as nobody uses it.
    fn forget(&self);
}

/// A worker that was launched. All of these return at once.
pub(crate) trait Launched: Send {
    /// Lets it poll.
    fn poll(&self);
    /// Lets no poll begin any more, since the worker is `idle` or the stop time is near; it says
    /// [`Input::PollsEnded`] when none is under way.
    fn hold_polls(&self, idle: bool);
    /// Lets polls begin again.
    fn resume_polls(&self);
    /// Ends polls and shuts it down; it ends when what is in flight has ended.
    fn stop(&self);
    /// Drops the activities that are still in flight.
    fn abandon_activities(&self);
    /// Drops the worker wherever it stands.
    fn abandon(&self);
    /// Takes the worker out of its connection. Doing so again does nothing.
    fn finalize(&self);
    /// What it has done so far.
    fn report(&self) -> WorkerReport;
    /// The fault of the server towards a worker that could not poll at all, or, if it was `given_up`,
    /// could not end.
    fn server_fault(&self, given_up: bool) -> Option<Fault>;
}
