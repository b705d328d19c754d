//! Functions that are created and published through Lambda's API.

use serde_json::{Value, json};
use temporal_lambda_emulator::{LambdaEmulator, Outcome};
use temporal_lambda_test_timing::TimeLimit;

use crate::package::{api, bootstrap, deployed, function, invoke, says, zip};

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:worker";

#[tokio::test]
async fn a_created_function_is_described_and_runs() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let mut wanted = function("worker", &says("one"));
    wanted["Environment"] = json!({ "Variables": { "MOOD": "good" } });
    wanted["Description"] = json!("says things");
    wanted["Tags"] = json!({ "team": "t" });
    let created = api(&lambda, "POST /functions", &wanted).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let created = created.json();
    assert_eq!(created["FunctionArn"], ARN);
    assert_eq!(created["Version"], "$LATEST");
    assert_eq!(created["Timeout"], 60);
    assert_eq!(created["MemorySize"], 256);
    assert_eq!(created["Role"], wanted["Role"]);
    assert_eq!(created["Environment"]["Variables"]["MOOD"], "good");
    assert_eq!(created["CodeSha256"].as_str().unwrap().len(), 44);

    let got = api(&lambda, "GET /functions/worker", &Value::Null).await.json();
    assert_eq!(got["Configuration"], created);
    assert_eq!(got["Tags"]["team"], "t");
    assert!(got.get("Concurrency").is_none(), "{got}");
    let got = api(&lambda, "GET /functions/worker/configuration", &Value::Null).await;
    assert_eq!(got.json(), created);
    let listed = api(&lambda, "GET /functions", &Value::Null).await.json();
    assert_eq!(listed["Functions"], json!([created]));

    let (answer, said) = invoke(&lambda, "worker").await;
    assert!(answer.head.contains("x-amz-executed-version: $latest"), "{}", answer.head);
    let expected = json!({ "word": "one", "version": "$LATEST", "arn": ARN, "mood": "good" });
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_package_runs_in_its_folder_with_lambdas_variables_only() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let program = format!(
        "#!/usr/bin/env python3\n{}\n{}",
        crate::python::RUNTIME,
        r#"
while True:
    event = next()
    respond(event, {
        "cwd": os.getcwd(),
        "data": open("lib/data.txt").read(),
        "mode": os.stat("lib/data.txt").st_mode & 0o777,
        "names": sorted(os.environ),
        "root": os.environ["LAMBDA_TASK_ROOT"],
        "handler": os.environ["_HANDLER"],
    })
"#
    );
    let files = [("bootstrap", 0o755, program.as_str()), ("lib/data.txt", 0o640, "inside")];
    let mut wanted = function("worker", &zip(&files));
    wanted["Handler"] = json!("odd.name");
    assert_eq!(api(&lambda, "POST /functions", &wanted).await.status, 201);
    let (_, said) = invoke(&lambda, "worker").await;
    assert_eq!(said["data"], "inside");
    assert_eq!(said["mode"], 0o640);
    assert_eq!(said["cwd"], said["root"]);
    assert_eq!(said["handler"], "odd.name");
    // Python sets the second where the locale is C.
    let others = said["names"].as_array().unwrap().iter().filter(|name| {
        let name = name.as_str().unwrap();
        !name.starts_with("AWS_") && !name.starts_with("LAMBDA_") && name != "LC_CTYPE"
    });
    let others: Vec<_> = others.collect();
    assert_eq!(others, ["LANG", "PATH", "TZ", "_HANDLER"]);

    let folder = std::path::PathBuf::from(said["root"].as_str().unwrap());
    assert!(folder.join("bootstrap").exists());
    let deleted = api(&lambda, "DELETE /functions/worker", &Value::Null).await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    let missing = api(&lambda, "GET /functions/worker", &Value::Null).await;
    assert_eq!(missing.status, 404);
    temporal_lambda_test_timing::eventually("the folder to be removed", || !folder.exists()).await;
}

