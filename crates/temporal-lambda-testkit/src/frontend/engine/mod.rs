//! Enough of a history service for one workflow with an activity, a timer or a local activity: it hands
//! out tasks, takes what workers answer, writes histories and tries failed activities again.
//!
//! It knows no connection and no RPC. Workflow IDs name runs, and names of activities are those that
//! tests know: the activity ID, or `<workflow id>/<activity id>`.

mod activities;
mod agenda;
mod commands;
mod retry;
mod tasks;
mod workflows;

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

pub(super) use self::{activities::Activity, workflows::Run};
use self::{
    agenda::{Agenda, DueKey},
    tasks::Tasks,
};

/// The state of all workflows and activities.
pub(super) struct Engine {
    runs: HashMap<String, Run>,
    activities: HashMap<String, Activity>,
    workflow_tasks: Tasks,
    activity_tasks: Tasks,
    agenda: Agenda<Due>,
    clock: Clock,
}

/// Something that happens later. No background task waits for it: callers that wait for a change of the
/// state also wake at the next due time, so the frontend needs no runtime of its own.
enum Due {
    Timer { workflow_id: String, timer_id: String },
    WorkflowTask { workflow_id: String },
    ActivityTask { name: String },
}

/// Why a worker's answer is refused, in a server's words.
#[derive(Debug)]
pub(super) enum Refusal {
    NotFound(&'static str),
    Invalid(&'static str),
}

/// Wall-clock time that follows tokio's clock, so that histories agree with a paused one.
struct Clock {
    wall: SystemTime,
    at: Option<Instant>,
}

impl Clock {
    fn now(&mut self) -> SystemTime {
        // Not taken at construction: a frontend may be made outside of the runtime.
        let at = *self.at.get_or_insert_with(Instant::now);
        self.wall + at.elapsed()
    }
}

impl Engine {
    pub(super) fn new() -> Self {
        Self {
            runs: HashMap::new(),
            activities: HashMap::new(),
            workflow_tasks: Tasks::new("workflow"),
            activity_tasks: Tasks::new("activity"),
            agenda: Agenda::new(),
            clock: Clock { wall: SystemTime::now(), at: None },
        }
    }

    pub(super) fn run(&self, workflow_id: &str) -> Option<&Run> {
        self.runs.get(workflow_id)
    }

    pub(super) fn activity(&self, name: &str) -> Option<&Activity> {
        self.activities.get(name)
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.agenda.next()
    }

    /// Does what is due by `now`; says whether there was anything.
    pub(super) fn run_due(&mut self, now: Instant) -> bool {
        let mut ran = false;
        while let Some(due) = self.agenda.take(now) {
            ran = true;
            match due {
                Due::Timer { workflow_id, timer_id } => self.fire_timer(&workflow_id, timer_id),
                Due::WorkflowTask { workflow_id } => self.queue_workflow_task(&workflow_id),
                Due::ActivityTask { name } => self.queue_activity(&name),
            }
        }
        ran
    }

    fn schedule(&mut self, delay: Duration, due: Due) -> DueKey {
        self.agenda.add(Instant::now() + delay, due)
    }
}
