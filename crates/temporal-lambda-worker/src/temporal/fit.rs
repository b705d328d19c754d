//! Whether activities fit into invocations: remembers the longest timeout that an activity was
//! seen with, and warns once when an invocation cannot hold it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use temporalio_sdk::activities::ActivityInfo;

/// The longest activity timeout seen in this environment.
#[derive(Clone, Default)]
pub(crate) struct Fit(Arc<Seen>);

#[derive(Default)]
struct Seen {
    longest_ms: AtomicU64,
    warned: AtomicBool,
}

impl Fit {
    /// Notes an activity that was handed out.
    pub(crate) fn saw(&self, activity: &ActivityInfo) {
        if let (Some(started), Some(deadline)) = (activity.started_time, activity.deadline)
            && let Ok(timeout) = deadline.duration_since(started)
        {
            self.saw_timeout(timeout);
        }
    }

    fn saw_timeout(&self, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.0.longest_ms.fetch_max(millis, Ordering::Relaxed);
    }

    /// The longest timeout seen, the first time that `available` does not hold it and `grace`.
    pub(crate) fn misfit(&self, available: Option<Duration>, grace: Duration) -> Option<Duration> {
        let longest = Duration::from_millis(self.0.longest_ms.load(Ordering::Relaxed));
        let misfit = available? < longest.saturating_add(grace) && !longest.is_zero();
        (misfit && !self.0.warned.swap(true, Ordering::Relaxed)).then_some(longest)
    }

    /// Warns, once per environment.
    pub(crate) fn warn(&self, available: Option<Duration>, grace: Duration) {
        if let Some(longest) = self.misfit(available, grace) {
            tracing::warn!(
                ?available,
                ?grace,
                longest_activity_timeout = ?longest,
                "an activity may take longer than an invocation has: raise the function's timeout \
                 above the grace period and the activity's start-to-close timeout together, or make \
                 the activity heartbeat and resume"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_warns_once_when_grace_and_the_longest_timeout_do_not_fit() {
        let fit = Fit::default();
        assert_eq!(fit.misfit(Some(SECOND), 5 * SECOND), None, "no activity was seen yet");
        fit.saw_timeout(60 * SECOND);
        fit.saw_timeout(10 * SECOND);
        assert_eq!(fit.misfit(None, 5 * SECOND), None, "no deadline");
        assert_eq!(fit.misfit(Some(65 * SECOND), 5 * SECOND), None, "it fits");
        assert_eq!(fit.misfit(Some(64 * SECOND), 5 * SECOND), Some(60 * SECOND));
        assert_eq!(fit.misfit(Some(64 * SECOND), 5 * SECOND), None, "warned before");
    }
}
