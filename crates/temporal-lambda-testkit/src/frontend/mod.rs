//! A mock Temporal frontend: for the states that a real server cannot be made to show.
//!
//! [`MockFrontend`] speaks the part of Temporal's gRPC API that a worker uses. Unscripted it is a
//! plausible server: it knows the namespace `default`, hands out workflow and activity tasks, and
//! keeps each workflow's history. Scripts make single RPCs fail, hang, come late, come malformed, or
//! lose their connection.
//!
//! There are two ways in:
//!
//! - [`MockFrontend::service`] (or [`MockFrontend::connection_options`]): in process, no socket.
//!   It only uses tokio's clock, so it works under `#[tokio::test(start_paused = true)]`. Mind that
//!   a paused clock runs ahead of work that it does not see, and that a worker has a thread of its
//!   own for workflows: pause the clock for connections and activities, not for workflows.
//! - [`MockFrontend::serve`] and [`MockFrontend::serve_tls`]: the same frontend as real gRPC over
//!   the loopback interface. Do not use it with a paused clock, which runs ahead of sockets.
//!
//! ```
//! use temporal_lambda_testkit::frontend::{MockFrontend, Rpc};
//! use temporalio_client::{Connection, tonic::Code};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let frontend = MockFrontend::new();
//! frontend.on(Rpc::GetSystemInfo).fail(Code::Unavailable, "not yet").times(2);
//!
//! // The first two attempts fail; from then on the frontend answers as usual.
//! assert!(Connection::connect(frontend.connection_options()).await.is_err());
//! assert!(Connection::connect(frontend.connection_options()).await.is_err());
//! assert!(Connection::connect(frontend.connection_options()).await.is_ok());
//! assert_eq!(frontend.count(Rpc::GetSystemInfo), 3);
//! # Ok(())
//! # }
//! ```
//!
//! Give a worker something to do with [`MockFrontend::start_workflow`] or
//! [`MockFrontend::schedule_activity`], then look at what came of it with
//! [`MockFrontend::workflow_result`], [`MockFrontend::activity_attempts`] and
//! [`MockFrontend::seen`].
//!
//! # What it does as server 1.32.0 does
//!
//! - A long poll without a task is answered 1 s before its own deadline (`grpc-timeout`), after 60 s
//!   at the latest. One that asks for 2 s or less is refused with `FAILED_PRECONDITION`, one without
//!   a deadline with `INVALID_ARGUMENT`.
//! - `ShutdownWorker` ends the polls on the sticky queue that it names, and leaves others alone, unless
//!   [`MockFrontend::end_polls_at_shutdown`].
//! - An activity can only be canceled when its workflow, or the test, has asked for that: any other
//!   `RespondActivityTaskCanceled` is refused with `INVALID_ARGUMENT`, and the worker still has the
//!   task.
//! - The next attempt of an activity gets the details of its last heartbeat, or those that came with
//!   its failure.
//!
//! # What it does not do
//!
//! - Every task comes with its whole history, on the normal queue; sticky queues stay empty.
//! - Tasks go to whoever polls: deployment versions are recorded, never used for routing.
//! - Tasks do not time out, unless [`MockFrontend::enforce_task_timeouts`] says so.
//! - No queries, updates, child workflows, Nexus or eager dispatch. A command that it cannot carry
//!   out is logged, kept in [`MockFrontend::unsupported_commands`], and named by the errors of the
//!   methods that wait.

mod activities;
mod activity_ends;
mod activity_tasks;
mod auth;
mod clients;
mod commands;
mod dispatch;
mod engine;
mod error;
mod history;
mod loopback;
mod polls;
mod recorder;
mod rpc;
mod script;
mod state;
#[cfg(test)]
mod tests;
mod tls;
pub(crate) mod wire;
mod workflows;

pub use activities::{ActivityStart, ActivityStatus};
pub use error::FrontendError;
pub use loopback::ServedFrontend;
pub use polls::OpenPoll;
pub use recorder::Seen;
pub use rpc::{DeploymentVersion, Rpc};
pub use script::{On, Scripted};
pub use tls::MockTls;
pub use workflows::{WorkflowStart, WorkflowStatus};

