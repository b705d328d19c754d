//! How long, and how many.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lifecycle::State;

/// Time in each state, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StateTimes {
    /// In `configure` and connecting.
    pub configuring: u64,
    /// Creating the worker and in `on_start`.
    pub connected: u64,
    /// Polling and working.
    pub polling: u64,
    /// Draining, hooks and `on_shutdown`.
    pub draining: u64,
}

impl StateTimes {
    pub(crate) fn add(&mut self, state: State, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match state {
            State::Configuring => self.configuring += millis,
            State::Connected => self.connected += millis,
            State::Polling => self.polling += millis,
            State::Draining => self.draining += millis,
            State::ColdStart | State::TornDown => {}
        }
    }
}

/// What became of the tasks of an invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TaskCounts {
    /// Workflow tasks.
    pub workflow: Counts,
    /// Activities.
    pub activity: Counts,
    /// Local activities.
    pub local_activity: Counts,
}

impl TaskCounts {
    /// Whether there was nothing to do.
    pub fn is_empty(&self) -> bool {
        [self.workflow, self.activity, self.local_activity]
            .iter()
            .all(|it| *it == Counts::default())
    }
}

/// How often something ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Counts {
    /// Ended well.
    pub completed: u64,
    /// Ended with an error.
    pub failed: u64,
    /// Ended as cancelled: asked for, or because the grace period was over.
    pub cancelled: u64,
    /// Dropped after the grace period: they had not reacted to their cancellation.
    pub abandoned: u64,
}
