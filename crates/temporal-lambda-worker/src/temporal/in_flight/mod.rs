//! The account of a worker: polls under way, tasks in flight, workflows that are sticky to it.
//!
//! The gate records the calls that pass, interceptors record what begins and ends inside of the worker. The account
//! says when the worker is busy or quiet, when a shutdown loses no task, and what the report counts.

mod under_way;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::diagnosis::slots::{Occupied, Slots};
use crate::error::Fault;
use crate::invocation::CodecWork;
use crate::lifecycle::Input;
use crate::report::{FailedWorkflowTask, TaskCounts};
use under_way::{ActivityUnderWay, AnswerUnderWay};

pub(super) use under_way::{Brought, Heard, PollUnderWay};

/// How many failed workflow tasks are kept for the report: 10.
const FAILED_KEPT: usize = 10;

/// The account of one worker. Clones share it.
#[derive(Clone)]
pub(crate) struct InFlight {
    state: Arc<watch::Sender<State>>,
    inputs: UnboundedSender<Input<Fault>>,
}

/// The kind of task that a poll is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Workflow,
    /// Workflow tasks on the worker's sticky queue.
    Sticky,
    Activity,
    Nexus,
}

/// A workflow task that the server has handed out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct WorkflowTask {
    pub(super) token: Vec<u8>,
    pub(super) workflow_id: String,
    pub(super) run_id: String,
    pub(super) workflow_type: String,
    pub(super) attempt: u32,
}

/// The state of the account.
#[derive(Default)]
pub(super) struct State {
    /// Polls that the server has, and may answer with a task.
    polls: usize,
    /// How many of these polls are for the sticky queue, and when the last of those began.
    sticky_polls: usize,
    sticky_poll_began: Option<Instant>,
    /// How many answers are on their way that make their workflow sticky.
    sticking: usize,
    /// Workflow tasks that were not answered, by token; `false`: the worker has not begun on the task.
    workflow_tasks: HashMap<Vec<u8>, (WorkflowTask, bool)>,
    /// Activities that have not ended, by token; `false`: the activity has not begun.
    activities: HashMap<Vec<u8>, bool>,
    local_activities: usize,
    slots: Slots,
    worked: bool,
    /// Whether a local activity was abandoned, whose workflow task will have no answer.
    local_abandoned: bool,
    /// How many payloads the codec is working on.
    codec_work: usize,
    /// The open workflow runs whose next task the server puts on the sticky queue.
    sticky: HashSet<String>,
    counts: TaskCounts,
    failed: Vec<FailedWorkflowTask>,
}

impl State {
    fn is_busy(&self) -> bool {
        let tasks = self.workflow_tasks.len() + self.activities.len() + self.local_activities;
        tasks + self.codec_work > 0
    }

    /// Whether the server has no poll that it may answer with a task.
    pub(super) fn has_no_poll(&self) -> bool {
        self.polls == 0
    }

    /// Whether a shutdown of the worker loses no task: no poll is under way, and every task that polls have
    /// brought has reached the SDK's core, which finishes it.
    pub(super) fn is_received(&self) -> bool {
        self.has_no_poll()
            && self.workflow_tasks.values().all(|(_, seen)| *seen)
            && self.activities.values().all(|begun| *begun)
    }

    /// Whether the worker waits only for local activities that were abandoned.
    pub(super) fn waits_in_vain(&self) -> bool {
        let activities = self.activities.len() + self.local_activities;
        self.local_abandoned && activities + self.sticking == 0
    }

    /// Whether no answer that makes a workflow sticky is on its way.
    pub(super) fn nothing_sticks(&self) -> bool {
        self.sticking == 0
    }

    /// Since when a poll is under way on the sticky queue; `None`: there is none.
    pub(super) fn polls_sticky_queue_since(&self) -> Option<Instant> {
        self.sticky_poll_began.filter(|_| self.sticky_polls > 0)
    }
}

