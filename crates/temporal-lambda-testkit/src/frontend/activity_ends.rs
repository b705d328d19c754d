//! How activities end: results, failures with their retries, timeouts, cancellations.

use super::{
    activities::ActivityStatus,
    engine::Arrival,
    history::History,
    state::{Due, State},
};
use std::time::{Duration, SystemTime};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payloads, RetryPolicy},
    enums::v1::{ActivityTaskFailedCause, RetryState, TimeoutType},
    failure::v1::{CanceledFailureInfo, Failure, TimeoutFailureInfo, failure::FailureInfo},
    history::v1::{self as events, history_event::Attributes},
};

/// The workflow that an activity belongs to.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) run_id: String,
    pub(crate) scheduled: i64,
}

/// A retry policy, with a server's defaults filled in.
pub(crate) struct Retry {
    initial: Duration,
    coefficient: f64,
    longest: Duration,
    /// 0 is any number.
    attempts: i32,
    never: Vec<String>,
}

/// How an activity ended, as the history tells it.
pub(crate) struct ActivityEnd {
    /// The last attempt, who made it, and why the one before failed; none was made if it was
    /// canceled before a worker had it.
    pub(crate) attempt: Option<(i32, String, Option<Failure>)>,
    pub(crate) how: How,
}

pub(crate) enum How {
    Completed(Option<Payloads>),
    Failed(Option<Failure>, RetryState, ActivityTaskFailedCause),
    TimedOut(Failure, RetryState),
    Canceled(Option<Payloads>),
}

impl ActivityEnd {
    /// Writes the started event, which a server only writes now, and the closing one.
    pub(crate) fn write(self, history: &mut History, at: SystemTime, scheduled: i64) {
        let (mut started, mut identity) = (0, String::new());
        if let Some((attempt, by, last_failure)) = self.attempt {
            identity.clone_from(&by);
            let event = events::ActivityTaskStartedEventAttributes {
                scheduled_event_id: scheduled,
                identity: by,
                attempt,
                last_failure,
                ..Default::default()
            };
            started = history.append(at, Attributes::ActivityTaskStartedEventAttributes(event));
        }
        let requested = history.cancel_requested(scheduled);
        let closing = match (self.how, requested) {
            (How::Completed(result), _) => Attributes::ActivityTaskCompletedEventAttributes(
                events::ActivityTaskCompletedEventAttributes {
                    result,
                    scheduled_event_id: scheduled,
                    started_event_id: started,
                    identity,
                    ..Default::default()
                },
            ),
            (How::TimedOut(failure, retry_state), _) => {
                Attributes::ActivityTaskTimedOutEventAttributes(
                    events::ActivityTaskTimedOutEventAttributes {
                        failure: Some(failure),
                        scheduled_event_id: scheduled,
                        started_event_id: started,
                        retry_state: retry_state.into(),
                    },
                )
            }
            (How::Canceled(details), Some(latest_cancel_requested_event_id)) => {
                Attributes::ActivityTaskCanceledEventAttributes(
                    events::ActivityTaskCanceledEventAttributes {
                        details,
                        latest_cancel_requested_event_id,
                        scheduled_event_id: scheduled,
                        started_event_id: started,
                        identity,
                        ..Default::default()
                    },
                )
            }
            // A workflow only understands a cancellation that it asked for.
            (How::Canceled(details), None) => failed(
                Some(Failure {
                    message: "canceled by the test, not by the workflow".to_owned(),
                    failure_info: Some(FailureInfo::CanceledFailureInfo(CanceledFailureInfo {
                        details,
                        ..Default::default()
                    })),
                    ..Default::default()
                }),
                RetryState::NonRetryableFailure,
                ActivityTaskFailedCause::Unspecified,
                (scheduled, started, identity),
            ),
            (How::Failed(failure, retry_state, cause), _) => {
                failed(failure, retry_state, cause, (scheduled, started, identity))
            }
        };
        history.append(at, closing);
    }
}

fn failed(
    failure: Option<Failure>,
    retry_state: RetryState,
    cause: ActivityTaskFailedCause,
    (scheduled, started, identity): (i64, i64, String),
) -> Attributes {
    Attributes::ActivityTaskFailedEventAttributes(events::ActivityTaskFailedEventAttributes {
        failure,
        scheduled_event_id: scheduled,
        started_event_id: started,
        identity,
        retry_state: retry_state.into(),
        cause: cause.into(),
        ..Default::default()
    })
}

impl Retry {
    pub(crate) fn new(policy: Option<&RetryPolicy>) -> Self {
        let given = |duration: Option<Duration>| duration.filter(|d| !d.is_zero());
        let policy = policy.cloned().unwrap_or_default();
        let initial = policy.initial_interval.and_then(|d| d.try_into().ok());
        let initial = given(initial).unwrap_or(Duration::from_secs(1));
        let longest = policy.maximum_interval.and_then(|d| d.try_into().ok());
        Self {
            initial,
            coefficient: if policy.backoff_coefficient >= 1.0 {
                policy.backoff_coefficient
            } else {
                2.0
            },
            longest: given(longest).unwrap_or(initial.saturating_mul(100)),
            attempts: policy.maximum_attempts,
            never: policy.non_retryable_error_types,
        }
    }

