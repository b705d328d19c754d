use serde_json::{Value, json};
use temporal_lambda_testkit::lambda::{Function, Invocation};
use temporal_lambda_tests::{Invoked as _, World};

/// A function that has work besides, and a workflow that it does.
struct Embedded {
    world: World,
    function: Function,
}

impl Embedded {
    async fn new(name: &str, program: &str) -> Self {
        let world = World::new(name).await;
        let function = world.add(world.config_with_short_idle(name, program));
        Self { world, function }
    }

    async fn invoke(&self, event: &Value) -> Invocation {
        self.function.invoke(event.to_string()).await.unwrap()
    }

    /// An event as the Worker Controller's, for which a workflow is done: its result.
    async fn works(&self, kind: &str, input: Value) -> Value {
        let temporal = self.world.temporal().await;
        let id = self.world.id("it");
        temporal.start(&self.world.name, &id, kind, input).await;
        let invocation = temporal.served_by(&self.function, &id).await.pop().unwrap();
        assert_eq!(invocation.report()["reason"], "idle");
        assert!(!invocation.cold, "the environment of the other work is used");
        temporal.result(&id).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_sqs_is_answered_record_by_record_and_any_other_event_runs_the_worker() {
    let embedded = Embedded::new("sqs", env!("CARGO_BIN_EXE_embedded")).await;
    let record = |id: &str, body: &str| json!({ "messageId": id, "body": body, "eventSource": "aws:sqs", "attributes": {} });
    let records = [
        record("m-1", r#"{"article": "bread"}"#),
        record("m-2", "no JSON"),
        record("m-3", r#"{"article": 7}"#),
    ];
    let answer = embedded.invoke(&json!({ "Records": records })).await.report();
    let again = json!([{ "itemIdentifier": "m-2" }, { "itemIdentifier": "m-3" }]);
    assert_eq!(answer, json!({ "batchItemFailures": again }));

    let left = embedded.works("TimeLeftWorkflow", Value::Null).await;
    assert!((1..=60).contains(&left.as_u64().unwrap()), "{left} s of 60 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_http_is_answered_and_any_other_event_runs_the_worker() {
    let embedded = Embedded::new("http", env!("CARGO_BIN_EXE_http")).await;
    // The second path is what `lambda_http` gives to events that are no requests.
    for (method, path) in [("GET", "/orders/7"), ("POST", "/events")] {
        let request = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "",
            "headers": { "host": "abc.lambda-url.eu-central-1.on.aws" },
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "abc",
                "domainName": "abc.lambda-url.eu-central-1.on.aws",
                "http": {
                    "method": method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                    "userAgent": "test",
                },
                "requestId": "r-1",
                "stage": "$default",
                "time": "27/Nov/2026:00:00:00 +0000",
                "timeEpoch": 1_795_737_600_000_u64,
            },
            "body": "{}",
            "isBase64Encoded": false,
        });
        let answer = embedded.invoke(&request).await.report();
        assert_eq!(answer["statusCode"], 200, "{answer}");
        assert_eq!(answer["body"], format!("{method} {path}"), "{answer}");
    }
    assert_eq!(embedded.works("Receipt", json!(7)).await, "receipt for order 7");
}
