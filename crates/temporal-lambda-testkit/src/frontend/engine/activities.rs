//! Activities: their tasks, what workers report of them, and how they end.

use std::time::{Duration, SystemTime};

use temporalio_common::protos::temporal::api::{
    command::v1::ScheduleActivityTaskCommandAttributes,
    common::v1::{ActivityType, Header, Payloads, RetryPolicy, WorkflowType},
    enums::v1::RetryState,
    failure::v1::{CanceledFailureInfo, Failure, failure::FailureInfo},
    history::v1::{self as events, history_event::Attributes},
    sdk::v1::UserMetadata,
    workflowservice::v1 as api,
};

use super::{
    Due, Engine, Refusal,
    retry::next_attempt,
    workflows::{Arrival, Run},
};
use crate::frontend::model::{ActivityStart, ActivityStatus};

const NOT_HELD: Refusal = Refusal::NotFound(
    "invalid activityID or activity already timed out or invoking workflow is completed",
);
const NO_CANCEL_REQUEST: Refusal = Refusal::Invalid(
    "unable to mark activity as canceled without activity being request canceled first",
);

pub(in crate::frontend) struct Activity {
    start: ActivityStart,
    origin: Option<Origin>,
    header: Option<Header>,
    retry_policy: RetryPolicy,
    scheduled_at: SystemTime,
    pub(in crate::frontend) status: ActivityStatus,
    /// The current attempt, from 1; 0 before a worker had it.
    pub(in crate::frontend) attempt: i32,
    pub(in crate::frontend) heartbeats: Vec<Payloads>,
    cancel_requested: bool,
    /// What the next attempt is told of this one: the details of the last heartbeat, which may have
    /// none, or those that came with a failure.
    progress: Option<Payloads>,
    last_failure: Option<Failure>,
}

/// The workflow that an activity belongs to, and the event that scheduled it.
#[derive(Clone)]
struct Origin {
    workflow_id: String,
    scheduled: i64,
}

enum ActivityOutcome {
    Completed(Option<Payloads>),
    Failed(Box<Failure>, RetryState),
    Canceled(Option<Payloads>),
}

impl Engine {
    /// Schedules an activity without a workflow.
    pub(in crate::frontend) fn schedule_activity(&mut self, start: ActivityStart) {
        let maximum_attempts = start.max_attempts.try_into().unwrap_or(i32::MAX);
        let policy = RetryPolicy { maximum_attempts, ..Default::default() };
        let name = start.activity_id.clone();
        self.add_activity(name, start, None, None, policy);
    }

    /// Schedules an activity for a workflow's command.
    pub(super) fn schedule_for_workflow(
        &mut self,
        id: &str,
        command: ScheduleActivityTaskCommandAttributes,
        task: i64,
        at: SystemTime,
        metadata: Option<UserMetadata>,
    ) {
        let Some(run) = self.runs.get_mut(id) else { return };
        let event = events::ActivityTaskScheduledEventAttributes {
            activity_id: command.activity_id.clone(),
            activity_type: command.activity_type.clone(),
            task_queue: command.task_queue.clone(),
            header: command.header.clone(),
            input: command.input.clone(),
            schedule_to_close_timeout: command.schedule_to_close_timeout,
            schedule_to_start_timeout: command.schedule_to_start_timeout,
            start_to_close_timeout: command.start_to_close_timeout,
            heartbeat_timeout: command.heartbeat_timeout,
            workflow_task_completed_event_id: task,
            retry_policy: command.retry_policy.clone(),
            priority: command.priority.clone(),
            ..Default::default()
        };
        let event = Attributes::ActivityTaskScheduledEventAttributes(event);
        let scheduled = run.append_with(at, event, metadata);
        let limit = command.start_to_close_timeout.or(command.schedule_to_close_timeout);
        let queue = command.task_queue.map(|queue| queue.name).filter(|name| !name.is_empty());
        let name = format!("{id}/{}", command.activity_id);
        let kind = command.activity_type.unwrap_or_default().name;
        let queue = queue.unwrap_or_else(|| run.start.task_queue.clone());
        let mut start = ActivityStart::new(queue, kind, command.activity_id);
        start.namespace.clone_from(&run.start.namespace);
        start.input = command.input.unwrap_or_default().payloads;
        if let Some(limit) = limit.and_then(|limit| limit.try_into().ok()) {
            start.start_to_close_timeout = limit;
        }
        start.heartbeat_timeout = command.heartbeat_timeout.and_then(|limit| limit.try_into().ok());
        let origin = Origin { workflow_id: id.to_owned(), scheduled };
        let policy = command.retry_policy.unwrap_or_default();
        self.add_activity(name, start, Some(origin), command.header, policy);
    }

