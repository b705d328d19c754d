//! Activities from the test's side: handing them out and seeing how they end.

use super::{
    DEFAULT_WAIT, FrontendError, MockFrontend,
    activity_ends::{Origin, Retry},
    state::State,
    workflows::{first_json, json_payload},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, SystemTime},
};
use temporalio_common::protos::temporal::api::{
    common::v1::{Header, Payload, Payloads, RetryPolicy},
    failure::v1::Failure,
};
use tokio::time::Instant;

/// An activity to hand out without a workflow; see [`MockFrontend::schedule_activity`].
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityStart {
    /// The namespace. Default: `default`.
    pub namespace: String,
    /// The task queue.
    pub task_queue: String,
    /// The activity type.
    pub activity_type: String,
    /// The activity ID, by which the frontend knows it.
    pub activity_id: String,
    /// The arguments, encoded.
    pub input: Vec<Payload>,
    /// How long one attempt may take. Default: 10 minutes. Only told to the worker, unless
    /// [`MockFrontend::enforce_task_timeouts`].
    pub start_to_close_timeout: Duration,
    /// How long the worker may be silent. Default: none. The SDK sends heartbeats to the frontend
    /// at 80 % of it at most, so set it to see one soon.
    pub heartbeat_timeout: Option<Duration>,
    /// How many attempts it gets, 1 s, 2 s, 4 s … apart. Default: 1; 0 is any number.
    pub max_attempts: u32,
}

impl ActivityStart {
    /// An activity without arguments in the namespace `default`, tried once.
    pub fn new(
        task_queue: impl Into<String>,
        activity_type: impl Into<String>,
        activity_id: impl Into<String>,
    ) -> Self {
        Self {
            namespace: "default".to_owned(),
            task_queue: task_queue.into(),
            activity_type: activity_type.into(),
            activity_id: activity_id.into(),
            input: Vec::new(),
            start_to_close_timeout: Duration::from_secs(600),
            heartbeat_timeout: None,
            max_attempts: 1,
        }
    }

    /// Adds an argument, as the SDK's default data converter encodes it: in JSON.
    ///
    /// # Panics
    /// When the value has no JSON form.
    pub fn arg(mut self, value: &impl Serialize) -> Self {
        self.input.push(json_payload(value));
        self
    }
}

/// How an activity stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ActivityStatus {
    /// Waiting for a worker, or for its next attempt.
    Scheduled,
    /// Held by a worker.
    Started,
    /// It returned this.
    Completed(Vec<Payload>),
    /// It failed for good; this is its last failure.
    Failed(Box<Failure>),
    /// It honored a cancellation, or was canceled before a worker had it.
    Canceled,
    /// Its workflow was closed before it was done.
    Abandoned,
}

impl ActivityStatus {
    /// Whether nothing more can come of it.
    pub fn is_closed(&self) -> bool {
        !matches!(self, Self::Scheduled | Self::Started)
    }

    /// The first value of the result, from JSON.
    ///
    /// # Errors
    /// [`FrontendError::NoResult`] unless it completed, [`FrontendError::NotThatJson`] when the
    /// result is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, FrontendError> {
        match self {
            Self::Completed(payloads) => first_json(payloads),
            Self::Failed(failure) => {
                Err(FrontendError::NoResult(format!("failed: {}", failure.message)))
            }
            other => Err(FrontendError::NoResult(format!("{other:?}"))),
        }
    }
}

/// What the frontend keeps of an activity.
pub(crate) struct Activity {
    pub(crate) start: ActivityStart,
    pub(crate) origin: Option<Origin>,
    pub(crate) header: Option<Header>,
    pub(crate) retry_policy: Option<RetryPolicy>,
    pub(crate) retry: Retry,
    pub(crate) scheduled_at: SystemTime,
    pub(crate) status: ActivityStatus,
    /// The current attempt, from 1; 0 before a worker had it.
    pub(crate) attempt: i32,
    pub(crate) token: Vec<u8>,
    pub(crate) cancel_requested: bool,
    pub(crate) heartbeats: Vec<Payloads>,
    /// What the next attempt is told of this one: the details of the last heartbeat, which may have
    /// none, or those that came with a failure.
    pub(crate) progress: Option<Payloads>,
    pub(crate) last_sign: Option<Instant>,
    pub(crate) last_failure: Option<Failure>,
}