impl InFlight {
    pub(super) fn new(inputs: UnboundedSender<Input<Fault>>) -> Self {
        Self { state: Arc::default(), inputs }
    }

    /// Counts the work of a payload codec as in flight, too.
    pub(super) fn hear_of(&self, codec_work: &CodecWork) {
        // The codec may outlive the worker.
        let (state, inputs) = (Arc::downgrade(&self.state), self.inputs.downgrade());
        codec_work.listen(move |begins| {
            if let (Some(state), Some(inputs)) = (state.upgrade(), inputs.upgrade()) {
                Self { state, inputs }.change(|state| {
                    let work = &mut state.codec_work;
                    *work = if begins { *work + 1 } else { work.saturating_sub(1) };
                });
            }
        });
    }

    /// Sends an input to the lifecycle.
    pub(super) fn tell(&self, input: Input<Fault>) {
        // The receiver is gone only if the driver is, and then no input is needed.
        let _ = self.inputs.send(input);
    }

    /// How many tasks ended in which way so far, and the workflow tasks that failed.
    pub(super) fn counts(&self) -> (TaskCounts, Vec<FailedWorkflowTask>) {
        let state = self.state.borrow();
        (state.counts, state.failed.clone())
    }

    pub(super) fn is_busy(&self) -> bool {
        self.state.borrow().is_busy()
    }

    pub(super) fn has_sticky(&self) -> bool {
        let state = self.state.borrow();
        !state.sticky.is_empty() || state.sticking > 0
    }

    /// Whether the worker has had a task so far.
    pub(super) fn has_worked(&self) -> bool {
        self.state.borrow().worked
    }

    /// How the activity slots were used so far.
    pub(super) fn occupied(&self) -> Occupied {
        self.state.borrow().slots.so_far()
    }

    /// Notes whether polls are held back, since then they do not show whether slots are full.
    pub(super) fn polls_are_held(&self, held: bool) {
        self.change(|state| state.slots.held = held);
    }

    /// Waits until `holds` returns true.
    pub(super) async fn until(&self, holds: impl FnMut(&State) -> bool) {
        // The sender lives as long as `self`.
        let _ = self.state.subscribe().wait_for(holds).await;
    }

    /// Since when a poll is under way on the sticky queue.
    pub(super) fn polls_sticky_queue_since(&self) -> Option<Instant> {
        self.state.borrow().polls_sticky_queue_since()
    }

