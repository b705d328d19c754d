//! All that the frontend knows, behind one lock, and what is due later.

use super::{
    activities::Activities, auth::Settings, polls::Polls, recorder::Seen, script::Scripts,
    workflows::Workflows,
};
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) scripts: Scripts,
    pub(crate) seen: Vec<Seen>,
    pub(crate) polls: Polls,
    pub(crate) workflows: Workflows,
    pub(crate) activities: Activities,
    pub(crate) clock: Clock,
    later: BTreeMap<DueKey, Due>,
    next_number: u64,
}

/// When something is due; the number tells apart what is due at the same time.
pub(crate) type DueKey = (Instant, u64);

/// Something that happens later. There is no task that waits for it: whoever waits for a change of
/// the state also wakes for the next due thing, on whichever runtime they are.
#[derive(Debug, Clone)]
pub(crate) enum Due {
    Timer { run_id: String, timer_id: String },
    WorkflowTask { run_id: String },
    WorkflowTaskTimeout { token: Vec<u8> },
    ActivityTask { activity: u64 },
    StartToClose { token: Vec<u8> },
    Heartbeat { token: Vec<u8> },
}

/// Wall-clock time that follows tokio's clock, so that histories agree with a paused one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall: SystemTime,
    at: Option<Instant>,
}

impl Clock {
    pub(crate) fn now(&mut self) -> SystemTime {
        // Not taken at construction: a frontend may be made outside of the runtime.
        let at = *self.at.get_or_insert_with(Instant::now);
        self.wall + at.elapsed()
    }
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::new(),
            scripts: Scripts::default(),
            seen: Vec::new(),
            polls: Polls::default(),
            workflows: Workflows::default(),
            activities: Activities::default(),
            clock: Clock { wall: SystemTime::now(), at: None },
            later: BTreeMap::new(),
            next_number: 1,
        }
    }

    /// A number that was not used before, for tokens and keys.
    pub(crate) fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    pub(crate) fn schedule(&mut self, delay: Duration, due: Due) -> DueKey {
        let key = (Instant::now() + delay, self.number());
        self.later.insert(key, due);
        key
    }

    pub(crate) fn unschedule(&mut self, key: DueKey) {
        self.later.remove(&key);
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.later.keys().next().map(|(at, _)| *at)
    }

    /// Does what is due by `now`; says whether there was anything.
    pub(crate) fn run_due(&mut self, now: Instant) -> bool {
        let mut ran = false;
        while let Some(entry) = self.later.first_entry() {
            if entry.key().0 > now {
                break;
            }
            ran = true;
            match entry.remove() {
                Due::Timer { run_id, timer_id } => self.fire_timer(&run_id, &timer_id),
                Due::WorkflowTask { run_id } => self.queue_workflow_task(&run_id),
                Due::WorkflowTaskTimeout { token } => self.time_out_workflow_task(&token),
                Due::ActivityTask { activity } => self.queue_activity(activity),
                Due::StartToClose { token } => self.time_out_start_to_close(&token),
                Due::Heartbeat { token } => self.time_out_heartbeat(&token),
            }
        }
        ran
    }
}
