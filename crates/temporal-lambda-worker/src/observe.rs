//! Watching the lifecycle from outside.

use std::time::Duration;

use crate::lifecycle::{State, Step, Transition};

/// The latest move of the lifecycle in this environment.
///
/// Get it from [`LambdaWorkerHandler::watch`](crate::LambdaWorkerHandler::watch). A watch channel
/// keeps only the latest move; every move is also a `tracing` event with the target
/// [`LIFECYCLE_TARGET`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observed {
    /// The invocation that moved; empty before the first.
    pub request_id: String,
    /// Where it stands.
    pub state: State,
    /// Where it stands, in detail.
    pub step: Step,
    /// From the arrival of the event to the move.
    pub elapsed: Duration,
}

impl Default for Observed {
    fn default() -> Self {
        Self {
            request_id: String::new(),
            state: State::ColdStart,
            step: Step::ColdStart,
            elapsed: Duration::ZERO,
        }
    }
}

/// The target of the lifecycle's tracing events: one for every move between steps.
pub const LIFECYCLE_TARGET: &str = "temporal_lambda_worker::lifecycle";

/// Says that an invocation moved.
pub(crate) fn trace_move(
    request_id: &str,
    transition: &Transition,
    elapsed: Duration,
    left: Option<Duration>,
) {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
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
