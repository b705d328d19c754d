//! `Event` invocations: they wait for their turn, are tried again when they fail, and are dropped
//! when they become too old.

use std::sync::Arc;

use super::{
    config::EventPolicy,
    event::EmulatorEvent,
    request::Request,
    schedule::{FunctionCore, InFlightGuard},
    slots::Slot,
};
use crate::sync::lock;

/// Runs a queued invocation to the end of its last attempt.
pub(super) async fn run(
    function: Arc<FunctionCore>,
    request: Request,
    policy: EventPolicy,
    _unfinished: InFlightGuard,
) {
    for attempt in 1..=policy.max_retry_attempts.saturating_add(1) {
        if attempt > 1 {
            function.shared.announce(EmulatorEvent::Retrying {
                function: function.name.clone(),
                request_id: request.id.clone(),
                attempt,
            });
        }
        let left = policy.max_age.saturating_sub(request.accepted.elapsed());
        let Ok(turn) = tokio::time::timeout(left, turn(&function, attempt)).await else {
            return function.shared.announce(EmulatorEvent::Dropped {
                function: function.name.clone(),
                request_id: request.id.clone(),
            });
        };
        let Some(slot) = turn else { return };
        let invocation = function.attempt(&request, attempt, slot).await;
        if invocation.outcome.is_success() {
            return;
        }
    }
}

/// Waits for the time of the attempt, and then for a free slot. `None`: the function is gone.
async fn turn(function: &FunctionCore, attempt: u32) -> Option<Slot> {
    let delay = lock(&function.state).config.retry_delay * (attempt - 1);
    let slot = async {
        tokio::time::sleep(delay).await;
        function.slots.take().await
    };
    let slot = tokio::select! {
        slot = slot => slot,
        () = function.shared.closed.cancelled() => None,
    };
    slot.filter(|_| !lock(&function.state).deleted && !function.shared.closed.is_cancelled())
}