    /// How long to wait after this attempt, or why there is no other.
    fn after(&self, attempt: i32, failure: Option<&Failure>) -> Result<Duration, RetryState> {
        let mut wish = None;
        match failure.and_then(|failure| failure.failure_info.as_ref()) {
            Some(FailureInfo::ApplicationFailureInfo(info)) => {
                if info.non_retryable || self.never.contains(&info.r#type) {
                    return Err(RetryState::NonRetryableFailure);
                }
                wish = info.next_retry_delay.and_then(|d| d.try_into().ok());
            }
            Some(FailureInfo::CanceledFailureInfo(_) | FailureInfo::TerminatedFailureInfo(_)) => {
                return Err(RetryState::NonRetryableFailure);
            }
            _ => {}
        }
        if self.attempts > 0 && attempt >= self.attempts {
            return Err(RetryState::MaximumAttemptsReached);
        }
        let factor = self.coefficient.powi(attempt - 1);
        let usual = Duration::try_from_secs_f64(self.initial.as_secs_f64() * factor);
        Ok(wish.unwrap_or_else(|| usual.unwrap_or(self.longest).min(self.longest)))
    }
}

impl State {
    /// An attempt failed: wait for the next one, or end.
    pub(crate) fn fail_attempt(
        &mut self,
        key: u64,
        failure: Failure,
        identity: &str,
        how: impl FnOnce(Failure, RetryState) -> How,
    ) {
        let Some(activity) = self.activities.all.get_mut(&key) else {
            return;
        };
        let next = if activity.cancel_requested {
            Err(RetryState::CancelRequested)
        } else {
            activity.retry.after(activity.attempt, Some(&failure))
        };
        match next {
            Ok(delay) => {
                activity.status = ActivityStatus::Scheduled;
                activity.last_failure = Some(failure);
                self.schedule(delay, Due::ActivityTask { activity: key });
            }
            Err(retry_state) => {
                let mut failure = failure;
                if let Some(FailureInfo::TimeoutFailureInfo(info)) = &mut failure.failure_info {
                    info.last_heartbeat_details.clone_from(&activity.progress);
                }
                let status = ActivityStatus::Failed(Box::new(failure.clone()));
                self.end_activity(key, status, how(failure, retry_state), identity);
            }
        }
    }

    pub(crate) fn end_activity(
        &mut self,
        key: u64,
        status: ActivityStatus,
        how: How,
        identity: &str,
    ) {
        let Some(activity) = self.activities.all.get_mut(&key) else {
            return;
        };
        activity.status = status;
        let attempt = (activity.attempt > 0).then(|| {
            let last_failure = activity.last_failure.clone();
            (activity.attempt, identity.to_owned(), last_failure)
        });
        if let Some(Origin { run_id, scheduled }) = activity.origin.clone() {
            let end = Box::new(ActivityEnd { attempt, how });
            self.deliver(&run_id, Arrival::ActivityEnded { scheduled, end });
        }
    }

    /// The activities of a closed workflow: nobody waits for them any more.
    pub(crate) fn abandon_activities(&mut self, run_id: &str) {
        for activity in self.activities.all.values_mut() {
            let origin = activity.origin.as_ref();
            if origin.is_some_and(|origin| origin.run_id == run_id) && !activity.status.is_closed()
            {
                activity.status = ActivityStatus::Abandoned;
                self.activities.tokens.remove(&activity.token);
            }
        }
    }

    pub(crate) fn time_out_start_to_close(&mut self, token: &[u8]) {
        if let Ok(key) = self.take_activity(token) {
            self.time_out(key, TimeoutType::StartToClose);
        }
    }

    pub(crate) fn time_out_heartbeat(&mut self, token: &[u8]) {
        let Some(key) = self.activities.tokens.get(token).copied() else {
            return;
        };
        let Some(activity) = self.activities.all.get(&key) else {
            return;
        };
        let limit = activity.start.heartbeat_timeout.unwrap_or_default();
        let silent = activity.last_sign.map_or(limit, |at| at.elapsed());
        if silent < limit {
            let token = token.to_vec();
            self.schedule(limit - silent, Due::Heartbeat { token });
        } else if self.take_activity(token).is_ok() {
            self.time_out(key, TimeoutType::Heartbeat);
        }
    }

    fn time_out(&mut self, key: u64, kind: TimeoutType) {
        let failure = Failure {
            message: format!("activity {kind:?} timeout"),
            source: "Server".to_owned(),
            failure_info: Some(FailureInfo::TimeoutFailureInfo(TimeoutFailureInfo {
                timeout_type: kind.into(),
                // Only a timeout that ends the activity has them.
                last_heartbeat_details: None,
            })),
            ..Default::default()
        };
        self.fail_attempt(key, failure, "", How::TimedOut);
    }
}