    fn add_activity(
        &mut self,
        name: String,
        start: ActivityStart,
        origin: Option<Origin>,
        header: Option<Header>,
        retry_policy: RetryPolicy,
    ) {
        self.activity_tasks.withdraw(&name);
        let activity = Activity {
            scheduled_at: self.clock.now(),
            status: ActivityStatus::Scheduled,
            attempt: 0,
            heartbeats: Vec::new(),
            cancel_requested: false,
            progress: None,
            last_failure: None,
            start,
            origin,
            header,
            retry_policy,
        };
        self.activities.insert(name.clone(), activity);
        self.queue_activity(&name);
    }

    pub(super) fn queue_activity(&mut self, name: &str) {
        let scheduled = self.activities.get(name);
        if let Some(it) = scheduled.filter(|it| it.status == ActivityStatus::Scheduled) {
            // An earlier activity of that name may have left a retry behind.
            self.activity_tasks.withdraw(name);
            self.activity_tasks.add(&it.start.namespace, &it.start.task_queue, name);
        }
    }

    /// Hands out the next activity task of a queue.
    pub(in crate::frontend) fn next_activity_task(
        &mut self,
        namespace: &str,
        queue: &str,
    ) -> Option<api::PollActivityTaskQueueResponse> {
        let now = self.clock.now();
        let (name, task_token) = self.activity_tasks.hand_out(namespace, queue)?;
        let activity = self.activities.get_mut(&name)?;
        activity.status = ActivityStatus::Started;
        activity.attempt += 1;
        let run = activity.origin.as_ref().and_then(|origin| self.runs.get(&origin.workflow_id));
        let start = &activity.start;
        Some(api::PollActivityTaskQueueResponse {
            task_token,
            workflow_namespace: start.namespace.clone(),
            workflow_type: run.map(|run| WorkflowType { name: run.start.workflow_type.clone() }),
            workflow_execution: run.map(Run::execution),
            activity_type: Some(ActivityType { name: start.activity_type.clone() }),
            activity_id: start.activity_id.clone(),
            header: activity.header.clone(),
            input: Some(Payloads { payloads: start.input.clone() }),
            heartbeat_details: activity.progress.clone(),
            scheduled_time: Some(activity.scheduled_at.into()),
            current_attempt_scheduled_time: Some(now.into()),
            started_time: Some(now.into()),
            attempt: activity.attempt,
            start_to_close_timeout: start.start_to_close_timeout.try_into().ok(),
            heartbeat_timeout: start.heartbeat_timeout.and_then(|limit| limit.try_into().ok()),
            retry_policy: Some(activity.retry_policy.clone()),
            activity_run_id: if run.is_none() { format!("run-{name}") } else { String::new() },
            ..Default::default()
        })
    }

    /// A heartbeat: whether the worker is to cancel the activity.
    pub(in crate::frontend) fn heartbeat(
        &mut self,
        token: &[u8],
        details: Option<Payloads>,
    ) -> Result<bool, Refusal> {
        let (_, activity) = self.held_activity(token)?;
        activity.heartbeats.push(details.clone().unwrap_or_default());
        activity.progress = details;
        Ok(activity.cancel_requested)
    }

    pub(in crate::frontend) fn complete_activity(
        &mut self,
        request: api::RespondActivityTaskCompletedRequest,
    ) -> Result<(), Refusal> {
        let name = self.activity_tasks.take(&request.task_token).ok_or(NOT_HELD)?;
        let payloads = request.result.clone().unwrap_or_default().payloads;
        let outcome = ActivityOutcome::Completed(request.result);
        self.end_activity(&name, ActivityStatus::Completed(payloads), outcome, request.identity);
        Ok(())
    }

    /// A failed attempt: the activity waits for the next one, or ends.
    pub(in crate::frontend) fn fail_activity(
        &mut self,
        request: api::RespondActivityTaskFailedRequest,
    ) -> Result<(), Refusal> {
        let (name, activity) = self.held_activity(&request.task_token)?;
        if request.last_heartbeat_details.is_some() {
            activity.progress = request.last_heartbeat_details;
        }
        let failure = request.failure.unwrap_or_default();
        let next = if activity.cancel_requested {
            Err(RetryState::CancelRequested)
        } else {
            next_attempt(&activity.retry_policy, activity.attempt, &failure)
        };
        self.activity_tasks.take(&request.task_token);
        match next {
            Ok(delay) => self.wait_for_next_attempt(name, failure, delay),
            Err(retry_state) => {
                let failure = Box::new(failure);
                let status = ActivityStatus::Failed(failure.clone());
                let outcome = ActivityOutcome::Failed(failure, retry_state);
                self.end_activity(&name, status, outcome, request.identity);
            }
        }
        Ok(())
    }

