//! Runs of workflows, their tasks and their histories.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use temporalio_common::protos::temporal::api::{
    common::v1::{Payloads, WorkflowExecution, WorkflowType},
    enums::v1::{TaskQueueKind, WorkflowTaskFailedCause},
    failure::v1::Failure,
    history::v1::{self as events, History, HistoryEvent, history_event::Attributes},
    sdk::v1::UserMetadata,
    taskqueue::v1::TaskQueue,
    workflowservice::v1::PollWorkflowTaskQueueResponse,
};
use uuid::Uuid;

use super::{Due, DueKey, Engine};
use crate::frontend::model::{WorkflowStart, WorkflowStatus};

/// How long a worker may take for a workflow task, as it is told: the server's default.
const TASK_TIMEOUT: Duration = Duration::from_secs(10);

/// One run of a workflow.
pub(in crate::frontend) struct Run {
    pub(in crate::frontend) start: WorkflowStart,
    pub(in crate::frontend) run_id: String,
    pub(in crate::frontend) status: WorkflowStatus,
    pub(in crate::frontend) history: Vec<HistoryEvent>,
    pub(super) task: Task,
    /// Which attempt the current workflow task is; more than 1 after failures.
    pub(super) attempt: i32,
    /// The started event of the last workflow task that was completed.
    pub(super) previous_started: i64,
    /// What arrived while a worker held the workflow task. It goes into the history after it.
    pub(super) buffered: Vec<Arrival>,
    /// The started event of each timer, and when it is due.
    pub(super) timers: HashMap<String, (i64, DueKey)>,
}

pub(super) enum Task {
    /// Nothing to do, or waiting to try again.
    None,
    /// Waiting for a worker. The scheduled event is only written when the task is handed out if
    /// this is not its first attempt.
    Queued { scheduled: Option<i64> },
    /// Held by a worker.
    Started { scheduled: i64, started: i64 },
}

/// Something that happens to a workflow outside of its workflow tasks.
pub(super) enum Arrival {
    TimerFired {
        timer_id: String,
    },
    ActivityEnded {
        /// The activity's last attempt; none if no worker had it.
        started: Option<Box<events::ActivityTaskStartedEventAttributes>>,
        /// The end, from the ID of the started event.
        end: Box<dyn FnOnce(i64) -> Attributes + Send>,
    },
}

impl Run {
    pub(super) fn execution(&self) -> WorkflowExecution {
        WorkflowExecution {
            workflow_id: self.start.workflow_id.clone(),
            run_id: self.run_id.clone(),
        }
    }

    /// Appends an event to the history and returns its ID.
    pub(super) fn append(&mut self, at: SystemTime, attributes: Attributes) -> i64 {
        self.append_with(at, attributes, None)
    }

    /// Appends an event that came of a command with a summary or details.
    pub(super) fn append_with(
        &mut self,
        at: SystemTime,
        attributes: Attributes,
        user_metadata: Option<UserMetadata>,
    ) -> i64 {
        let event_id = self.history.last().map_or(0, |event| event.event_id) + 1;
        self.history.push(HistoryEvent {
            event_id,
            event_time: Some(at.into()),
            event_type: attributes.event_type().into(),
            task_id: event_id,
            user_metadata,
            attributes: Some(attributes),
            ..Default::default()
        });
        event_id
    }

    /// Writes what arrived into the history.
    pub(super) fn write(&mut self, at: SystemTime, arrival: Arrival) {
        match arrival {
            Arrival::TimerFired { timer_id } => {
                // Gone if the workflow canceled it in between.
                if let Some((started_event_id, _)) = self.timers.remove(&timer_id) {
                    let fired = events::TimerFiredEventAttributes { timer_id, started_event_id };
                    self.append(at, Attributes::TimerFiredEventAttributes(fired));
                }
            }
            // A server only writes the started event now.
            Arrival::ActivityEnded { started, end } => {
                let started = started.map_or(0, |started| {
                    self.append(at, Attributes::ActivityTaskStartedEventAttributes(*started))
                });
                self.append(at, end(started));
            }
        }
    }

    fn queue(&self) -> TaskQueue {
        TaskQueue {
            name: self.start.task_queue.clone(),
            kind: TaskQueueKind::Normal.into(),
            normal_name: String::new(),
        }
    }

    fn write_scheduled(&mut self, at: SystemTime) -> i64 {
        let scheduled = events::WorkflowTaskScheduledEventAttributes {
            task_queue: Some(self.queue()),
            start_to_close_timeout: TASK_TIMEOUT.try_into().ok(),
            attempt: self.attempt,
        };
        self.append(at, Attributes::WorkflowTaskScheduledEventAttributes(scheduled))
    }
}

impl Engine {
    /// Starts a run, in place of an earlier one of the same workflow ID, and queues its first task.
    pub(in crate::frontend) fn start_workflow(&mut self, start: WorkflowStart) -> String {
        let at = self.clock.now();
        let (id, run_id) = (start.workflow_id.clone(), Uuid::new_v4().to_string());
        self.workflow_tasks.withdraw(&id);
        self.forget_pending(&id);
        let mut run = Run {
            run_id: run_id.clone(),
            status: WorkflowStatus::Running,
            history: Vec::new(),
            task: Task::None,
            attempt: 1,
            previous_started: 0,
            buffered: Vec::new(),
            timers: HashMap::new(),
            start,
        };
        let started = events::WorkflowExecutionStartedEventAttributes {
            workflow_type: Some(WorkflowType { name: run.start.workflow_type.clone() }),
            workflow_id: id.clone(),
            task_queue: Some(run.queue()),
            input: Some(Payloads { payloads: run.start.input.clone() }),
            workflow_task_timeout: TASK_TIMEOUT.try_into().ok(),
            original_execution_run_id: run_id.clone(),
            first_execution_run_id: run_id.clone(),
            identity: "mock-frontend".to_owned(),
            attempt: 1,
            ..Default::default()
        };
        run.append(at, Attributes::WorkflowExecutionStartedEventAttributes(started));
        self.runs.insert(id.clone(), run);
        self.queue_workflow_task(&id);
        run_id
    }

