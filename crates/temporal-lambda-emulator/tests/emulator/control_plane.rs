//! AWS's API, called as an SDK would: over raw HTTP.

use serde_json::{Value, json};
use temporal_lambda_emulator::{EmulatorEvent, FunctionConfig, LambdaEmulator};
use temporal_lambda_test_timing::{TimeLimit, test_timeout};

use crate::http::call;

async fn emulator() -> LambdaEmulator {
    let lambda = LambdaEmulator::start().await.unwrap();
    let echo = FunctionConfig::in_process("echo", |event| async move {
        match event.payload.as_str() {
            Some("fail") => Err(lambda_runtime::Diagnostic {
                error_type: "Asked".to_owned(),
                error_message: "to fail".to_owned(),
            }),
            _ => Ok(event.payload),
        }
    });
    lambda.add_function(echo.version("7").alias("live")).unwrap();
    lambda
}

const ARN: &str = "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aecho";

#[tokio::test]
async fn get_function_describes_it() {
    let _limit = TimeLimit::of_this_test();
    let lambda = emulator().await;
    let names = ["echo", ARN, "arn:aws:lambda:us-east-1:000000000000:function:echo:live"];
    for name in names {
        let path = format!("GET /2015-03-31/functions/{name}");
        let answer = call(&lambda, &path, "", "").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        let configuration = &answer.json()["Configuration"];
        assert_eq!(configuration["FunctionName"], "echo");
        assert_eq!(configuration["State"], "Active");
        assert_eq!(configuration["LastUpdateStatus"], "Successful");
        assert_eq!(configuration["Timeout"], 3);
        assert_eq!(configuration["Version"], "7");
        let qualifier = if name.ends_with(":live") { ":live" } else { "" };
        let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:echo{qualifier}");
        assert_eq!(configuration["FunctionArn"], json!(arn));
    }
    for unknown in ["nobody", "echo?Qualifier=8", "echo:8"] {
        let path = format!("GET /2015-03-31/functions/{unknown}");
        let answer = call(&lambda, &path, "", "").await;
        assert_eq!(answer.status, 404);
        let kind = "x-amzn-errortype: resourcenotfoundexception";
        assert!(answer.head.contains(kind), "{}", answer.head);
    }
}

#[tokio::test]
async fn invoke_waits_queues_or_only_looks() {
    let _limit = TimeLimit::of_this_test();
    let lambda = emulator().await;
    let mut events = lambda.subscribe();
    let path = format!("POST /2015-03-31/functions/{ARN}/invocations");
    let answer = call(&lambda, &path, "", "[1]").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "[1]"));
    assert!(!answer.head.contains("x-amz-function-error"));

    let failed = call(&lambda, &path, "", "\"fail\"").await;
    assert_eq!(failed.status, 200);
    assert!(failed.head.contains("x-amz-function-error: unhandled"));
    assert_eq!(failed.json()["errorType"], "Asked");

    let dry = call(&lambda, &path, "X-Amz-Invocation-Type: DryRun\r\n", "").await;
    assert_eq!(dry.status, 204);
    let event = call(&lambda, &path, "X-Amz-Invocation-Type: Event\r\n", "").await;
    assert_eq!((event.status, event.body.as_str()), (202, ""));
    let function = lambda.function("echo").unwrap();
    let done = function.wait_for(3, test_timeout()).await.unwrap();
    assert_eq!(done[2].json(), Some(json!({})), "the event of a call without a body");
    assert!(event.head.contains(&done[2].request_id));

    let qualified = path.replace("/invocations", "/invocations?Qualifier=live");
    let by_alias = call(&lambda, &qualified, "", "1").await;
    assert_eq!(by_alias.status, 200);
    assert!(by_alias.head.contains("x-amz-executed-version: 7"), "{}", by_alias.head);
    let odd = call(&lambda, &path, "X-Amz-Invocation-Type: Odd\r\n", "").await;
    assert_eq!(odd.status, 400);

    let mut statuses = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let EmulatorEvent::ApiCall { operation: "Invoke", status, .. } = event {
            statuses.push(status);
        }
    }
    assert_eq!(statuses, [200, 200, 204, 202, 200, 400]);
}

#[tokio::test]
async fn a_busy_function_is_throttled() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let open = gate.clone();
    let config = FunctionConfig::in_process("busy", move |_| {
        let gate = gate.clone();
        async move {
            gate.notified().await;
            Ok(Value::Null)
        }
    });
    let function = lambda.add_function(config.concurrency(1)).unwrap();
    let mut first = Box::pin(function.invoke("1"));
    assert!(futures_util::poll!(&mut first).is_pending());
    let path = "POST /2015-03-31/functions/busy/invocations";
    let second = call(&lambda, path, "", "2").await;
    assert_eq!(second.status, 429);
    assert!(second.head.contains("x-amzn-errortype: toomanyrequestsexception"));
    open.notify_one();
    assert!(first.await.unwrap().outcome.is_success());
}

#[tokio::test]
async fn sts_checks_the_external_id() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::builder().expect_external_id("secret-id").start().await.unwrap();
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let base = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=s&RoleArn=arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Finvoker";
    for wrong in ["", "&ExternalId=other"] {
        let denied = call(&lambda, "POST /", form, &format!("{base}{wrong}")).await;
        assert_eq!(denied.status, 403);
        assert!(denied.body.contains("<Code>AccessDenied</Code>"), "{}", denied.body);
        assert!(!denied.body.contains("secret-id"));
    }
    let assumed = call(&lambda, "POST /", form, &format!("{base}&ExternalId=secret-id")).await;
    assert_eq!(assumed.status, 200);
    let arn = "<Arn>arn:aws:iam::000000000000:assumed-role/invoker/s</Arn>";
    assert!(assumed.body.contains(arn), "{}", assumed.body);
    assert!(assumed.body.contains("<SessionToken>"));

    let me = call(&lambda, "POST /", form, "Action=GetCallerIdentity").await;
    assert!(me.body.contains("<Account>000000000000</Account>"));
    let unknown = call(&lambda, "POST /", form, "Action=Other").await;
    assert_eq!(unknown.status, 400);
}
