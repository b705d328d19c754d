//! The facts of one invocation, and the time that it has.

mod codec_work;
pub(crate) mod telemetry;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Context, LambdaEvent};
use tokio::time::Instant;

pub use codec_work::{CodecWork, CodecWorkGuard};
pub(crate) use telemetry::{Scope, Telemetry, WriteFigures, as_workflow_thread};

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
    pub trace_header: Option<String>,
    /// Whether this is the environment's first invocation.
    pub cold_start: bool,
    event: Event,
    arrived: Instant,
    due: Option<Instant>,
    warning: Option<String>,
    scope: Scope,
    codec_work: CodecWork,
}

/// What came with an invocation, shared by all copies of its facts.
#[derive(Clone)]
struct Event {
    context: Arc<Context>,
    payload: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A payload or a client context may hold a secret.
        f.write_str("Event")
    }
}

/// What `lambda_runtime` puts in the place of a missing ARN.
const NO_ARN: &str = "No header lambda-runtime-invoked-function-arn found.";

/// What an identity says in the place of a part that is missing.
const UNKNOWN: &str = "unknown";

impl Invocation {
    /// The facts in Lambda's context, for tests of code that is handed an `Invocation`. The moment of the
    /// call is the moment of arrival, it is the environment's first invocation, and there is no payload.
    pub fn from_context(context: &Context) -> Self {
        Self::arriving(context, true)
    }

    /// As [`of`](Self::of), without a payload.
    pub(crate) fn arriving(context: &Context, cold_start: bool) -> Self {
        Self::of(LambdaEvent::new((), context.clone()), cold_start)
    }

    /// The facts of an event. The moment of the call is the moment of arrival.
    pub(crate) fn of<T: Send + Sync + 'static>(event: LambdaEvent<T>, cold_start: bool) -> Self {
        let LambdaEvent { payload, context, .. } = event;
        let (arrived, wall) = (Instant::now(), SystemTime::now());
        let Deadline { at: deadline, warning } = Deadline::read(context.deadline, wall);
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
            trace_header: context.xray_trace_id.clone(),
            cold_start,
            arrived,
            due,
            warning,
            scope: Scope::of(&context.request_id),
            codec_work: CodecWork::default(),
            event: Event { context: Arc::new(context), payload: Arc::new(payload) },
        }
    }

    /// Lambda's context as it came: tenant, client context, the function's name, version and memory.
    pub fn context(&self) -> &Context {
        &self.event.context
    }

    /// The event's payload, if it is a `T`: what [`handle`](crate::LambdaWorkerHandler::handle) was called
    /// with; under [`run_worker`](crate::run_worker) the bytes as they came, a `Vec<u8>`. `None` for any other
    /// type, and in a [check](crate::LambdaWorkerHandler::check).
    ///
    /// ```
    /// # use temporal_lambda_worker::{BoxError, LambdaWorkerConfig};
    /// fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
    ///     let payload: Option<&Vec<u8>> = config.invocation.payload();
    ///     println!("invoked with {} bytes", payload.map_or(0, Vec::len));
    ///     Ok(())
    /// }
    /// ```
    pub fn payload<T: 'static>(&self) -> Option<&T> {
        self.event.payload.downcast_ref()
    }

    /// The time left until Lambda's deadline; zero if it is past, `None` if there is none.
    pub fn remaining_time(&self) -> Option<Duration> {
        Some(self.due?.saturating_duration_since(Instant::now()))
    }

    /// The worker's identity in workflow histories: `<request ID>@<ARN>`, with `unknown` for a
    /// part that is missing. Where both are missing it is the SDK's own: `<process ID>@<host>`.
    pub fn identity(&self) -> String {
        let (request_id, arn) = (self.request_id.trim(), self.function_arn.trim());
        if request_id.is_empty() && arn.is_empty() {
            let host = gethostname::gethostname();
            return format!("{}@{}", std::process::id(), host.to_string_lossy());
        }
        let known = |part| if str::is_empty(part) { UNKNOWN } else { part };
        format!("{}@{}", known(request_id), known(arn))
    }

    /// What is odd about the event, in words that are the same for each event of its kind.
    pub(crate) fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
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

/// When AWS announced Lambda, in milliseconds since the epoch: 2014-11-13. No deadline is older.
const LAMBDA_BEGAN: u64 = 1_415_836_800_000;
/// The longest time between now and a deadline that is taken for one in seconds: a day.
const NEAR: Duration = Duration::from_secs(24 * 60 * 60);

/// A deadline as the Runtime API gave it, understood.
struct Deadline {
    at: Option<SystemTime>,
    warning: Option<String>,
}