    /// Waits until the sticky queue was polled for `time` without a task.
    pub(super) async fn sticky_queue_is_polled(&self, time: Duration) {
        let mut state = self.state.subscribe();
        loop {
            let since = state.borrow_and_update().polls_sticky_queue_since();
            let polled = async {
                match since {
                    Some(since) => sleep_until(since + time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = polled => return,
                _ = state.changed() => {}
            }
        }
    }

    /// Changes the account, and tells the lifecycle if that made the worker busy or quiet. The input is sent under
    /// the lock, so that inputs come in the order of the changes.
    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(|state| {
            let before = state.is_busy();
            change(state);
            state.slots.note(state.activities.len());
            match (before, state.is_busy()) {
                (false, true) => {
                    state.worked = true;
                    self.tell(Input::Busy);
                }
                (true, false) => self.tell(Input::Quiet),
                _ => {}
            }
        });
    }

    /// Counts a poll as under way until the result is dropped or ends with a task.
    pub(super) fn poll_begins(&self, kind: Kind) -> PollUnderWay {
        self.change(|state| {
            // A poll for Nexus tasks is not waited for.
            state.polls += usize::from(kind != Kind::Nexus);
            state.slots.polls += usize::from(kind == Kind::Activity);
            if kind == Kind::Sticky {
                state.sticky_polls += 1;
                state.sticky_poll_began = Some(Instant::now());
            }
        });
        PollUnderWay { in_flight: self.clone(), kind, brought: None }
    }

    /// Counts a workflow task that the server has handed out without a poll.
    pub(super) fn workflow_task_came(&self, task: WorkflowTask) {
        self.change(|state| state.take_workflow_task(task));
    }

    /// Counts an answer to a workflow task as on its way until the result is dropped. `sticks`: it makes the
    /// workflow sticky.
    pub(super) fn answer_begins(&self, token: Vec<u8>, sticks: bool) -> AnswerUnderWay {
        let mut task = None;
        self.change(|state| {
            state.sticking += usize::from(sticks);
            if let Some((known, seen)) = state.workflow_tasks.get_mut(&token) {
                *seen = true;
                task = Some(known.clone());
            }
        });
        AnswerUnderWay { in_flight: self.clone(), token, task, sticks, heard: None }
    }

    /// The worker has begun to work on a task of this workflow run.
    pub(super) fn workflow_task_is_seen(&self, run_id: &str) {
        self.change(|state| {
            for (task, seen) in state.workflow_tasks.values_mut() {
                *seen |= task.run_id == run_id;
            }
        });
    }

    /// The worker has failed a task of this workflow run. The SDK tells the server only about first attempts;
    /// later ones wait for the timeout of the task.
    pub(super) fn workflow_task_failed(&self, run_id: &str, failure: &str) {
        self.change(|state| {
            state.counts.workflow.failed += 1;
            let tasks = state.workflow_tasks.values();
            let task = tasks.map(|(task, _)| task).find(|task| task.run_id == run_id);
            let task = task.cloned().unwrap_or_default();
            // One entry for each run, and at most as many as the report has.
            state.failed.retain(|it| it.run_id != run_id);
            if state.failed.len() == FAILED_KEPT {
                state.failed.remove(0);
            }
            state.failed.push(FailedWorkflowTask {
                workflow_id: task.workflow_id,
                run_id: run_id.to_owned(),
                workflow_type: task.workflow_type,
                attempt: task.attempt,
                failure: failure.to_owned(),
            });
            state.workflow_tasks.retain(|_, (task, _)| task.run_id != run_id);
        });
    }

    /// The worker has dropped this workflow run, and with it a task that it had seen.
    pub(super) fn workflow_is_evicted(&self, run_id: &str) {
        self.change(|state| {
            state.workflow_tasks.retain(|_, (task, seen)| task.run_id != run_id || !*seen);
        });
    }

    /// An activity has begun; it ends when the result is dropped, even by a panic.
    pub(super) fn activity_begins(&self, token: &[u8], local: bool) -> ActivityUnderWay {
        self.change(|state| {
            if local {
                state.local_activities += 1;
            } else {
                state.activities.insert(token.to_vec(), true);
            }
        });
        let token = (!local).then(|| token.to_vec());
        ActivityUnderWay { in_flight: self.clone(), token, outcome: |it| &mut it.failed }
    }

    /// A local activity was abandoned while it ran.
    pub(super) fn local_activity_is_abandoned(&self) {
        self.change(|state| state.local_abandoned = true);
    }

    /// The worker has answered an activity task.
    pub(super) fn activity_is_answered(&self, token: &[u8]) {
        self.change(|state| {
            state.activities.remove(token);
        });
    }

    /// Takes the tokens of the workflow tasks that were not answered.
    pub(super) fn take_workflow_tasks(&self) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        self.change(|state| taken.extend(state.workflow_tasks.drain().map(|(token, _)| token)));
        taken
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn a_codec_at_work_makes_the_worker_busy_and_then_quiet() {
        let (inputs, mut heard) = unbounded_channel();
        let (in_flight, work) = (InFlight::new(inputs), CodecWork::default());
        in_flight.hear_of(&work);
        let (first, second) = (work.begin(), work.begin());
        assert!(matches!(heard.try_recv(), Ok(Input::Busy)));
        drop(first);
        assert!(heard.try_recv().is_err(), "the second payload is still being worked on");
        drop(second);
        assert!(matches!(heard.try_recv(), Ok(Input::Quiet)));
        // A codec that outlives the worker does no harm.
        drop(in_flight);
        drop(work.begin());
        assert!(heard.try_recv().is_err());
    }
}