    /// Makes a workflow task for a run that has none.
    pub(super) fn queue_workflow_task(&mut self, id: &str) {
        let at = self.clock.now();
        let Some(run) = self.runs.get_mut(id) else { return };
        if run.status != WorkflowStatus::Running || !matches!(run.task, Task::None) {
            return;
        }
        let scheduled = (run.attempt == 1).then(|| run.write_scheduled(at));
        run.task = Task::Queued { scheduled };
        self.workflow_tasks.add(&run.start.namespace, &run.start.task_queue, id);
    }

    /// Hands out the next workflow task of a queue, with the whole history.
    pub(in crate::frontend) fn next_workflow_task(
        &mut self,
        namespace: &str,
        queue: &str,
        identity: &str,
    ) -> Option<PollWorkflowTaskQueueResponse> {
        let at = self.clock.now();
        let (id, task_token) = self.workflow_tasks.hand_out(namespace, queue)?;
        let run = self.runs.get_mut(&id)?;
        let Task::Queued { scheduled } = run.task else { return None };
        let scheduled = scheduled.unwrap_or_else(|| run.write_scheduled(at));
        let started = events::WorkflowTaskStartedEventAttributes {
            scheduled_event_id: scheduled,
            identity: identity.to_owned(),
            request_id: Uuid::new_v4().to_string(),
            history_size_bytes: run.history.len() as i64 * 100,
            ..Default::default()
        };
        let started = run.append(at, Attributes::WorkflowTaskStartedEventAttributes(started));
        run.task = Task::Started { scheduled, started };
        Some(PollWorkflowTaskQueueResponse {
            task_token,
            workflow_execution: Some(run.execution()),
            workflow_type: Some(WorkflowType { name: run.start.workflow_type.clone() }),
            previous_started_event_id: run.previous_started,
            started_event_id: started,
            attempt: run.attempt,
            history: Some(History { events: run.history.clone() }),
            workflow_execution_task_queue: Some(run.queue()),
            scheduled_time: Some(at.into()),
            started_time: Some(at.into()),
            ..Default::default()
        })
    }

    /// Something happened to a run: now, or after the task that a worker holds.
    pub(super) fn deliver(&mut self, id: &str, arrival: Arrival) {
        let at = self.clock.now();
        let Some(run) = self.runs.get_mut(id) else { return };
        if run.status != WorkflowStatus::Running {
            return;
        }
        if matches!(run.task, Task::Started { .. }) {
            run.buffered.push(arrival);
            return;
        }
        run.write(at, arrival);
        self.queue_workflow_task(id);
    }

    pub(super) fn fire_timer(&mut self, id: &str, timer_id: String) {
        self.deliver(id, Arrival::TimerFired { timer_id });
    }

    /// Ends the task that a worker held without a result, and sets up the next attempt.
    pub(super) fn retry_workflow_task(
        &mut self,
        id: &str,
        cause: WorkflowTaskFailedCause,
        failure: Option<Failure>,
        identity: &str,
    ) {
        let at = self.clock.now();
        let Some(run) = self.runs.get_mut(id) else { return };
        let Task::Started { scheduled, started } = run.task else { return };
        run.task = Task::None;
        if run.attempt == 1 {
            let failed = events::WorkflowTaskFailedEventAttributes {
                scheduled_event_id: scheduled,
                started_event_id: started,
                cause: cause.into(),
                failure,
                identity: identity.to_owned(),
                ..Default::default()
            };
            run.append(at, Attributes::WorkflowTaskFailedEventAttributes(failed));
        } else {
            // A server keeps the events of a first attempt only.
            run.history.retain(|event| event.event_id < scheduled);
        }
        run.attempt += 1;
        for arrival in std::mem::take(&mut run.buffered) {
            run.write(at, arrival);
            // New events since the failed task make this a new task, so the attempt count restarts.
            run.attempt = 1;
        }
        // The first retry comes at once, later ones slow down: 1 s, 2 s, 4 s, at most 10 s.
        let tries = u32::try_from(run.attempt).unwrap_or(1);
        if tries <= 2 {
            self.queue_workflow_task(id);
        } else {
            let seconds = 2_u64.saturating_pow(tries - 3).min(10);
            let workflow_id = id.to_owned();
            self.schedule(Duration::from_secs(seconds), Due::WorkflowTask { workflow_id });
        }
    }

    /// Takes the timers and activities of a run away: it is closed or replaced.
    pub(super) fn forget_pending(&mut self, id: &str) {
        if let Some(run) = self.runs.get_mut(id) {
            for (_, key) in std::mem::take(&mut run.timers).into_values() {
                self.agenda.remove(key);
            }
        }
        self.abandon_activities(id);
    }
}
