//! Events as emulators and careless callers send them, and a Runtime API in trouble.

use std::time::{Duration, SystemTime};

use temporal_lambda_tests::{Answer, RuntimeApi, World, server, test_timeout};
use tokio::process::Child;

use crate::HELLO;

/// What a function of this world needs; the Runtime API says the rest.
fn variables(world: &World) -> Vec<(&'static str, String)> {
    let text = |text: &str| text.to_owned();
    vec![
        ("TEMPORAL_ADDRESS", text(server::shared().address())),
        ("TEMPORAL_TASK_QUEUE", world.name.clone()),
        ("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", world.name.clone()),
        ("TEMPORAL_LAMBDA_BUILD_ID", text("b1")),
        ("TEMPORAL_LAMBDA_IDLE_TIMEOUT", text("50ms")),
        ("TEMPORAL_LAMBDA_MINIMUM_STAY", text("500ms")),
    ]
}

/// What a function wrote until it ended, and its exit code.
async fn ended(child: Child) -> (Option<i32>, String) {
    let output = tokio::time::timeout(test_timeout(), child.wait_with_output()).await;
    let output = output.expect("it ends").unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn millis_since_1970(at: SystemTime) -> u128 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_is_no_wall_clock_does_not_keep_a_workflow_from_being_served() {
    let world = World::new("deadlines").await;
    let temporal = world.temporal().await;
    let mut api = RuntimeApi::start().await;
    // A file, since nobody reads a pipe until the function has ended. And an idle timeout with which
    // no task is lost at the end of an invocation.
    let log = world.task_root().join("log");
    let idle = [("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s".to_owned())];
    let mut function = api.function(HELLO, variables(&world).into_iter().chain(idle));
    let function = function.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    // What `cargo lambda watch` sends, none at all, and seconds in the place of milliseconds.
    let soon = SystemTime::now() + Duration::from_secs(60);
    let deadlines = [600_000, 0, millis_since_1970(soon) / 1000];
    for (number, deadline) in deadlines.into_iter().chain([600_000]).enumerate() {
        let id = world.id(number);
        temporal.start(&world.name, &id, "HelloWorkflow", "you").await;
        let served = async {
            // On a busy machine an invocation may be idle before the server has brought the task; then
            // there is another, as Temporal's Worker Controller would see to.
            for attempt in 0.. {
                let request_id = format!("r-{number}-{attempt}");
                api.answer(Answer::event(&request_id).deadline(deadline));
                let posted = api.posted().await;
                assert_eq!(posted.kind, "response", "{deadline}: {}", posted.body);
                assert_eq!(posted.body["reason"], "idle", "{deadline}");
                assert_eq!(posted.body["identity"], format!("{request_id}@function-arn"));
                if temporal.has_ended(&id).await {
                    break;
                }
            }
        };
        tokio::time::timeout(test_timeout(), served).await.expect("the workflow is served");
        assert_eq!(temporal.result(&id).await, "Hello, you!");
    }
    api.answer(Answer::status(403));
    ended(function).await;
    let log = std::fs::read_to_string(&log).unwrap();
    for meaning in ["the time that the invocation has", "as seconds since 1970"] {
        assert_eq!(log.matches(meaning).count(), 1, "{meaning}: {log}");
    }
    assert_eq!(log.matches("the event has no deadline").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_has_just_passed_is_a_matter_of_clocks() {
    let world = World::new("clocks").await;
    let mut api = RuntimeApi::start().await;
    let _function = api.function(HELLO, variables(&world)).spawn().unwrap();
    let past = SystemTime::now() - Duration::from_secs(60);
    api.answer(Answer::event("r-1").deadline(millis_since_1970(past)));
    let posted = api.posted().await;
    assert_eq!(posted.kind, "error");
    assert_eq!(posted.body["errorType"], "TemporalLambdaWorker.TooLate");
    let message = posted.body["errorMessage"].as_str().unwrap();
    assert!(message.contains("clock") && !message.contains("timeout"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_runs_for_any_payload_also_where_everything_is_logged() {
    let world = World::new("payloads").await;
    let mut api = RuntimeApi::start().await;
    let chatty = [("AWS_LAMBDA_LOG_LEVEL", "TRACE".to_owned())];
    let mut function = api.function(HELLO, variables(&world).into_iter().chain(chatty));
    let _function = function.stderr(std::process::Stdio::null()).spawn().unwrap();
    let deep = "[".repeat(200) + &"]".repeat(200);
    let payloads: [&[u8]; 8] = [
        b"",
        br#"{"text": "\ud83d"}"#,
        b"{\"text\": \"\xff\xfe\"}",
        b"\xff\xfe\x00\x01",
        b"1e999",
        b"plain text",
        deep.as_bytes(),
        br#"{"temporal_lambda_worker": {"check": "maybe"}}"#,
    ];
    for (number, payload) in payloads.into_iter().enumerate() {
        api.answer(Answer::event(&format!("r-{number}")).deadline(60_000).body(payload));
        let posted = api.posted().await;
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(30)]);
        assert_eq!(posted.kind, "response", "{shown}: {}", posted.body);
        assert_eq!(posted.body["reason"], "idle", "{shown}");
    }
}

/// Pinned: `lambda_runtime` 1.5 ends with an event whose headers it cannot read, before anybody else
/// sees it, so that nothing can be posted. See docs/upstream.md.
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_lambda_runtime_cannot_read_end_the_process_with_a_message_that_names_them() {
    let world = World::new("headers").await;
    let event = || Answer::event("r-1").deadline(60_000);
    let context = "lambda-runtime-client-context";
    let cases = [
        (event().header(context, r#"{"custom": {"foo": {}}}"#), "client context"),
        (event().header(context, r#"{"client": {}}"#), "client context"),
        (event().header("lambda-runtime-cognito-identity", "{}"), "Cognito identity"),
        (event().deadline("soon"), "lambda-runtime-deadline-ms"),
        (event().deadline("-1"), "lambda-runtime-deadline-ms"),
        (event().without("lambda-runtime-deadline-ms"), "without a deadline"),
        (Answer::status(403), "no request ID"),
        (Answer::status(500), "no request ID"),
    ];
    for (answer, expected) in cases {
        let mut api = RuntimeApi::start().await;
        let function = api.function(HELLO, variables(&world)).spawn().unwrap();
        api.answer(answer.clone());
        let (code, log) = ended(function).await;
        assert_eq!(code, Some(1), "{answer:?}");
        assert!(log.contains(expected), "{answer:?}: {log}");
        assert!(api.has_nothing(), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_api_that_is_gone_ends_a_function_that_serves_several_events_at_once() {
    let world = World::new("gone").await;
    let api = RuntimeApi::start().await;
    let concurrent = [("AWS_LAMBDA_MAX_CONCURRENCY", "2".to_owned())];
    // It writes a line for each try; nobody reads them here.
    let mut function = api.function(HELLO, variables(&world).into_iter().chain(concurrent));
    let mut function = function.stderr(std::process::Stdio::null()).spawn().unwrap();
    drop(api);
    let status =
        tokio::time::timeout(test_timeout(), function.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_the_runtime_api_that_is_none_is_named() {
    let world = World::new("api-address").await;
    let api = RuntimeApi::start().await;
    let address = format!("ftp://{}", api.address());
    let mut function = api.function(HELLO, variables(&world));
    let function = function.env("AWS_LAMBDA_RUNTIME_API", &address).spawn().unwrap();
    let (code, log) = ended(function).await;
    assert_eq!(code, Some(1));
    for part in ["AWS_LAMBDA_RUNTIME_API", &address, "host:port"] {
        assert!(log.contains(part), "{part} is not in {log}");
    }
}
