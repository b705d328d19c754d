//! Lambda contexts and events for tests that call a handler themselves.
//!
//! A [`TestContext`] is what the Runtime API would have said: a request ID, a function's ARN and a
//! deadline. Everything has a default, so most tests only say how long the invocation has:
//!
//! ```
//! use std::time::Duration;
//! use temporal_lambda_emulator::context::TestContext;
//!
//! let event = TestContext::new().lasting(Duration::from_secs(5)).event("a payload");
//! assert!(!event.context.request_id.is_empty());
//! ```
//!
//! Make the event immediately before calling the handler: the deadline starts then.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Config, Context, LambdaEvent};
use uuid::Uuid;

/// How long an invocation has unless told otherwise: 30 s.
pub const DEFAULT_TIME: Duration = Duration::from_secs(30);

/// The ARN unless told otherwise.
pub const DEFAULT_ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:under-test";

/// Settings of a context: what Lambda says about an invocation.
#[derive(Clone, Debug)]
#[must_use = "call `build` or `event` to get a context"]
pub struct TestContext {
    request_id: String,
    arn: String,
    time: Time,
    memory_mb: i32,
    trace_header: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Time {
    Lasting(Duration),
    Until(SystemTime),
    Unlimited,
}

impl TestContext {
    /// An invocation of [`DEFAULT_ARN`] that has [`DEFAULT_TIME`], with a request ID that no other
    /// has, a UUID like Lambda's.
    pub fn new() -> Self {
        Self {
            request_id: Uuid::new_v4().to_string(),
            arn: DEFAULT_ARN.to_owned(),
            time: Time::Lasting(DEFAULT_TIME),
            memory_mb: 128,
            trace_header: None,
        }
    }

    /// The request ID. The same one twice is what a retry of an `Event` invocation looks like.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = request_id.into();
        self
    }

    /// The ARN that was invoked, with its qualifier if there was one.
    pub fn arn(mut self, arn: impl Into<String>) -> Self {
        self.arn = arn.into();
        self
    }

    /// The time until the deadline, counted from [`build`](Self::build) or
    /// [`event`](Self::event). Zero is a deadline that is past when the event arrives.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.time = Time::Lasting(time);
        self
    }

    /// The deadline by wall clock: one in the past, or one as a clock that is wrong would put it.
    /// One before 1970 counts as 1 ms after it began.
    pub fn until(mut self, deadline: SystemTime) -> Self {
        self.time = Time::Until(deadline);
        self
    }

    /// No deadline: what emulators and other hosts of a handler may leave out.
    pub fn unlimited(mut self) -> Self {
        self.time = Time::Unlimited;
        self
    }

    /// The function's memory, in MiB. Default: 128.
    pub fn memory_mb(mut self, memory_mb: i32) -> Self {
        self.memory_mb = memory_mb;
        self
    }

    /// The X-Ray trace header. Default: none.
    pub fn trace_header(mut self, header: impl Into<String>) -> Self {
        self.trace_header = Some(header.into());
        self
    }

    /// The context.
    pub fn build(&self) -> Context {
        let mut context = Context::default();
        context.request_id.clone_from(&self.request_id);
        context.invoked_function_arn.clone_from(&self.arn);
        context.xray_trace_id.clone_from(&self.trace_header);
        context.deadline = match self.time {
            Time::Lasting(time) => {
                SystemTime::now().checked_add(time).map_or(u64::MAX, since_the_epoch)
            }
            Time::Until(deadline) => since_the_epoch(deadline),
            Time::Unlimited => 0,
        };
        // `arn:aws:lambda:<region>:<account>:function:<name>[:<qualifier>]`
        let mut name = self.arn.split(':').skip(6);
        context.env_config = Arc::new(Config {
            function_name: name.next().unwrap_or_default().to_owned(),
            version: name.next().unwrap_or("$LATEST").to_owned(),
            memory: self.memory_mb,
            ..Config::default()
        });
        context
    }

    /// An event with this context.
    pub fn event<T>(&self, payload: T) -> LambdaEvent<T> {
        LambdaEvent::new(payload, self.build())
    }
}

impl Default for TestContext {
    fn default() -> Self {
        Self::new()
    }
}

/// Milliseconds, as the Runtime API writes a deadline. Zero would mean that there is none.
fn since_the_epoch(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1)
}