#[tokio::test]
async fn a_published_version_stays_as_it_was() {
    let _limit = TimeLimit::of_this_test();
    let lambda = deployed().await;
    let publish = "POST /functions/worker/versions";
    let first = api(&lambda, publish, &json!({ "Description": "the first" })).await;
    assert_eq!(first.status, 201, "{}", first.body);
    let first = first.json();
    assert_eq!(first["Version"], "1");
    assert_eq!(first["FunctionArn"], format!("{ARN}:1"));
    assert_eq!(first["Description"], "the first");
    // What did not change makes no other version.
    assert_eq!(api(&lambda, publish, &json!({})).await.json(), first);
    let same = json!({ "ZipFile": says("one"), "Publish": true });
    let same = api(&lambda, "PUT /functions/worker/code", &same).await;
    assert_eq!((same.status, &same.json()["Version"]), (200, &json!("1")));

    let code = json!({ "ZipFile": says("two") });
    let updated = api(&lambda, "PUT /functions/worker/code", &code).await.json();
    assert_eq!(updated["Version"], "$LATEST");
    assert_ne!(updated["CodeSha256"], first["CodeSha256"]);
    let configuration = json!({ "Timeout": 30, "Environment": { "Variables": { "MOOD": "new" } } });
    let path = "PUT /functions/worker/configuration";
    let updated = api(&lambda, path, &configuration).await.json();
    assert_eq!((&updated["Timeout"], &updated["MemorySize"]), (&json!(30), &json!(256)));
    let second = api(&lambda, publish, &json!({})).await.json();
    assert_eq!(second["Version"], "2");

    for (qualifier, version, word, mood) in [
        ("1", "1", "one", Value::Null),
        ("2", "2", "two", json!("new")),
        ("$LATEST", "$LATEST", "two", json!("new")),
    ] {
        let (answer, said) = invoke(&lambda, &format!("worker:{qualifier}")).await;
        let executed = format!("x-amz-executed-version: {}\r\n", version.to_lowercase());
        assert!(answer.head.contains(&executed), "{}", answer.head);
        let arn = format!("{ARN}:{qualifier}");
        assert_eq!(said, json!({ "word": word, "version": version, "arn": arn, "mood": mood }));
    }
    let got = api(&lambda, "GET /functions/worker?Qualifier=1", &Value::Null).await.json();
    assert_eq!(got["Configuration"], first);

    let listed = api(&lambda, "GET /functions/worker/versions", &Value::Null).await.json();
    let versions: Vec<_> =
        listed["Versions"].as_array().unwrap().iter().map(|it| &it["Version"]).collect();
    assert_eq!(versions, ["$LATEST", "1", "2"]);
    let page = "GET /functions/worker/versions?MaxItems=2";
    let page = api(&lambda, page, &Value::Null).await.json();
    let rest = format!(
        "GET /functions/worker/versions?MaxItems=2&Marker={}",
        page["NextMarker"].as_str().unwrap()
    );
    let rest = api(&lambda, &rest, &Value::Null).await.json();
    assert_eq!(rest["Versions"], json!([second]));
    assert!(rest.get("NextMarker").is_none());
}

#[tokio::test]
async fn a_deleted_version_does_not_come_back() {
    let _limit = TimeLimit::of_this_test();
    let lambda = deployed().await;
    let publish = "POST /functions/worker/versions";
    api(&lambda, publish, &json!({})).await;
    invoke(&lambda, "worker:1").await;
    let version = lambda.function("worker:1").unwrap();
    let deleted = api(&lambda, "DELETE /functions/worker?Qualifier=1", &Value::Null).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(api(&lambda, "GET /functions/worker:1", &Value::Null).await.status, 404);
    let gone = version.environments()[0].gone(temporal_lambda_test_timing::test_timeout()).await;
    assert_eq!(gone.unwrap(), (None, Some(9)), "its environment was idle");
    let next = api(&lambda, publish, &json!({})).await.json();
    assert_eq!(next["Version"], "2");
    assert_eq!(invoke(&lambda, "worker").await.1["word"], "one");
}

#[tokio::test]
async fn new_code_runs_in_new_environments_and_the_old_ends_its_work() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let slow = bootstrap(
        "event = next(); print('begun', flush=True); time.sleep(1); respond(event, 'old'); next()",
    );
    api(&lambda, "POST /functions", &function("worker", &slow)).await;
    let worker = lambda.function("worker").unwrap();
    let mut running = Box::pin(worker.invoke("{}"));
    let begun = async {
        loop {
            let environments = worker.environments();
            if environments.iter().any(|env| env.log().iter().any(|line| line.text == "begun")) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        // On a busy machine both may be seen at once.
        biased;
        () = begun => {}
        _ = &mut running => panic!("it ends without having begun"),
    }
    let code = json!({ "ZipFile": says("new") });
    assert_eq!(api(&lambda, "PUT /functions/worker/code", &code).await.status, 200);
    assert_eq!(invoke(&lambda, "worker").await.1["word"], "new");
    assert_eq!(running.await.unwrap().json(), Some(json!("old")));
    let environments = worker.environments();
    assert_eq!(environments.len(), 2);
    environments[0].gone(temporal_lambda_test_timing::test_timeout()).await.unwrap();
    assert_ne!(environments[1].state().to_string(), "gone");
}

#[tokio::test]
async fn a_package_without_a_program_fails_when_it_is_invoked() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    for (name, files) in
        [("none", [("main", 0o755, "#!/bin/sh")]), ("plain", [("bootstrap", 0o644, "#!/bin/sh")])]
    {
        let created = api(&lambda, "POST /functions", &function(name, &zip(&files))).await;
        assert_eq!(created.status, 201);
        let invocation = lambda.function(name).unwrap().invoke("{}").await.unwrap();
        let Outcome::InitFailed { error_type, .. } = &invocation.outcome else {
            panic!("{:?}", invocation.outcome)
        };
        assert_eq!(error_type, "Runtime.InvalidEntrypoint");
    }
}
