//! The history engine: workflow tasks, and what arrives between and during them.

use super::{
    activity_ends::ActivityEnd,
    history::History,
    state::{Due, DueKey, State},
    workflows::{WorkflowStart, WorkflowStatus},
};
use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payloads, WorkflowExecution, WorkflowType},
    enums::v1::{TaskQueueKind, TimeoutType, WorkflowTaskFailedCause},
    failure::v1::Failure,
    history::v1::{self as events, history_event::Attributes},
    taskqueue::v1::TaskQueue,
    workflowservice::v1::PollWorkflowTaskQueueResponse,
};
use uuid::Uuid;

/// How long a worker may take for a workflow task: the server's default.
const WORKFLOW_TASK_TIMEOUT: Duration = Duration::from_secs(10);

/// One run of a workflow.
pub(crate) struct Run {
    pub(crate) start: WorkflowStart,
    pub(crate) run_id: String,
    pub(crate) history: History,
    pub(crate) status: WorkflowStatus,
    pub(crate) task: Task,
    /// Which attempt the current workflow task is; more than 1 after failures.
    pub(crate) attempt: i32,
    /// The started event of the last workflow task that was completed.
    pub(crate) previous_started: i64,
    /// What arrived while a worker held the workflow task. It goes into the history after it.
    pub(crate) buffered: Vec<Arrival>,
    pub(crate) timers: HashMap<String, (i64, DueKey)>,
}

pub(crate) enum Task {
    /// Nothing to do, or waiting to try again.
    None,
    /// Waiting for a worker. The scheduled event is only written when the task is handed out if
    /// this is not its first attempt.
    Queued { scheduled: Option<i64> },
    /// Held by a worker.
    Started { scheduled: i64, started: i64 },
}

/// Something that happens to a workflow from outside of its workflow tasks.
pub(crate) enum Arrival {
    ActivityEnded { scheduled: i64, end: Box<ActivityEnd> },
    TimerFired { timer_id: String },
    Signaled { name: String, input: Payloads },
    CancelRequested,
}

impl Run {
    pub(crate) fn execution(&self) -> WorkflowExecution {
        WorkflowExecution {
            workflow_id: self.start.workflow_id.clone(),
            run_id: self.run_id.clone(),
        }
    }

    fn queue(&self) -> TaskQueue {
        TaskQueue {
            name: self.start.task_queue.clone(),
            kind: TaskQueueKind::Normal.into(),
            normal_name: String::new(),
        }
    }

    /// Writes what arrived into the history.
    pub(crate) fn write(&mut self, at: SystemTime, arrival: Arrival) {
        match arrival {
            Arrival::ActivityEnded { scheduled, end } => {
                end.write(&mut self.history, at, scheduled)
            }
            Arrival::TimerFired { timer_id } => {
                // Gone if the workflow canceled it in between.
                if let Some((started_event_id, _)) = self.timers.remove(&timer_id) {
                    let fired = events::TimerFiredEventAttributes { timer_id, started_event_id };
                    self.history.append(at, Attributes::TimerFiredEventAttributes(fired));
                }
            }
            Arrival::Signaled { name, input } => {
                let signaled = events::WorkflowExecutionSignaledEventAttributes {
                    signal_name: name,
                    input: Some(input),
                    ..Default::default()
                };
                self.history
                    .append(at, Attributes::WorkflowExecutionSignaledEventAttributes(signaled));
            }
            Arrival::CancelRequested => {
                let requested = events::WorkflowExecutionCancelRequestedEventAttributes::default();
                self.history.append(
                    at,
                    Attributes::WorkflowExecutionCancelRequestedEventAttributes(requested),
                );
            }
        }
    }
}

impl State {
    /// Writes a new run's first events and queues its first task.
    /// `continued` is the run that it continues, if any.
    pub(crate) fn start_run(&mut self, start: WorkflowStart, run_id: &str, continued: &str) {
        let at = self.clock.now();
        let mut run = Run {
            run_id: run_id.to_owned(),
            history: History::default(),
            status: WorkflowStatus::Running,
            task: Task::None,
            attempt: 1,
            previous_started: 0,
            buffered: Vec::new(),
            timers: HashMap::new(),
            start,
        };
        let started = events::WorkflowExecutionStartedEventAttributes {
            workflow_type: Some(WorkflowType { name: run.start.workflow_type.clone() }),
            workflow_id: run.start.workflow_id.clone(),
            task_queue: Some(run.queue()),
            input: Some(Payloads { payloads: run.start.input.clone() }),
            workflow_task_timeout: WORKFLOW_TASK_TIMEOUT.try_into().ok(),
            original_execution_run_id: run_id.to_owned(),
            first_execution_run_id: run_id.to_owned(),
            continued_execution_run_id: continued.to_owned(),
            identity: "mock-frontend".to_owned(),
            attempt: 1,
            ..Default::default()
        };
        run.history.append(at, Attributes::WorkflowExecutionStartedEventAttributes(started));
        self.workflows.current.insert(run.start.workflow_id.clone(), run_id.to_owned());
        self.workflows.runs.insert(run_id.to_owned(), run);
        self.queue_workflow_task(run_id);
    }

    /// Makes a workflow task for a run that has none.
    pub(crate) fn queue_workflow_task(&mut self, run_id: &str) {
        let at = self.clock.now();
        let Some(run) = self.workflows.runs.get_mut(run_id) else {
            return;
        };
        if run.status != WorkflowStatus::Running || !matches!(run.task, Task::None) {
            return;
        }
        let scheduled = (run.attempt == 1).then(|| write_scheduled(run, at));
        run.task = Task::Queued { scheduled };
        let queue = (run.start.namespace.clone(), run.start.task_queue.clone());
        self.workflows.queues.entry(queue).or_default().push_back(run_id.to_owned());
    }