    pub(in crate::frontend) fn cancel_activity(
        &mut self,
        request: api::RespondActivityTaskCanceledRequest,
    ) -> Result<(), Refusal> {
        let (name, activity) = self.held_activity(&request.task_token)?;
        if !activity.cancel_requested {
            return Err(NO_CANCEL_REQUEST);
        }
        self.activity_tasks.take(&request.task_token);
        let outcome = ActivityOutcome::Canceled(request.details);
        self.end_activity(&name, ActivityStatus::Canceled, outcome, request.identity);
        Ok(())
    }

    /// The test asks for a cancellation. Without a worker the activity ends at once.
    pub(in crate::frontend) fn request_cancel(&mut self, name: &str) {
        let Some(activity) = self.activities.get_mut(name) else { return };
        activity.cancel_requested = true;
        if activity.status == ActivityStatus::Scheduled {
            self.activity_tasks.withdraw(name);
            let outcome = ActivityOutcome::Canceled(None);
            self.end_activity(name, ActivityStatus::Canceled, outcome, String::new());
        }
    }

    /// The activities of a closed workflow: nobody waits for them any more.
    pub(super) fn abandon_activities(&mut self, workflow_id: &str) {
        for (name, activity) in &mut self.activities {
            let origin = activity.origin.as_ref();
            if origin.is_some_and(|it| it.workflow_id == workflow_id)
                && !activity.status.is_closed()
            {
                activity.status = ActivityStatus::Abandoned;
                self.activity_tasks.withdraw(name);
            }
        }
    }

    fn held_activity(&mut self, token: &[u8]) -> Result<(String, &mut Activity), Refusal> {
        let name = self.activity_tasks.held(token).ok_or(NOT_HELD)?.to_owned();
        let activity = self.activities.get_mut(&name).ok_or(NOT_HELD)?;
        Ok((name, activity))
    }

    fn wait_for_next_attempt(&mut self, name: String, failure: Failure, delay: Duration) {
        if let Some(activity) = self.activities.get_mut(&name) {
            activity.status = ActivityStatus::Scheduled;
            activity.last_failure = Some(failure);
        }
        self.schedule(delay, Due::ActivityTask { name });
    }

    fn end_activity(
        &mut self,
        name: &str,
        status: ActivityStatus,
        outcome: ActivityOutcome,
        identity: String,
    ) {
        let Some(activity) = self.activities.get_mut(name) else { return };
        activity.status = status;
        let Some(Origin { workflow_id, scheduled }) = activity.origin.clone() else { return };
        let started = (activity.attempt > 0).then(|| events::ActivityTaskStartedEventAttributes {
            scheduled_event_id: scheduled,
            identity: identity.clone(),
            attempt: activity.attempt,
            last_failure: activity.last_failure.clone(),
            ..Default::default()
        });
        let end = Box::new(move |started| end_event(outcome, scheduled, started, identity));
        self.deliver(&workflow_id, Arrival::ActivityEnded { started: started.map(Box::new), end });
    }
}

fn end_event(
    outcome: ActivityOutcome,
    scheduled_event_id: i64,
    started_event_id: i64,
    identity: String,
) -> Attributes {
    let (failure, retry_state) = match outcome {
        ActivityOutcome::Completed(result) => {
            return Attributes::ActivityTaskCompletedEventAttributes(
                events::ActivityTaskCompletedEventAttributes {
                    result,
                    scheduled_event_id,
                    started_event_id,
                    identity,
                    ..Default::default()
                },
            );
        }
        ActivityOutcome::Failed(failure, retry_state) => (failure, retry_state),
        // A workflow only understands a cancellation that it asked for.
        ActivityOutcome::Canceled(details) => {
            let info = CanceledFailureInfo { details, ..Default::default() };
            let failure = Failure {
                message: "canceled by the test, not by the workflow".to_owned(),
                failure_info: Some(FailureInfo::CanceledFailureInfo(info)),
                ..Default::default()
            };
            (Box::new(failure), RetryState::NonRetryableFailure)
        }
    };
    Attributes::ActivityTaskFailedEventAttributes(events::ActivityTaskFailedEventAttributes {
        failure: Some(*failure),
        scheduled_event_id,
        started_event_id,
        identity,
        retry_state: retry_state.into(),
        ..Default::default()
    })
}
