//! Aliases of a function's versions.

use serde_json::{Value, json};
use temporal_lambda_emulator::LambdaEmulator;
use temporal_lambda_test_timing::TimeLimit;

use crate::package::{api, deployed, invoke, says};

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:worker";

/// The function `worker` with version 1, which says `one`, and version 2, which says `two`.
async fn two_versions() -> LambdaEmulator {
    let lambda = deployed().await;
    api(&lambda, "POST /functions/worker/versions", &json!({})).await;
    let code = json!({ "ZipFile": says("two"), "Publish": true });
    let second = api(&lambda, "PUT /functions/worker/code", &code).await.json();
    assert_eq!(second["Version"], "2");
    lambda
}

#[tokio::test]
async fn an_alias_leads_where_it_is_pointed() {
    let _limit = TimeLimit::of_this_test();
    let lambda = two_versions().await;
    let aliases = "POST /functions/worker/aliases";
    let live = json!({ "Name": "live", "FunctionVersion": "1", "Description": "users" });
    let created = api(&lambda, aliases, &live).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let created = created.json();
    assert_eq!(created["AliasArn"], format!("{ARN}:live"));
    assert_eq!(created["FunctionVersion"], "1");
    assert_eq!(created["Description"], "users");
    let path = "/functions/worker/aliases/live";
    assert_eq!(api(&lambda, &format!("GET {path}"), &Value::Null).await.json(), created);
    let listed = api(&lambda, "GET /functions/worker/aliases", &Value::Null).await.json();
    assert_eq!(listed, json!({ "Aliases": [created] }));
    let others = "GET /functions/worker/aliases?FunctionVersion=2";
    assert_eq!(api(&lambda, others, &Value::Null).await.json(), json!({ "Aliases": [] }));

    let executed = async |version: &str, word: &str| {
        let (answer, said) = invoke(&lambda, "worker:live").await;
        let header = format!("x-amz-executed-version: {version}\r\n");
        assert!(answer.head.contains(&header), "{}", answer.head);
        assert_eq!((&said["word"], &said["version"]), (&json!(word), &json!(version)));
        assert_eq!(said["arn"], format!("{ARN}:live"), "the ARN as the caller gave it");
    };
    executed("1", "one").await;
    let moved = json!({ "FunctionVersion": "2" });
    let moved = api(&lambda, &format!("PUT {path}"), &moved).await.json();
    assert_eq!(moved["Description"], "users", "what is not named stays");
    assert_ne!(moved["RevisionId"], created["RevisionId"]);
    executed("2", "two").await;

    let described = api(&lambda, "GET /functions/worker:live", &Value::Null).await.json();
    assert_eq!(described["Configuration"]["Version"], "2");
    assert_eq!(described["Configuration"]["FunctionArn"], format!("{ARN}:live"));
    for _ in 0..2 {
        let deleted = api(&lambda, &format!("DELETE {path}"), &Value::Null).await;
        assert_eq!(deleted.status, 204, "also when it is gone");
    }
    assert_eq!(api(&lambda, &format!("GET {path}"), &Value::Null).await.status, 404);
    assert_eq!(api(&lambda, "GET /functions/worker:live", &Value::Null).await.status, 404);
}

#[tokio::test]
async fn an_alias_with_weights_leads_to_both_versions() {
    let _limit = TimeLimit::of_this_test();
    let lambda = two_versions().await;
    let weights = json!({ "AdditionalVersionWeights": { "2": 0.5 } });
    let alias = json!({ "Name": "both", "FunctionVersion": "1", "RoutingConfig": weights });
    let created = api(&lambda, "POST /functions/worker/aliases", &alias).await;
    assert_eq!(created.json()["RoutingConfig"], weights);
    let mut words = std::collections::BTreeSet::new();
    // Until both were seen; the time limit is far beyond chance.
    while words.len() < 2 {
        words.insert(invoke(&lambda, "worker:both").await.1["word"].to_string());
    }
    let all = json!({ "RoutingConfig": { "AdditionalVersionWeights": { "2": 1.0 } } });
    api(&lambda, "PUT /functions/worker/aliases/both", &all).await;
    for _ in 0..10 {
        assert_eq!(invoke(&lambda, "worker:both").await.1["word"], "two");
    }
}

#[tokio::test]
async fn an_alias_that_would_lead_nowhere_is_refused() {
    let _limit = TimeLimit::of_this_test();
    let lambda = two_versions().await;
    let weighted = |version: &str, weights: Value| {
        let routing = json!({ "AdditionalVersionWeights": weights });
        json!({ "Name": "a", "FunctionVersion": version, "RoutingConfig": routing })
    };
    let cases = [
        (json!({ "Name": "a", "FunctionVersion": "9" }), 404),
        (json!({ "Name": "7", "FunctionVersion": "1" }), 400),
        (json!({ "FunctionVersion": "1" }), 400),
        (weighted("1", json!({ "9": 0.5 })), 404),
        (weighted("1", json!({ "2": 1.5 })), 400),
        (weighted("$LATEST", json!({ "2": 0.5 })), 400),
    ];
    for (alias, status) in cases {
        let answer = api(&lambda, "POST /functions/worker/aliases", &alias).await;
        assert_eq!(answer.status, status, "{alias}: {}", answer.body);
    }
    let missing = json!({ "FunctionVersion": "1" });
    let missing = api(&lambda, "PUT /functions/worker/aliases/a", &missing).await;
    assert_eq!(missing.status, 404);
}