impl Deadline {
    /// The header `lambda-runtime-deadline-ms` should hold the deadline by wall clock. Some emulators
    /// put the function's timeout there, some nothing; a deadline in seconds is an easy mistake.
    fn read(value: u64, now: SystemTime) -> Self {
        let since_epoch = |time| SystemTime::UNIX_EPOCH.checked_add(time);
        // Without the value, which is another for each event: a warning is logged once.
        let odd = |at, meaning: &str| Self {
            at,
            warning: Some(format!(
                "the deadline of events (lambda-runtime-deadline-ms) is no wall clock in milliseconds: \
                 {meaning}"
            )),
        };
        if value == 0 {
            let text = "the event has no deadline (lambda-runtime-deadline-ms is 0): the invocation \
                        ends when it is idle or cancelled";
            return Self { at: None, warning: Some(text.to_owned()) };
        }
        if value >= LAMBDA_BEGAN {
            return Self { at: since_epoch(Duration::from_millis(value)), warning: None };
        }
        let in_seconds = since_epoch(Duration::from_secs(value));
        let is_near = |at: &SystemTime| match at.duration_since(now) {
            Ok(ahead) => ahead <= NEAR,
            Err(behind) => behind.duration() <= NEAR,
        };
        match in_seconds.filter(is_near) {
            Some(at) => odd(Some(at), "it is taken as seconds since 1970"),
            None => odd(
                now.checked_add(Duration::from_millis(value)),
                "it is taken as the time that the invocation has",
            ),
        }
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

    fn millis(at: SystemTime) -> u64 {
        u64::try_from(at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
    }

    /// The time that an invocation has, with the clock stopped.
    async fn left(deadline: u64) -> Option<Duration> {
        Invocation::arriving(&context(deadline), true).remaining_time()
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_of_zero_a_past_one_and_the_farthest_do_not_panic() {
        assert_eq!(left(0).await, None);
        let past = millis(SystemTime::now() - Duration::from_secs(3));
        assert_eq!(left(past).await, Some(Duration::ZERO));
        for far in [u64::MAX / 2, u64::MAX] {
            let left = left(far).await;
            assert!(left.is_none_or(|left| left > Duration::from_secs(1_000_000)), "{left:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_before_lambda_existed_is_the_time_that_the_invocation_has() {
        for value in [1, 5_000, 600_000, 900_000, LAMBDA_BEGAN - 1] {
            let invocation = Invocation::arriving(&context(value), true);
            // Reading the wall clock twice may cost a nanosecond.
            let left = invocation.remaining_time().unwrap();
            let expected = Duration::from_millis(value);
            assert!(expected.abs_diff(left) < Duration::from_millis(1), "{value}: {left:?}");
            assert!(invocation.deadline.is_some());
            assert!(invocation.warning().unwrap().contains("the time that the invocation has"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_in_seconds_is_a_time_of_day() {
        let seconds = millis(SystemTime::now() + Duration::from_secs(60)) / 1000;
        let left = left(seconds).await.unwrap();
        assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(50), "{left:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_odd_or_missing_is_warned_about_and_a_true_one_is_not() {
        let warned = |value| Invocation::arriving(&context(value), true).warning().is_some();
        assert!(warned(0));
        assert!(warned(600_000));
        assert!(!warned(millis(SystemTime::now() + Duration::from_secs(60))));
        assert!(!warned(millis(SystemTime::now() - Duration::from_secs(60))));
    }

    #[tokio::test]
    async fn an_identity_says_unknown_for_what_is_missing_and_is_the_sdks_without_both() {
        let identity = |request_id: &str, arn: &str| {
            let mut context = context(0);
            context.request_id = request_id.to_owned();
            context.invoked_function_arn = arn.to_owned();
            Invocation::arriving(&context, true).identity()
        };
        assert_eq!(identity("r-1", "arn:f"), "r-1@arn:f");
        assert_eq!(identity("r-1", NO_ARN), "r-1@unknown");
        assert_eq!(identity(" ", "arn:f"), "unknown@arn:f");
        let neither = identity("", "");
        assert!(neither.starts_with(&format!("{}@", std::process::id())), "{neither}");
        assert!(!neither.ends_with('@'), "{neither}");
    }

    /// The sentence is `lambda_runtime`'s: if it changes, it must change here.
    #[test]
    fn an_event_without_an_arn_holds_the_sentence_that_is_known_here() {
        let mut headers = http::HeaderMap::new();
        headers.insert("lambda-runtime-deadline-ms", http::HeaderValue::from_static("0"));
        let context = Context::new("r-1", std::sync::Arc::default(), &headers).unwrap();
        assert_eq!(context.invoked_function_arn, NO_ARN);
    }

    #[tokio::test]
    async fn activities_find_their_invocation_and_others_find_none() {
        assert!(current_invocation().is_none());
        let invocation = Invocation::arriving(&context(0), true);
        let found = within(invocation, async { current_invocation() }).await;
        assert_eq!(found.map(|it| it.request_id).as_deref(), Some("r-1"));
    }
}
