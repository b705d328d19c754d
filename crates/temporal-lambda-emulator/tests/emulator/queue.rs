//! `Event` invocations: queued, and tried again.

use std::time::Duration;

use serde_json::json;
use temporal_lambda_emulator::{
    EmulatorEvent, EnvEvent, FunctionConfig, InvocationType, LambdaEmulator, Outcome,
};
use temporal_lambda_test_timing::{TimeLimit, test_timeout};

use crate::python::PythonFunction;

#[tokio::test]
async fn a_failing_event_is_tried_three_times_with_one_id() {
    let _limit = TimeLimit::of_this_test();
    let script = PythonFunction::new(
        r#"
event = next()
fail(event, "Always", "fails")
sys.exit(1)
"#,
    );
    let lambda = LambdaEmulator::start().await.unwrap();
    let delay = Duration::from_millis(20);
    let function = lambda.add_function(script.config("fails").retry_delay(delay)).unwrap();
    let id = function.invoke_event("").unwrap();
    function.idle(test_timeout()).await.unwrap();
    let attempts = function.invocations();
    assert_eq!(attempts.len(), 3);
    for (number, attempt) in (1..).zip(&attempts) {
        assert_eq!(attempt.request_id, id);
        assert_eq!(attempt.attempt, number);
        assert_eq!(attempt.invocation_type, InvocationType::Event);
        assert!(attempt.cold);
    }
}

#[tokio::test]
async fn retries_can_be_turned_off() {
    let _limit = TimeLimit::of_this_test();
    let script = PythonFunction::new("next(); os._exit(9)");
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("once").max_retry_attempts(0)).unwrap();
    function.invoke_event("").unwrap();
    function.idle(test_timeout()).await.unwrap();
    let attempts = function.invocations();
    assert_eq!(attempts.len(), 1);
    assert!(matches!(attempts[0].outcome, Outcome::Crashed { code: Some(9), .. }));
}

#[tokio::test]
async fn events_beyond_the_concurrency_wait_their_turn() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let running = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = running.clone();
    let function = FunctionConfig::in_process("queued", move |_| {
        let seen = seen.clone();
        async move {
            use std::sync::atomic::Ordering::SeqCst;
            let now = seen.fetch_add(1, SeqCst) + 1;
            tokio::task::yield_now().await;
            seen.fetch_sub(1, SeqCst);
            Ok(json!(now))
        }
    });
    let function = lambda.add_function(function.concurrency(1)).unwrap();
    for _ in 0..10 {
        function.invoke_event("{}").unwrap();
    }
    let done = function.wait_for(10, test_timeout()).await.unwrap();
    assert!(done.iter().all(|invocation| invocation.json() == Some(json!(1))));
    assert_eq!(function.environments().len(), 1);
}

#[tokio::test]
async fn an_event_that_finds_all_environments_busy_is_throttled_and_runs_later() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let opened = gate.clone();
    let function = FunctionConfig::in_process("busy", move |_| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(json!(null))
        }
    });
    let function = lambda.add_function(function.concurrency(1)).unwrap();
    let mut events = function.subscribe();
    let first = function.invoke_event("{}").unwrap();
    while !matches!(
        events.recv().await.unwrap(),
        EmulatorEvent::Environment { event: EnvEvent::EventHandedOut { .. }, .. }
    ) {}
    let second = function.invoke_event("{}").unwrap();
    // More than once: it waits again, and is not lost.
    for _ in 0..3 {
        let throttled = loop {
            if let EmulatorEvent::Throttled { request_id, .. } = events.recv().await.unwrap() {
                break request_id;
            }
        };
        assert_eq!(throttled, second);
    }
    opened.add_permits(2);
    let done = function.wait_for(2, test_timeout()).await.unwrap();
    let ids: Vec<_> = done.iter().map(|it| it.request_id.as_str()).collect();
    assert_eq!(ids, [first, second]);
    assert!(done.iter().all(|it| it.attempt == 1), "to be throttled is no attempt");
}

#[tokio::test]
async fn an_event_can_be_delivered_more_than_once() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = FunctionConfig::in_process("twice", |_| async { Ok(json!(null)) });
    let function = lambda.add_function(function.event_deliveries(2)).unwrap();
    let id = function.invoke_event("{}").unwrap();
    function.idle(test_timeout()).await.unwrap();
    let seen: Vec<_> = function.invocations().iter().map(|it| it.request_id.clone()).collect();
    assert_eq!(seen, [id.clone(), id]);
}

#[tokio::test]
async fn a_retry_that_succeeds_is_the_last() {
    let _limit = TimeLimit::of_this_test();
    let script = PythonFunction::new(
        r#"
marker = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tried")
while True:
    event = next()
    if os.path.exists(marker):
        respond(event, "done")
    else:
        open(marker, "w").close()
        fail(event, "Once", "only")
"#,
    );
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("second")).unwrap();
    let mut events = function.subscribe();
    function.invoke_event("{}").unwrap();
    let attempts = function.wait_for(2, test_timeout()).await.unwrap();
    assert!(!attempts[0].outcome.is_success() && attempts[1].outcome.is_success());
    assert!(!attempts[1].cold, "an error that was posted does not cost the environment");
    function.idle(test_timeout()).await.unwrap();

    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        assert_eq!(event.function(), Some("second"));
        match event {
            EmulatorEvent::Invoked { .. } => seen.push("invoked"),
            EmulatorEvent::Retrying { attempt: 2, .. } => seen.push("retrying"),
            EmulatorEvent::Finished { .. } => seen.push("finished"),
            _ => {}
        }
    }
    assert_eq!(seen, ["invoked", "finished", "retrying", "finished"]);
}

#[tokio::test]
async fn waiting_is_bounded() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = FunctionConfig::in_process("quiet", |_| async { Ok(json!(null)) });
    let function = lambda.add_function(function).unwrap();
    let late = function.wait_for(1, Duration::from_millis(10)).await;
    let said = late.unwrap_err().to_string();
    assert!(said.contains("0 finished, 0 unfinished"), "{said}");
}