    /// Hands out the next workflow task of a queue.
    pub(crate) fn next_workflow_task(
        &mut self,
        namespace: &str,
        queue: &str,
        identity: &str,
    ) -> Option<PollWorkflowTaskQueueResponse> {
        let at = self.clock.now();
        let key = (namespace.to_owned(), queue.to_owned());
        loop {
            let run_id = self.workflows.queues.get_mut(&key)?.pop_front()?;
            let token = format!("workflow-task-{}", self.number()).into_bytes();
            let Some(run) = self.workflows.runs.get_mut(&run_id) else {
                continue;
            };
            let Task::Queued { scheduled } = run.task else {
                continue;
            };
            let scheduled = scheduled.unwrap_or_else(|| write_scheduled(run, at));
            let started = events::WorkflowTaskStartedEventAttributes {
                scheduled_event_id: scheduled,
                identity: identity.to_owned(),
                request_id: Uuid::new_v4().to_string(),
                history_size_bytes: run.history.len() as i64 * 100,
                ..Default::default()
            };
            let started =
                run.history.append(at, Attributes::WorkflowTaskStartedEventAttributes(started));
            run.task = Task::Started { scheduled, started };
            let response = PollWorkflowTaskQueueResponse {
                task_token: token.clone(),
                workflow_execution: Some(run.execution()),
                workflow_type: Some(WorkflowType { name: run.start.workflow_type.clone() }),
                previous_started_event_id: run.previous_started,
                started_event_id: started,
                attempt: run.attempt,
                history: Some(run.history.to_proto()),
                workflow_execution_task_queue: Some(run.queue()),
                scheduled_time: Some(at.into()),
                started_time: Some(at.into()),
                ..Default::default()
            };
            self.workflows.tokens.insert(token.clone(), run_id);
            if self.settings.task_timeouts {
                self.schedule(WORKFLOW_TASK_TIMEOUT, Due::WorkflowTaskTimeout { token });
            }
            return Some(response);
        }
    }

    /// Something happened to a run: now, or after the task that a worker holds.
    pub(crate) fn deliver(&mut self, run_id: &str, arrival: Arrival) {
        let at = self.clock.now();
        let Some(run) = self.workflows.runs.get_mut(run_id) else {
            return;
        };
        if run.status != WorkflowStatus::Running {
            return;
        }
        if matches!(run.task, Task::Started { .. }) {
            run.buffered.push(arrival);
            return;
        }
        run.write(at, arrival);
        self.queue_workflow_task(run_id);
    }

    pub(crate) fn fire_timer(&mut self, run_id: &str, timer_id: &str) {
        let timer_id = timer_id.to_owned();
        self.deliver(run_id, Arrival::TimerFired { timer_id });
    }

    /// Ends the task that a worker holds without result, and sets up the next attempt.
    pub(crate) fn fail_workflow_task(
        &mut self,
        run_id: &str,
        cause: WorkflowTaskFailedCause,
        failure: Option<Failure>,
        identity: &str,
    ) {
        self.end_without_result(run_id, |scheduled, started| {
            Attributes::WorkflowTaskFailedEventAttributes(
                events::WorkflowTaskFailedEventAttributes {
                    scheduled_event_id: scheduled,
                    started_event_id: started,
                    cause: cause.into(),
                    failure,
                    identity: identity.to_owned(),
                    ..Default::default()
                },
            )
        });
    }

    pub(crate) fn time_out_workflow_task(&mut self, token: &[u8]) {
        let Some(run_id) = self.workflows.tokens.remove(token) else {
            return;
        };
        self.end_without_result(&run_id, |scheduled, started| {
            Attributes::WorkflowTaskTimedOutEventAttributes(
                events::WorkflowTaskTimedOutEventAttributes {
                    scheduled_event_id: scheduled,
                    started_event_id: started,
                    timeout_type: TimeoutType::StartToClose.into(),
                },
            )
        });
    }

    fn end_without_result(&mut self, run_id: &str, event: impl FnOnce(i64, i64) -> Attributes) {
        let at = self.clock.now();
        let Some(run) = self.workflows.runs.get_mut(run_id) else {
            return;
        };
        let Task::Started { scheduled, started } = run.task else {
            return;
        };
        run.task = Task::None;
        if run.attempt == 1 {
            run.history.append(at, event(scheduled, started));
        } else {
            run.history.take_back_task(scheduled);
        }
        run.attempt += 1;
        for arrival in std::mem::take(&mut run.buffered) {
            run.write(at, arrival);
            // News make it a new task, not another attempt at the old one.
            run.attempt = 1;
        }
        // The first retry comes at once, later ones slow down: 1 s, 2 s, 4 s, at most 10 s.
        let tries = u32::try_from(run.attempt).unwrap_or(1);
        if tries <= 2 {
            self.queue_workflow_task(run_id);
        } else {
            let seconds = 2_u64.saturating_pow(tries - 3).min(10);
            let run_id = run_id.to_owned();
            self.schedule(Duration::from_secs(seconds), Due::WorkflowTask { run_id });
        }
    }
}

fn write_scheduled(run: &mut Run, at: SystemTime) -> i64 {
    let scheduled = events::WorkflowTaskScheduledEventAttributes {
        task_queue: Some(run.queue()),
        start_to_close_timeout: WORKFLOW_TASK_TIMEOUT.try_into().ok(),
        attempt: run.attempt,
    };
    run.history.append(at, Attributes::WorkflowTaskScheduledEventAttributes(scheduled))
}
