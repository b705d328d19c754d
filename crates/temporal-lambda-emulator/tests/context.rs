//! Contexts: what the Runtime API would have said.

use std::time::{Duration, SystemTime};

use temporal_lambda_emulator::context::{DEFAULT_ARN, TestContext};

fn milliseconds_now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[test]
fn the_deadline_of_a_context_counts_from_when_it_is_made() {
    let lasting = TestContext::new().lasting(Duration::from_secs(60));
    let before = milliseconds_now();
    let deadline = lasting.build().deadline;
    let after = milliseconds_now();
    assert!((before + 60_000..=after + 60_000).contains(&deadline), "{deadline}");
}

#[test]
fn unlimited_past_and_far_deadlines_are_what_the_runtime_api_would_say() {
    assert_eq!(TestContext::new().unlimited().build().deadline, 0);
    let past = TestContext::new().until(SystemTime::UNIX_EPOCH);
    assert_eq!(past.build().deadline, 1);
    let far = TestContext::new().lasting(Duration::MAX);
    assert_eq!(far.build().deadline, u64::MAX);
}

#[test]
fn the_function_of_a_context_is_the_one_in_its_arn() {
    let arn = format!("{DEFAULT_ARN}:7");
    let context = TestContext::new().arn(&arn).request_id("r-1").trace_header("Root=1").build();
    assert_eq!(context.invoked_function_arn, arn);
    assert_eq!(context.env_config.function_name, "under-test");
    assert_eq!(context.env_config.version, "7");
    assert_eq!(context.request_id, "r-1");
    assert_eq!(context.xray_trace_id.as_deref(), Some("Root=1"));
    let (one, other) = (TestContext::new().build(), TestContext::default().build());
    assert_ne!(one.request_id, other.request_id);
    assert_eq!(one.env_config.version, "$LATEST");
}
