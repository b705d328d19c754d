//! How a function is invoked, as its deployer sets it.

use serde_json::{Value, json};
use temporal_lambda_emulator::LambdaEmulator;
use temporal_lambda_test_timing::{TimeLimit, test_timeout};

use crate::{
    http::call,
    package::{api, bootstrap, deployed, function},
};

const CONFIG: &str = "/2019-09-25/functions/worker/event-invoke-config";
const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:worker";

#[tokio::test]
async fn the_event_invoke_config_is_set_changed_and_deleted() {
    let _limit = TimeLimit::of_this_test();
    let lambda = deployed().await;
    let get = format!("GET {CONFIG}");
    assert_eq!(api(&lambda, &get, &Value::Null).await.status, 404);
    let put = api(&lambda, &format!("PUT {CONFIG}"), &json!({ "MaximumRetryAttempts": 0 })).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let put = put.json();
    assert_eq!(put["FunctionArn"], format!("{ARN}:$LATEST"));
    assert_eq!(put["MaximumRetryAttempts"], 0);
    assert_eq!(api(&lambda, &get, &Value::Null).await.json(), put);

    let age = json!({ "MaximumEventAgeInSeconds": 60 });
    let changed = api(&lambda, &format!("POST {CONFIG}"), &age).await.json();
    assert_eq!(changed["MaximumRetryAttempts"], 0, "what is not named stays");
    assert_eq!(changed["MaximumEventAgeInSeconds"], 60);
    let put = api(&lambda, &format!("PUT {CONFIG}"), &age).await.json();
    assert!(put.get("MaximumRetryAttempts").is_none(), "what is not named has its default");

    for (wrong, status) in [
        (json!({ "MaximumRetryAttempts": 3 }), 400),
        (json!({ "MaximumEventAgeInSeconds": 59 }), 400),
        (json!({}), 400),
        (json!({ "DestinationConfig": { "OnFailure": { "Destination": "arn" } } }), 400),
    ] {
        let answer = api(&lambda, &format!("PUT {CONFIG}"), &wrong).await;
        assert_eq!(answer.status, status, "{wrong}");
    }
    let other = api(&lambda, &format!("PUT {CONFIG}?Qualifier=9"), &age).await;
    assert_eq!(other.status, 404);
    let delete = format!("DELETE {CONFIG}");
    assert_eq!(api(&lambda, &delete, &Value::Null).await.status, 204);
    assert_eq!(api(&lambda, &delete, &Value::Null).await.status, 404);
}

#[tokio::test]
async fn retries_are_as_the_config_of_the_qualifier_says() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let failing = bootstrap("while True: fail(next(), 'Always', 'fails')");
    api(&lambda, "POST /functions", &function("worker", &failing)).await;
    api(&lambda, "POST /functions/worker/versions", &json!({})).await;
    let none = json!({ "MaximumRetryAttempts": 0 });
    api(&lambda, &format!("PUT {CONFIG}?Qualifier=1"), &none).await;
    for (qualifier, attempts) in [("1", 1), ("$LATEST", 3)] {
        let path = format!("POST /2015-03-31/functions/worker:{qualifier}/invocations");
        let queued = call(&lambda, &path, "X-Amz-Invocation-Type: Event\r\n", "{}").await;
        assert_eq!(queued.status, 202);
        let function = lambda.function(&format!("worker:{qualifier}")).unwrap();
        function.idle(test_timeout()).await.unwrap();
        assert_eq!(function.invocations().len(), attempts, "{qualifier}");
    }
}

#[tokio::test]
async fn reserved_concurrency_limits_all_versions_together() {
    let _limit = TimeLimit::of_this_test();
    let lambda = deployed().await;
    api(&lambda, "POST /functions/worker/versions", &json!({})).await;
    let path = "/2017-10-31/functions/worker/concurrency";
    let put = json!({ "ReservedConcurrentExecutions": 0 });
    let answer = api(&lambda, &format!("PUT {path}"), &put).await;
    assert_eq!((answer.status, answer.json()), (200, put.clone()));
    let got = api(&lambda, "GET /functions/worker", &Value::Null).await.json();
    assert_eq!(got["Concurrency"], put);
    let get = "GET /2019-09-30/functions/worker/concurrency";
    assert_eq!(api(&lambda, get, &Value::Null).await.json(), put);
    for name in ["worker", "worker:1"] {
        let invoke = format!("POST /functions/{name}/invocations");
        assert_eq!(api(&lambda, &invoke, &json!({})).await.status, 429);
    }
    // A queued event waits for the limit to be raised.
    let function = lambda.function("worker").unwrap();
    function.invoke_event("{}").unwrap();
    assert_eq!(function.unfinished(), 1);
    assert_eq!(api(&lambda, &format!("DELETE {path}"), &Value::Null).await.status, 204);
    assert!(function.wait_for(1, test_timeout()).await.unwrap()[0].outcome.is_success());
    assert_eq!(api(&lambda, get, &Value::Null).await.json(), json!({}));
}
