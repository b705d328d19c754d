//! Guards for polls, answers and activities under way: each counts in the account until it is dropped, and is told
//! how it ended.

use super::{InFlight, Kind, State, WorkflowTask};
use crate::report::Counts;

/// The task that a poll brought.
pub(in crate::temporal) enum Brought {
    Workflow(WorkflowTask),
    /// The token of an activity task.
    Activity(Vec<u8>),
}

/// A poll under way.
pub(in crate::temporal) struct PollUnderWay {
    pub(super) in_flight: InFlight,
    pub(super) kind: Kind,
    pub(super) brought: Option<Brought>,
}

impl PollUnderWay {
    /// The poll has ended with a task. The task counts as in flight before the poll counts as ended, so that at
    /// each moment one of them counts.
    pub(in crate::temporal) fn ends_with(mut self, brought: Brought) {
        self.brought = Some(brought);
    }
}

impl Drop for PollUnderWay {
    fn drop(&mut self) {
        let brought = self.brought.take();
        self.in_flight.change(|state| {
            match brought {
                Some(Brought::Workflow(task)) => state.take_workflow_task(task),
                Some(Brought::Activity(token)) if !token.is_empty() => {
                    state.activities.entry(token).or_insert(false);
                }
                _ => {}
            }
            state.polls -= usize::from(self.kind != Kind::Nexus);
            state.slots.polls -= usize::from(self.kind == Kind::Activity);
            state.sticky_polls -= usize::from(self.kind == Kind::Sticky);
        });
    }
}

/// An answer to a workflow task on its way.
pub(in crate::temporal) struct AnswerUnderWay {
    pub(super) in_flight: InFlight,
    pub(super) token: Vec<u8>,
    /// The workflow run, kept here because the workflow may be evicted before the answer has arrived.
    pub(super) task: Option<WorkflowTask>,
    pub(super) sticks: bool,
    pub(super) heard: Option<Heard>,
}

/// The server's response to the answer to a workflow task.
pub(in crate::temporal) struct Heard {
    /// Whether the workflow's next task goes to the sticky queue; `None`: as before.
    pub(in crate::temporal) sticky: Option<bool>,
    /// The workflow's next task, which came with the server's answer.
    pub(in crate::temporal) next: Option<WorkflowTask>,
}

impl AnswerUnderWay {
    /// The answer has arrived, and the task is completed.
    pub(in crate::temporal) fn was_heard(mut self, heard: Heard) {
        self.heard = Some(heard);
    }
}

impl Drop for AnswerUnderWay {
    fn drop(&mut self) {
        let (heard, task) = (self.heard.take(), self.task.take());
        self.in_flight.change(|state| {
            state.sticking -= usize::from(self.sticks);
            state.workflow_tasks.remove(&self.token);
            let Some(Heard { sticky, next }) = heard else { return };
            state.counts.workflow.completed += 1;
            match (task, sticky) {
                (Some(task), Some(true)) => drop(state.sticky.insert(task.run_id)),
                (Some(task), Some(false)) => drop(state.sticky.remove(&task.run_id)),
                _ => {}
            }
            if let Some(next) = next {
                state.take_workflow_task(next);
            }
        });
    }
}

/// An activity under way.
pub(in crate::temporal) struct ActivityUnderWay {
    pub(super) in_flight: InFlight,
    /// `None`: a local one.
    pub(super) token: Option<Vec<u8>>,
    /// How it ended.
    pub(in crate::temporal) outcome: fn(&mut Counts) -> &mut u64,
}

impl Drop for ActivityUnderWay {
    fn drop(&mut self) {
        self.in_flight.change(|state| {
            let kind = match &self.token {
                Some(token) => {
                    state.activities.remove(token);
                    &mut state.counts.activity
                }
                None => {
                    state.local_activities -= 1;
                    &mut state.counts.local_activity
                }
            };
            *(self.outcome)(kind) += 1;
        });
    }
}

impl State {
    pub(super) fn take_workflow_task(&mut self, task: WorkflowTask) {
        if !task.token.is_empty() {
            self.workflow_tasks.insert(task.token.clone(), (task, false));
        }
    }
}
