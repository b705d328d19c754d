//! `Event` invocations: they are tried again when all environments are busy and when they fail, are
//! dropped when they become too old, and may be delivered more than once.

use std::{sync::Arc, time::Duration};

use crate::{
    config::EventPolicy,
    event::EmulatorEvent,
    request::Request,
    schedule::{FunctionCore, InFlightGuard},
    slots::Slot,
};

/// The longest pause of a throttled invocation, in first pauses.
const LONGEST_PAUSE: u32 = 300;

/// Runs a queued invocation to the end of its last delivery.
pub(crate) async fn run(
    function: Arc<FunctionCore>,
    request: Request,
    policy: EventPolicy,
    _unfinished: InFlightGuard,
) {
    let deliveries = function.state.lock().config.event_deliveries;
    for _ in 0..deliveries {
        if !deliver(&function, &request, policy).await {
            return;
        }
    }
}

/// Makes attempts until one succeeds. Whether one did.
async fn deliver(function: &Arc<FunctionCore>, request: &Request, policy: EventPolicy) -> bool {
    for attempt in 1..=policy.max_retry_attempts.saturating_add(1) {
        if attempt > 1 {
            function.shared.announce(EmulatorEvent::Retrying {
                function: function.name.clone(),
                request_id: request.id.clone(),
                attempt,
            });
        }
        let left = policy.max_age.saturating_sub(request.accepted.elapsed());
        let turn = turn(function, request, attempt);
        let Ok(turn) = tokio::time::timeout(left, turn).await else {
            function.shared.announce(EmulatorEvent::Dropped {
                function: function.name.clone(),
                request_id: request.id.clone(),
            });
            return false;
        };
        let Some(slot) = turn else { return false };
        if function.attempt(request, attempt, slot).await.outcome.is_success() {
            return true;
        }
    }
    false
}

/// Waits for the time of the attempt, and then for a free slot. `None`: the function is gone.
async fn turn(function: &FunctionCore, request: &Request, attempt: u32) -> Option<Slot> {
    let (delay, first_pause) = {
        let state = function.state.lock();
        (state.config.retry_delay * (attempt - 1), state.config.throttle_delay)
    };
    let slot = async {
        tokio::time::sleep(delay).await;
        let mut pause = first_pause;
        loop {
            if let Some(slot) = function.slots.try_take() {
                return slot;
            }
            function.shared.announce(EmulatorEvent::Throttled {
                function: function.name.clone(),
                request_id: request.id.clone(),
            });
            tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
            pause = (pause * 2).min(first_pause * LONGEST_PAUSE);
        }
    };
    let slot = tokio::select! {
        slot = slot => slot,
        () = function.shared.closed.cancelled() => return None,
    };
    let gone = function.state.lock().deleted || function.shared.closed.is_cancelled();
    (!gone).then_some(slot)
}
