//! When a failed activity is tried again.

use std::time::Duration;

use temporalio_common::protos::temporal::api::{
    common::v1::RetryPolicy,
    enums::v1::RetryState,
    failure::v1::{Failure, failure::FailureInfo},
};

/// How long to wait after this attempt, or why there is no other. What the policy leaves open is as on
/// a server.
pub(super) fn next_attempt(
    policy: &RetryPolicy,
    attempt: i32,
    failure: &Failure,
) -> Result<Duration, RetryState> {
    let mut wish = None;
    match &failure.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => {
            if info.non_retryable || policy.non_retryable_error_types.contains(&info.r#type) {
                return Err(RetryState::NonRetryableFailure);
            }
            wish = info.next_retry_delay.and_then(|delay| delay.try_into().ok());
        }
        Some(FailureInfo::CanceledFailureInfo(_) | FailureInfo::TerminatedFailureInfo(_)) => {
            return Err(RetryState::NonRetryableFailure);
        }
        _ => {}
    }
    if policy.maximum_attempts > 0 && attempt >= policy.maximum_attempts {
        return Err(RetryState::MaximumAttemptsReached);
    }
    let given = |duration: Duration| (!duration.is_zero()).then_some(duration);
    let initial = policy.initial_interval.and_then(|it| it.try_into().ok()).and_then(given);
    let initial = initial.unwrap_or(Duration::from_secs(1));
    let longest = policy.maximum_interval.and_then(|it| it.try_into().ok()).and_then(given);
    let longest = longest.unwrap_or(initial.saturating_mul(100));
    let given = policy.backoff_coefficient;
    let factor = if given >= 1.0 { given } else { 2.0 }.powi(attempt - 1);
    let usual = Duration::try_from_secs_f64(initial.as_secs_f64() * factor);
    Ok(wish.unwrap_or_else(|| usual.unwrap_or(longest).min(longest)))
}
