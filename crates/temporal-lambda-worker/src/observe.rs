//! Observing the moves of the lifecycle: by a watch channel, a stream of all moves, and tracing events.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::lifecycle::{State, Step, Transition};

/// A move of the lifecycle in an environment.
///
/// Get it from [`LambdaWorkerHandler::watch`](crate::LambdaWorkerHandler::watch), which keeps only the latest
/// move, or from [`Transitions`], which keep all; every move is also a `tracing` event with the target
/// [`LIFECYCLE_TARGET`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleMove {
    /// The request ID of the invocation; empty before the first.
    pub request_id: String,
    /// The state after the move.
    pub state: State,
    /// The step after the move, of which a state has several.
    pub step: Step,
    /// From the arrival of the event to the move.
    pub elapsed: Duration,
}

impl Default for LifecycleMove {
    fn default() -> Self {
        Self {
            request_id: String::new(),
            state: State::ColdStart,
            step: Step::ColdStart,
            elapsed: Duration::ZERO,
        }
    }
}

/// Every move of the lifecycle in an environment, in order, from the moment that
/// [`LambdaWorkerHandler::transitions`](crate::LambdaWorkerHandler::transitions) was called. None is lost: moves
/// that nobody takes are kept in memory, some 15 for each invocation.
#[derive(Debug)]
pub struct Transitions(UnboundedReceiver<LifecycleMove>);

impl Transitions {
    /// The next move; waits for it. `None` when the last clone of the handler is gone and its
    /// invocations have ended.
    ///
    /// # Cancel safety
    /// Dropping the future loses no move.
    pub async fn next(&mut self) -> Option<LifecycleMove> {
        self.0.recv().await
    }

    /// The next move, if it has happened already.
    pub fn try_next(&mut self) -> Option<LifecycleMove> {
        self.0.try_recv().ok()
    }
}

/// Who watches an environment.
pub(crate) struct Observers {
    latest: watch::Sender<LifecycleMove>,
    all: Mutex<Vec<UnboundedSender<LifecycleMove>>>,
}

impl Default for Observers {
    fn default() -> Self {
        Self { latest: watch::Sender::new(LifecycleMove::default()), all: Mutex::default() }
    }
}

impl Observers {
    pub(crate) fn publish(&self, observed: LifecycleMove) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|observer| observer.send(observed.clone()).is_ok());
        // Under the lock, so that concurrent invocations come in one order everywhere.
        self.latest.send_replace(observed);
    }

    pub(crate) fn latest(&self) -> watch::Receiver<LifecycleMove> {
        self.latest.subscribe()
    }

    pub(crate) fn all(&self) -> Transitions {
        let (sender, receiver) = unbounded_channel();
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Transitions(receiver)
    }
}

/// The target of the lifecycle's tracing events: one, at the level DEBUG, for every move between steps.
pub const LIFECYCLE_TARGET: &str = "temporal_lambda_worker::lifecycle";

/// Logs a move of an invocation.
pub(crate) fn trace_move(
    request_id: &str,
    transition: &Transition,
    elapsed: Duration,
    left: Option<Duration>,
) {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(
        target: LIFECYCLE_TARGET,
        request_id,
        from = transition.from.name(),
        to = transition.to.name(),
        state = transition.to.state().name(),
        event = transition.event.name(),
        elapsed_ms = millis(elapsed),
        time_left_ms = left.map(millis),
        "lifecycle"
    );
}
