//! Activity tasks: handing them out, and what workers report about them.

use super::{
    MockFrontend,
    activities::{Activity, ActivityStart, ActivityStatus},
    activity_ends::{ActivityEnd, How, Origin, Retry},
    dispatch::Call,
    engine::Run,
    state::{Due, State},
};
use prost::Message;
use std::time::{Duration, SystemTime};
use temporalio_common::protos::temporal::api::{
    command::v1::ScheduleActivityTaskCommandAttributes,
    common::v1::{ActivityType, Header, Payloads, RetryPolicy, WorkflowType},
    history::v1::{self as events, history_event::Attributes},
    sdk::v1::UserMetadata,
    workflowservice::v1 as api,
};
use tokio::time::Instant;
use tonic::Status;

impl MockFrontend {
    pub(super) fn activity_task_completed(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: api::RespondActivityTaskCompletedRequest = call.decode()?;
        self.update(|state| {
            let key = state.take_activity(&request.task_token)?;
            let payloads = request.result.clone().unwrap_or_default().payloads;
            let how = How::Completed(request.result);
            state.end_activity(key, ActivityStatus::Completed(payloads), how, &request.identity);
            Ok::<_, Status>(())
        })?;
        Ok(api::RespondActivityTaskCompletedResponse::default().encode_to_vec())
    }

    pub(super) fn activity_task_failed(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: api::RespondActivityTaskFailedRequest = call.decode()?;
        self.update(|state| {
            let token = &request.task_token;
            let activity = state.held_activity(token).ok_or_else(no_such_task)?;
            if request.last_heartbeat_details.is_some() {
                activity.progress.clone_from(&request.last_heartbeat_details);
            }
            let key = state.take_activity(token)?;
            let cause = request.cause();
            let failure = request.failure.unwrap_or_default();
            state.fail_attempt(key, failure, &request.identity, |failure, retry_state| {
                How::Failed(Some(failure), retry_state, cause)
            });
            Ok::<_, Status>(())
        })?;
        Ok(api::RespondActivityTaskFailedResponse::default().encode_to_vec())
    }

    pub(super) fn activity_task_canceled(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: api::RespondActivityTaskCanceledRequest = call.decode()?;
        self.update(|state| {
            let token = &request.task_token;
            let activity = state.held_activity(token).ok_or_else(no_such_task)?;
            if !activity.cancel_requested {
                return Err(Status::invalid_argument(NO_CANCEL_REQUEST));
            }
            let key = state.take_activity(token)?;
            let how = How::Canceled(request.details);
            state.end_activity(key, ActivityStatus::Canceled, how, &request.identity);
            Ok::<_, Status>(())
        })?;
        Ok(api::RespondActivityTaskCanceledResponse::default().encode_to_vec())
    }

    pub(super) fn activity_task_heartbeat(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: api::RecordActivityTaskHeartbeatRequest = call.decode()?;
        let cancel_requested = self.update(|state| {
            let activity = state.held_activity(&request.task_token).ok_or_else(no_such_task)?;
            activity.last_sign = Some(Instant::now());
            activity.heartbeats.push(request.details.clone().unwrap_or_default());
            activity.progress = request.details;
            Ok::<_, Status>(activity.cancel_requested)
        })?;
        Ok(api::RecordActivityTaskHeartbeatResponse { cancel_requested, ..Default::default() }
            .encode_to_vec())
    }
}

impl State {
    pub(crate) fn add_activity(
        &mut self,
        start: ActivityStart,
        origin: Option<Origin>,
        header: Option<Header>,
        retry_policy: Option<RetryPolicy>,
    ) {
        let key = self.number();
        let workflow = origin.as_ref().and_then(|o| self.workflows.runs.get(&o.run_id));
        let name = match workflow {
            Some(run) => format!("{}/{}", run.start.workflow_id, start.activity_id),
            None => start.activity_id.clone(),
        };
        let activity = Activity {
            retry: Retry::new(retry_policy.as_ref()),
            scheduled_at: self.clock.now(),
            status: ActivityStatus::Scheduled,
            attempt: 0,
            token: Vec::new(),
            cancel_requested: false,
            heartbeats: Vec::new(),
            progress: None,
            last_sign: None,
            last_failure: None,
            start,
            origin,
            header,
            retry_policy,
        };
        self.activities.all.insert(key, activity);
        self.activities.named.insert(name, key);
        self.queue_activity(key);
    }

