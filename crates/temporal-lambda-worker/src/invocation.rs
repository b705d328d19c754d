//! The facts of one invocation, and the time that it has.

use std::future::Future;
use std::time::{Duration, SystemTime};

use lambda_runtime::Context;
use tokio::time::Instant;

use crate::codec_work::CodecWork;
use crate::telemetry::Scope;

/// The facts of one invocation: who called, and until when.
///
/// Lambda's deadline is wall clock. It is turned into a monotonic instant once, when the event
/// arrives, and everything derives from that; a step of the clock does not move it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Invocation {
    /// Lambda's request ID. A retry of an `Event` invocation has the same one.
    pub request_id: String,
    /// The ARN that was invoked; empty if the runtime did not say.
    pub function_arn: String,
    /// Lambda's deadline by wall clock. `None`: the invocation runs until it is cancelled.
    pub deadline: Option<SystemTime>,
    /// The X-Ray trace header of this invocation.
    pub trace_id: Option<String>,
    /// Whether this is the environment's first invocation.
    pub cold_start: bool,
    arrived: Instant,
    due: Option<Instant>,
    scope: Scope,
    codec_work: CodecWork,
}

/// What `lambda_runtime` puts in the place of a missing ARN.
const NO_ARN: &str = "No header lambda-runtime-invoked-function-arn found.";

impl Invocation {
    /// The facts in Lambda's context, with `now` as the moment of arrival.
    pub(crate) fn arriving(context: &Context, cold_start: bool) -> Self {
        let (arrived, wall) = (Instant::now(), SystemTime::now());
        let deadline = (context.deadline > 0).then(|| context.deadline());
        // A deadline that is past, or so far off that no clock can hold it, must not panic.
        let due = deadline.and_then(|deadline| {
            let left = deadline.duration_since(wall).unwrap_or(Duration::ZERO);
            arrived.checked_add(left)
        });
        let function_arn = Some(&context.invoked_function_arn).filter(|arn| *arn != NO_ARN);
        Self {
            request_id: context.request_id.clone(),
            function_arn: function_arn.cloned().unwrap_or_default(),
            deadline,
            trace_id: context.xray_trace_id.clone(),
            cold_start,
            arrived,
            due,
            scope: Scope::of(&context.request_id),
            codec_work: CodecWork::default(),
        }
    }

    /// The time left until Lambda's deadline; zero if it is past, `None` if there is none.
    pub fn remaining_time(&self) -> Option<Duration> {
        Some(self.due?.saturating_duration_since(Instant::now()))
    }

    /// The worker's identity in workflow histories: `<request id>@<ARN>`.
    pub fn identity(&self) -> String {
        format!("{}@{}", self.request_id, self.function_arn)
    }

    /// Where a payload codec that takes time says that it is at work.
    pub fn codec_work(&self) -> CodecWork {
        self.codec_work.clone()
    }

    pub(crate) fn arrived(&self) -> Instant {
        self.arrived
    }

    /// What everything of this invocation runs in.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }
}

tokio::task_local! {
    static CURRENT: Invocation;
}

/// The invocation that the calling activity runs in; `None` outside of one.
///
/// Works in activities and local activities, in the task that the SDK started them in; hand the
/// value on to tasks that the activity spawns.
pub fn current_invocation() -> Option<Invocation> {
    CURRENT.try_with(Clone::clone).ok()
}

/// The time left until the deadline of the invocation that the calling activity runs in; `None`
/// outside of one, or if it has no deadline. Polling stops earlier, by the shutdown deadline
/// buffer.
pub fn remaining_time() -> Option<Duration> {
    CURRENT.try_with(Invocation::remaining_time).ok().flatten()
}

/// Runs `future` such that [`current_invocation`] finds `invocation`.
pub(crate) fn within<F: Future>(
    invocation: Invocation,
    future: F,
) -> impl Future<Output = F::Output> {
    let scope = invocation.scope.clone();
    // Only for logs: the current span is the activity's own.
    scope.logged(CURRENT.scope(invocation, future))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(deadline: u64) -> Context {
        let mut context = Context::default();
        context.request_id = "r-1".to_owned();
        context.invoked_function_arn = "arn:f".to_owned();
        context.deadline = deadline;
        context
    }

    #[tokio::test]
    async fn no_deadline_a_past_one_and_the_farthest_do_not_panic() {
        assert_eq!(Invocation::arriving(&context(0), true).remaining_time(), None);
        let past = Invocation::arriving(&context(1), true);
        assert_eq!(past.remaining_time(), Some(Duration::ZERO));
        let far = Invocation::arriving(&context(u64::MAX / 2), true);
        assert!(far.remaining_time().is_none_or(|left| left > Duration::from_secs(1_000_000)));
    }

    #[tokio::test]
    async fn an_unknown_arn_is_empty_and_the_identity_names_both() {
        let mut nameless = context(0);
        nameless.invoked_function_arn = NO_ARN.to_owned();
        assert_eq!(Invocation::arriving(&nameless, true).identity(), "r-1@");
        assert_eq!(Invocation::arriving(&context(0), true).identity(), "r-1@arn:f");
    }

    #[tokio::test]
    async fn activities_find_their_invocation_and_others_find_none() {
        assert!(current_invocation().is_none());
        let invocation = Invocation::arriving(&context(0), true);
        let found = within(invocation, async { current_invocation() }).await;
        assert_eq!(found.map(|it| it.request_id).as_deref(), Some("r-1"));
    }
}
