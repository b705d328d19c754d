//! Environments that nobody needs, and events that became too old.

use std::time::Duration;

use temporal_lambda_emulator::{EmulatorEvent, EnvEvent, LambdaEmulator};
use temporal_lambda_test_timing::{TimeLimit, test_timeout};

use crate::python::PythonFunction;

#[tokio::test]
async fn an_idle_environment_is_killed_after_a_while() {
    let _limit = TimeLimit::of_this_test();
    let idle = Duration::from_millis(50);
    let lambda = LambdaEmulator::builder().idle_expiry(idle).start().await.unwrap();
    let script = PythonFunction::new("while True: respond(next(), 'done')");
    let function = lambda.add_function(script.config("brief")).unwrap();
    assert!(function.invoke("{}").await.unwrap().outcome.is_success());
    let environment = &function.environments()[0];
    assert_eq!(environment.gone(test_timeout()).await.unwrap(), (None, Some(9)));
    assert!(!environment.events().contains(&EnvEvent::Terminated), "it has no extension");
    let second = function.invoke("{}").await.unwrap();
    assert!(second.cold && second.outcome.is_success());
    assert_eq!(second.environment, "brief/2");
}

#[tokio::test]
async fn an_idle_environment_with_an_extension_is_asked_to_end() {
    let _limit = TimeLimit::of_this_test();
    let idle = Duration::from_millis(50);
    let lambda = LambdaEmulator::builder().idle_expiry(idle).start().await.unwrap();
    let script = PythonFunction::new(
        r#"
call("POST", "/2020-01-01/extension/register", "{}", {"Lambda-Extension-Name": "own"})
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
while True: respond(next(), 'done')
"#,
    );
    let function = lambda.add_function(script.config("asked")).unwrap();
    assert!(function.invoke("{}").await.unwrap().outcome.is_success());
    let environment = &function.environments()[0];
    environment.gone(test_timeout()).await.unwrap();
    assert!(environment.events().contains(&EnvEvent::Terminated));
}

#[tokio::test]
async fn an_environment_at_work_does_not_expire() {
    let _limit = TimeLimit::of_this_test();
    let idle = Duration::from_millis(20);
    let lambda = LambdaEmulator::builder().idle_expiry(idle).start().await.unwrap();
    let script =
        PythonFunction::new("event = next(); time.sleep(0.5); respond(event, 'done'); next()");
    let function = lambda.add_function(script.config("busy")).unwrap();
    let invocation = function.invoke("{}").await.unwrap();
    assert!(invocation.outcome.is_success(), "{:?}", invocation.outcome);
}

#[tokio::test]
async fn an_event_that_became_too_old_is_dropped() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let script = PythonFunction::new("while True: fail(next(), 'Always', 'fails')");
    // The retry would come after an hour, and the event is dropped before that.
    let config = script
        .config("old")
        .max_event_age(Duration::from_secs(1))
        .retry_delay(Duration::from_secs(3600));
    let function = lambda.add_function(config).unwrap();
    let mut events = function.subscribe();
    let id = function.invoke_event("{}").unwrap();
    function.idle(test_timeout()).await.unwrap();
    let mut dropped = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let EmulatorEvent::Dropped { request_id, .. } = event {
            dropped.push(request_id);
        }
    }
    assert_eq!(dropped, [id]);
    assert!(function.invocations().len() <= 1);
}
