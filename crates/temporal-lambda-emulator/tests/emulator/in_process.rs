//! Functions that are handlers of the test itself.

use std::time::Duration;

use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::{Value, json};
use temporal_lambda_emulator::{EnvironmentState, FunctionConfig, LambdaEmulator, Outcome};
use temporal_lambda_test_timing::TimeLimit;

async fn handler(event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    match event.payload.as_str() {
        Some("fail") => {
            Err(Diagnostic { error_type: "Asked".to_owned(), error_message: "to fail".to_owned() })
        }
        Some("panic") => panic!("asked to panic"),
        Some("hang") => std::future::pending().await,
        _ => Ok(json!({
            "payload": event.payload,
            "request_id": event.context.request_id,
            "deadline": event.context.deadline,
            "function": event.context.env_config.function_name,
            "arn": event.context.invoked_function_arn,
        })),
    }
}

#[tokio::test]
async fn a_handler_gets_the_context_that_lambda_gives() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let config = FunctionConfig::in_process("here", handler);
    let function = lambda.add_function(config).unwrap();
    let invocation = function.invoke(r#"{"n":1}"#).await.unwrap();
    let deadline = invocation.deadline.duration_since(std::time::UNIX_EPOCH);
    assert_eq!(
        invocation.json(),
        Some(json!({
            "payload": {"n": 1},
            "request_id": invocation.request_id,
            "deadline": deadline.unwrap().as_millis() as u64,
            "function": "here",
            "arn": function.arn(),
        }))
    );
    assert!(invocation.cold && invocation.max_memory_kb.is_none());

    for empty in ["", "not json"] {
        let invocation = function.invoke(empty).await.unwrap();
        assert_eq!(invocation.json().unwrap()["payload"], Value::Null);
        assert!(!invocation.cold);
    }
}

#[tokio::test]
async fn errors_panics_and_timeouts_are_told_apart() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let timeout = Duration::from_millis(500);
    let config = FunctionConfig::in_process("here", handler).timeout(timeout);
    let function = lambda.add_function(config).unwrap();
    let failed = function.invoke("\"fail\"").await.unwrap();
    assert_eq!(failed.outcome.to_string(), "Asked: to fail");
    let panicked = function.invoke("\"panic\"").await.unwrap();
    let said = panicked.outcome.to_string();
    assert_eq!(said, "panic: Lambda panicked: asked to panic");
    let hung = function.invoke("\"hang\"").await.unwrap();
    assert_eq!(hung.outcome, Outcome::TimedOut { after: timeout });
    let environments = function.environments();
    assert_eq!(environments[0].state(), EnvironmentState::Gone);
    assert!(function.invoke("1").await.unwrap().cold);
}

#[tokio::test]
async fn an_environment_can_take_several_events() {
    let _limit = TimeLimit::of_this_test();
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(4));
    let lambda = LambdaEmulator::start().await.unwrap();
    let config = FunctionConfig::in_process("several", move |_| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            Ok(Value::Null)
        }
    });
    let config = config.environment_concurrency(4);
    let function = lambda.add_function(config).unwrap();
    let all = futures_util::future::join_all((0..4).map(|_| function.invoke("{}"))).await;
    assert!(all.into_iter().all(|one| one.unwrap().outcome.is_success()));
    assert_eq!(function.environments().len(), 1);
}
