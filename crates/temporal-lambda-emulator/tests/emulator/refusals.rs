//! What Lambda refuses, with the names of its errors.

use serde_json::{Value, json};
use temporal_lambda_test_timing::TimeLimit;

use crate::package::{ROLE, api, deployed, function, says, zip};

const INVALID: &str = "InvalidParameterValueException";
const NOT_FOUND: &str = "ResourceNotFoundException";
const CONFLICT: &str = "ResourceConflictException";
const VALIDATION: &str = "ValidationException";

#[tokio::test]
async fn what_lambda_refuses_to_create_is_refused() {
    let _limit = TimeLimit::of_this_test();
    let lambda = deployed().await;
    let long = "x".repeat(5000);
    let cases = [
        ("/FunctionName", json!("worker"), 409, CONFLICT),
        ("/FunctionName", json!("no spaces"), 400, VALIDATION),
        ("/Timeout", json!(901), 400, VALIDATION),
        ("/Timeout", json!(0), 400, VALIDATION),
        ("/MemorySize", json!(127), 400, VALIDATION),
        ("/MemorySize", json!(10241), 400, VALIDATION),
        ("/Role", json!("worker"), 400, VALIDATION),
        ("/Runtime", json!("python3.13"), 400, INVALID),
        ("/Code", json!({ "ZipFile": "bm8gemlw" }), 400, INVALID),
        ("/Code", json!({ "ZipFile": "?" }), 400, INVALID),
        ("/Code", json!({ "S3Bucket": "b", "S3Key": "k" }), 400, INVALID),
        ("/Code", json!({ "ZipFile": zip(&[("../out", 0o644, "no")]) }), 400, INVALID),
        ("/Environment", json!({ "Variables": { "AWS_REGION": "r" } }), 400, INVALID),
        ("/Environment", json!({ "Variables": { "LONG": long } }), 400, INVALID),
        ("/Environment", json!({ "Variables": { "1X": "" } }), 400, VALIDATION),
        ("/Layers", json!(["arn:aws:lambda:us-east-1:1:layer:l:1"]), 400, INVALID),
        ("/PackageType", json!("Image"), 400, INVALID),
        ("/Architectures", json!(["mips"]), 400, INVALID),
        ("/Timeout", json!("soon"), 400, "SerializationException"),
    ];
    for (field, value, status, kind) in cases {
        let mut parameters = function("another", &says("nothing"));
        parameters[&field[1..]] = value;
        let answer = api(&lambda, "POST /functions", &parameters).await;
        assert_eq!(answer.status, status, "{field}: {}", answer.body);
        let header = format!("x-amzn-errortype: {}\r\n", kind.to_lowercase());
        assert!(answer.head.contains(&header), "{field}: {}", answer.head);
    }
    assert!(lambda.function("another").is_none());
}

#[tokio::test]
async fn what_lambda_refuses_to_do_is_refused() {
    let _limit = TimeLimit::of_this_test();
    let lambda = deployed().await;
    api(&lambda, "POST /functions/worker/versions", &json!({})).await;
    let live = json!({ "Name": "live", "FunctionVersion": "1" });
    assert_eq!(api(&lambda, "POST /functions/worker/aliases", &live).await.status, 201);
    let code = json!({ "ZipFile": says("two") });
    let old = json!({ "RevisionId": "of-yesterday" });
    let cases = [
        ("DELETE /functions/worker?Qualifier=$LATEST", Value::Null, 400, INVALID),
        ("DELETE /functions/worker?Qualifier=live", Value::Null, 400, INVALID),
        ("DELETE /functions/worker?Qualifier=1", Value::Null, 409, CONFLICT),
        ("DELETE /functions/worker?Qualifier=9", Value::Null, 404, NOT_FOUND),
        ("DELETE /functions/nobody", Value::Null, 404, NOT_FOUND),
        ("GET /functions/worker:9", Value::Null, 404, NOT_FOUND),
        ("GET /functions/worker:1?Qualifier=2", Value::Null, 400, INVALID),
        ("GET /functions/nobody/versions", Value::Null, 404, NOT_FOUND),
        ("PUT /functions/nobody/code", code.clone(), 404, NOT_FOUND),
        ("PUT /functions/worker:1/code", code.clone(), 400, INVALID),
        ("PUT /functions/worker:1/configuration", json!({ "Timeout": 5 }), 400, INVALID),
        ("PUT /functions/worker/configuration", json!({ "Timeout": 901 }), 400, VALIDATION),
        ("PUT /functions/worker/configuration", json!({ "Role": "r" }), 400, VALIDATION),
        ("PUT /functions/worker/configuration", old.clone(), 412, "PreconditionFailedException"),
        ("POST /functions/worker/versions", old.clone(), 412, "PreconditionFailedException"),
        ("POST /functions/worker/versions", json!({ "CodeSha256": "x" }), 400, INVALID),
        ("POST /functions/nobody/versions", json!({}), 404, NOT_FOUND),
        ("POST /functions/worker/invocations?Qualifier=9", json!({}), 404, NOT_FOUND),
        ("POST /functions/worker/aliases", live.clone(), 409, CONFLICT),
    ];
    for (line, body, status, kind) in cases {
        let answer = api(&lambda, line, &body).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.body);
        let header = format!("x-amzn-errortype: {}\r\n", kind.to_lowercase());
        assert!(answer.head.contains(&header), "{line}: {}", answer.head);
    }
    let got = api(&lambda, "GET /functions/worker", &Value::Null).await.json();
    assert_eq!(got["Configuration"]["Role"], ROLE);
    assert_eq!(got["Configuration"]["Timeout"], 60);
}

#[tokio::test]
async fn an_event_that_is_not_json_is_refused() {
    let _limit = TimeLimit::of_this_test();
    let lambda = deployed().await;
    let path = "POST /2015-03-31/functions/worker/invocations";
    for kind in ["RequestResponse", "Event"] {
        let header = format!("x-amz-invocation-type: {kind}\r\n");
        let answer = crate::http::call(&lambda, path, &header, "{not json").await;
        assert_eq!(answer.status, 400);
        let refusal = "x-amzn-errortype: invalidrequestcontentexception";
        assert!(answer.head.contains(refusal), "{}", answer.head);
    }
    assert_eq!(crate::http::call(&lambda, path, "", "").await.status, 200);
    assert_eq!(lambda.function("worker").unwrap().invocations().len(), 1);
}
