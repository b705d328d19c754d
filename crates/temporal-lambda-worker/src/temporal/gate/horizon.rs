//! When polling may end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::polls::{SPARE, WINDING_DOWN};

/// Polls for workflow tasks end before the stop time only where polling lasts this many times as
/// long as that takes: they are missing for a fifth of the time at most.
pub(super) const WORTH_IT: u32 = 5;

/// A poll that begins with a task lasts this much longer than the idle timeout: 0.3 s. If the task
/// takes no longer, the poll is the last one.
const WORK: Duration = Duration::from_millis(300);

/// A poll lasts this much longer than a quiet worker stays: 0.1 s. One that ended just before would be
/// followed by another.
const AFTER: Duration = Duration::from_millis(100);

/// When polling may end.
#[derive(Clone)]
pub(crate) struct Horizon {
    /// The moment at which it ends in any case. `None`: there is no deadline.
    stop: Option<Instant>,
    /// The moment at which it ends if nothing changes.
    next: watch::Receiver<Option<Instant>>,
    /// While tasks are in flight nobody knows when it ends; but it is at least this far off.
    idle_timeout: Option<Duration>,
}

impl Horizon {
    /// For a worker that is launched now.
    pub(crate) fn new(
        stop: Option<Instant>,
        next: watch::Receiver<Option<Instant>>,
        idle_timeout: Option<Duration>,
    ) -> Self {
        Self { stop, next, idle_timeout }
    }

    /// When polls for workflow tasks had better begin to end, such that the last has ended at the
    /// stop time: seen from now, at the begin of polling. The SDK's core takes no workflow tasks
    /// after it has shut down, and activities that are in flight at the stop time want it to shut
    /// down then: it cancels them at the end of the grace period.
    pub(crate) fn wind_down_at(&self) -> Option<Instant> {
        let stop = self.stop?;
        let time = stop.saturating_duration_since(Instant::now());
        (time >= WINDING_DOWN * WORTH_IT).then(|| stop - WINDING_DOWN)
    }

    /// The earliest moment at which polling may end by itself. `is_busy`: whatever is heard of it,
    /// the worker has something to do.
    pub(super) fn earliest_end(&self, now: Instant, is_busy: bool) -> Option<Instant> {
        let if_quiet = self.idle_timeout.and_then(|it| now.checked_add(it.saturating_add(WORK)));
        let next = if is_busy { None } else { *self.next.borrow() };
        let next = next.and_then(|next| next.checked_add(AFTER));
        // Answered a little before the stop time, a poll need not be waited for then.
        let stop = self.stop.map(|stop| stop.checked_sub(SPARE).unwrap_or(stop));
        [stop, next, if_quiet].into_iter().flatten().min()
    }
}