#[derive(Default)]
pub(crate) struct Activities {
    pub(crate) all: HashMap<u64, Activity>,
    /// The latest activity of each name.
    pub(crate) named: HashMap<String, u64>,
    pub(crate) queues: HashMap<(String, String), VecDeque<u64>>,
    /// The activities that workers hold.
    pub(crate) tokens: HashMap<Vec<u8>, u64>,
}

impl MockFrontend {
    /// Hands an activity without a workflow to the next worker that polls its task queue.
    ///
    /// The other methods know it by its activity ID, and an activity of a workflow by
    /// `<workflow id>/<activity id>`; the SDK numbers a workflow's activities from `1`.
    pub fn schedule_activity(&self, start: ActivityStart) {
        self.update(|state| {
            let retry_policy = RetryPolicy {
                maximum_attempts: start.max_attempts.try_into().unwrap_or(i32::MAX),
                ..Default::default()
            };
            state.add_activity(start, None, None, Some(retry_policy));
        });
    }

    /// Cancels an activity: one that no worker has yet is canceled at once, the others are told in
    /// the answer to their next heartbeat.
    ///
    /// # Errors
    /// [`FrontendError::UnknownActivity`].
    pub fn cancel_activity(&self, id: &str) -> Result<(), FrontendError> {
        self.update(|state| {
            let key = state.activity_key(id)?;
            state.cancel(key);
            Ok(())
        })
    }

    /// How an activity stands now.
    ///
    /// # Errors
    /// [`FrontendError::UnknownActivity`].
    pub fn activity_status(&self, id: &str) -> Result<ActivityStatus, FrontendError> {
        self.look_at(id, |activity| activity.status.clone())
    }

    /// How many times an activity was handed to a worker.
    ///
    /// # Errors
    /// [`FrontendError::UnknownActivity`].
    pub fn activity_attempts(&self, id: &str) -> Result<u32, FrontendError> {
        self.look_at(id, |activity| activity.attempt.try_into().unwrap_or(0))
    }

    /// The details of an activity's heartbeats, oldest first. An SDK throttles heartbeats.
    ///
    /// # Errors
    /// [`FrontendError::UnknownActivity`].
    pub fn activity_heartbeats(&self, id: &str) -> Result<Vec<Payloads>, FrontendError> {
        self.look_at(id, |activity| activity.heartbeats.clone())
    }

    /// Waits until an activity is closed, for at most [`DEFAULT_WAIT`]. Cancel safe.
    ///
    /// # Errors
    /// [`FrontendError::UnknownActivity`], [`FrontendError::TimedOut`].
    pub async fn activity_result(&self, id: &str) -> Result<ActivityStatus, FrontendError> {
        let until = Instant::now() + DEFAULT_WAIT;
        let status = self
            .watch_state(Some(until), |state| match state.activity_key(id) {
                Ok(key) => {
                    let status = &state.activities.all.get(&key)?.status;
                    status.is_closed().then(|| Ok(status.clone()))
                }
                Err(error) => Some(Err(error)),
            })
            .await;
        match status {
            Some(status) => status,
            None => Err(self.timed_out(format!("activity {id:?} to close"), DEFAULT_WAIT)),
        }
    }

    fn look_at<R>(&self, id: &str, look: impl FnOnce(&Activity) -> R) -> Result<R, FrontendError> {
        let state = self.lock();
        let key = state.activity_key(id)?;
        let activity = state.activities.all.get(&key);
        activity.map(look).ok_or_else(|| FrontendError::UnknownActivity(id.to_owned()))
    }
}

impl State {
    fn activity_key(&self, id: &str) -> Result<u64, FrontendError> {
        self.activities
            .named
            .get(id)
            .copied()
            .ok_or_else(|| FrontendError::UnknownActivity(id.to_owned()))
    }
}