use dispatch::{Answer, Call};
use state::State;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use temporalio_client::{
    ConnectionOptions, Url,
    callback_based::{CallbackBasedGrpcService, GrpcSuccessResponse},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long the waiting methods wait when they are given no bound of their own: 30 s.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// A mock Temporal frontend. Clones are handles to the same one; see the [module](self).
#[derive(Clone)]
pub struct MockFrontend {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    /// Counts changes of the state. Waiting calls look at the state, then wait for the next one.
    changes: watch::Sender<u64>,
    /// Cancelled, and replaced, when the in-process connections are cut.
    cut: Mutex<CancellationToken>,
}

impl MockFrontend {
    /// A frontend that knows the namespace `default`, asks for no credentials and has no scripts.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                state: Mutex::new(State::new()),
                changes: watch::Sender::new(0),
                cut: Mutex::new(CancellationToken::new()),
            }),
        }
    }

    /// The way in without a socket, for [`ConnectionOptions::service_override`].
    ///
    /// A call that is not answered by its deadline (`grpc-timeout`) ends as on a real channel: as
    /// `CANCELLED` with the message `Timeout expired`.
    pub fn service(&self) -> CallbackBasedGrpcService {
        let frontend = self.clone();
        CallbackBasedGrpcService {
            callback: Arc::new(move |request| {
                let frontend = frontend.clone();
                Box::pin(async move {
                    let cut = frontend.connection();
                    let call = Call::in_process(request);
                    let answer = tokio::select! {
                        // First: a poll on a cut connection must not take a task with it.
                        biased;
                        () = cut.cancelled() => Answer::Cut,
                        answer = frontend.handle(call) => answer?,
                    };
                    match answer {
                        Answer::Message(proto) => {
                            Ok(GrpcSuccessResponse { headers: http::HeaderMap::new(), proto })
                        }
                        Answer::Cut => {
                            Err(Status::unavailable("the connection to the frontend was cut"))
                        }
                    }
                })
            }),
        }
    }

    /// Options for a [`temporalio_client::Connection`] that goes through
    /// [`MockFrontend::service`]. The fields are public: set an API key or an identity on them.
    pub fn connection_options(&self) -> ConnectionOptions {
        // The SDK wants a target even where nothing is dialed.
        let target = Url::parse("http://127.0.0.1:7233").expect("a constant, well-formed URL");
        ConnectionOptions::new(target)
            .service_override(self.service())
            .dns_load_balancing(None)
            .build()
    }

    /// Ends every call that is in flight through [`MockFrontend::service`] with `UNAVAILABLE`, as
    /// when a connection dies. Connections of a [`ServedFrontend`] are cut with its own
    /// [`ServedFrontend::drop_connections`].
    pub fn drop_connections(&self) {
        let mut cut = self.inner.cut.lock().unwrap_or_else(PoisonError::into_inner);
        cut.cancel();
        *cut = CancellationToken::new();
    }

    fn connection(&self) -> CancellationToken {
        let cut = self.inner.cut.lock().unwrap_or_else(PoisonError::into_inner);
        cut.clone()
    }

    /// The state, with everything done that was due by now.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.run_due(Instant::now()) {
            self.notify();
        }
        state
    }

    /// Changes the state and wakes whoever waits for a change.
    fn update<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.notify();
        result
    }

    fn notify(&self) {
        self.inner.changes.send_modify(|count| *count += 1);
    }

    /// Calls `look` on the state now and after each change, until it returns something or `until`
    /// is past (then `None`). Cancel safe: `look` is only called while the caller is being polled.
    async fn watch_state<R>(
        &self,
        until: Option<Instant>,
        mut look: impl FnMut(&mut State) -> Option<R>,
    ) -> Option<R> {
        let mut changes = self.inner.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let next_due = {
                let mut state = self.lock();
                if let Some(found) = look(&mut state) {
                    return Some(found);
                }
                state.next_due()
            };
            if until.is_some_and(|until| until <= Instant::now()) {
                return None;
            }
            let wake = match (next_due, until) {
                (Some(due), Some(until)) => Some(due.min(until)),
                (due, until) => due.or(until),
            };
            tokio::select! {
                // The sender lives as long as `self`.
                _ = changes.changed() => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }
}

impl Default for MockFrontend {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MockFrontend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        f.debug_struct("MockFrontend")
            .field("calls_seen", &state.seen.len())
            .field("open_polls", &state.polls.open.len())
            .finish_non_exhaustive()
    }
}