    /// Schedules an activity for a workflow's command.
    pub(crate) fn schedule_for_workflow(
        &mut self,
        run_id: &str,
        order: ScheduleActivityTaskCommandAttributes,
        task: i64,
        at: SystemTime,
        metadata: Option<UserMetadata>,
    ) {
        let Some(run) = self.workflows.runs.get_mut(run_id) else {
            return;
        };
        let event = events::ActivityTaskScheduledEventAttributes {
            activity_id: order.activity_id.clone(),
            activity_type: order.activity_type.clone(),
            task_queue: order.task_queue.clone(),
            header: order.header.clone(),
            input: order.input.clone(),
            schedule_to_close_timeout: order.schedule_to_close_timeout,
            schedule_to_start_timeout: order.schedule_to_start_timeout,
            start_to_close_timeout: order.start_to_close_timeout,
            heartbeat_timeout: order.heartbeat_timeout,
            workflow_task_completed_event_id: task,
            retry_policy: order.retry_policy.clone(),
            priority: order.priority.clone(),
            ..Default::default()
        };
        let attributes = Attributes::ActivityTaskScheduledEventAttributes(event);
        let scheduled = run.history.append_with(at, attributes, metadata);
        let limit = order.start_to_close_timeout.or(order.schedule_to_close_timeout);
        let queue = order.task_queue.map(|queue| queue.name).filter(|name| !name.is_empty());
        let start = ActivityStart {
            namespace: run.start.namespace.clone(),
            task_queue: queue.unwrap_or_else(|| run.start.task_queue.clone()),
            input: order.input.unwrap_or_default().payloads,
            start_to_close_timeout: limit
                .and_then(|limit| limit.try_into().ok())
                .unwrap_or(Duration::from_secs(600)),
            heartbeat_timeout: order.heartbeat_timeout.and_then(|limit| limit.try_into().ok()),
            max_attempts: 0,
            ..ActivityStart::new(
                "",
                order.activity_type.unwrap_or_default().name,
                order.activity_id,
            )
        };
        let origin = Origin { run_id: run_id.to_owned(), scheduled };
        self.add_activity(start, Some(origin), order.header, order.retry_policy);
    }

    /// A workflow asked for a cancellation. Says whether that ended the activity at once; it is
    /// then already in the history.
    pub(crate) fn cancel_for_workflow(&mut self, run_id: &str, event: i64, at: SystemTime) -> bool {
        let found = self.activities.all.values_mut().find(|activity| {
            let origin = activity.origin.as_ref();
            origin.is_some_and(|origin| origin.run_id == run_id && origin.scheduled == event)
        });
        let Some(activity) = found.filter(|activity| !activity.status.is_closed()) else {
            return false;
        };
        activity.cancel_requested = true;
        if activity.status == ActivityStatus::Started {
            return false;
        }
        activity.status = ActivityStatus::Canceled;
        if let Some(run) = self.workflows.runs.get_mut(run_id) {
            let end = ActivityEnd { attempt: None, how: How::Canceled(None) };
            end.write(&mut run.history, at, event);
        }
        true
    }

    /// The test asked for a cancellation.
    pub(crate) fn cancel(&mut self, key: u64) {
        let Some(activity) = self.activities.all.get_mut(&key) else {
            return;
        };
        activity.cancel_requested = true;
        if activity.status == ActivityStatus::Scheduled {
            self.end_activity(key, ActivityStatus::Canceled, How::Canceled(None), "");
        }
    }

    pub(crate) fn queue_activity(&mut self, key: u64) {
        let Some(activity) = self.activities.all.get(&key) else {
            return;
        };
        let start = &activity.start;
        let queue = (start.namespace.clone(), start.task_queue.clone());
        self.activities.queues.entry(queue).or_default().push_back(key);
    }

    /// Hands out the next activity task of a queue.
    pub(crate) fn next_activity_task(
        &mut self,
        namespace: &str,
        queue: &str,
        identity: &str,
    ) -> Option<api::PollActivityTaskQueueResponse> {
        let now = self.clock.now();
        let queue = (namespace.to_owned(), queue.to_owned());
        loop {
            let key = self.activities.queues.get_mut(&queue)?.pop_front()?;
            let token = format!("activity-task-{}", self.number()).into_bytes();
            let Some(activity) = self.activities.all.get_mut(&key) else {
                continue;
            };
            if activity.status != ActivityStatus::Scheduled {
                continue;
            }
            activity.status = ActivityStatus::Started;
            activity.attempt += 1;
            activity.token.clone_from(&token);
            activity.last_sign = Some(Instant::now());
            tracing::debug!(activity = activity.start.activity_id, identity, "handed out");
            let run = activity.origin.as_ref();
            let run = run.and_then(|origin| self.workflows.runs.get(&origin.run_id));
            let start = &activity.start;
            let response = api::PollActivityTaskQueueResponse {
                task_token: token.clone(),
                workflow_namespace: start.namespace.clone(),
                workflow_type: run
                    .map(|run| WorkflowType { name: run.start.workflow_type.clone() }),
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
                retry_policy: activity.retry_policy.clone(),
                activity_run_id: if run.is_none() {
                    format!("activity-run-{key}")
                } else {
                    String::new()
                },
                ..Default::default()
            };
            let (limit, silence) = (start.start_to_close_timeout, start.heartbeat_timeout);
            self.activities.tokens.insert(token.clone(), key);
            if self.settings.task_timeouts {
                self.schedule(limit, Due::StartToClose { token: token.clone() });
                if let Some(silence) = silence {
                    self.schedule(silence, Due::Heartbeat { token });
                }
            }
            return Some(response);
        }
    }

    /// The activity of a task that a worker holds.
    fn held_activity(&mut self, token: &[u8]) -> Option<&mut Activity> {
        let key = self.activities.tokens.get(token)?;
        self.activities.all.get_mut(key)
    }

    /// The activity of a task that a worker holds, which is then no longer held.
    pub(crate) fn take_activity(&mut self, token: &[u8]) -> Result<u64, Status> {
        self.activities.tokens.remove(token).ok_or_else(no_such_task)
    }
}

/// A server's words.
const NO_CANCEL_REQUEST: &str =
    "unable to mark activity as canceled without activity being request canceled first";

fn no_such_task() -> Status {
    Status::not_found(
        "invalid activityID or activity already timed out or invoking workflow is completed",
    )
}
