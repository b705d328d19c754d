//! The Temporal dev server, for real.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::{
    lambda::{FunctionConfig, LambdaEmulator},
    server::{DevServer, DevServerError},
};

#[tokio::test]
async fn a_server_starts_answers_and_stops() {
    let _limit = TimeLimit::of_this_test();
    let server = DevServer::builder()
        .namespace("other")
        .search_attribute("Colour", "Keyword")
        .start()
        .await
        .unwrap();
    let namespaces = server.cli(["operator", "namespace", "list"]).await.unwrap();
    assert!(namespaces.contains("default") && namespaces.contains("other"), "{namespaces}");
    let attributes = server.cli(["operator", "search-attribute", "list"]).await.unwrap();
    let colour = attributes.lines().find(|line| line.contains("Colour"));
    assert!(colour.is_some_and(|line| line.contains("Keyword")), "{attributes}");
    assert_eq!(server.url(), format!("http://{}", server.address()));
    assert!(server.ui_url().is_none());

    let unknown = server.describe_workflow_json("nobody").await.unwrap_err();
    let said = unknown.to_string();
    assert!(said.starts_with("`temporal workflow describe` failed"), "{said}");
    assert!(said.contains("not found"), "{said}");

    let start = ["workflow", "start", "--type", "W", "--task-queue", "q", "--workflow-id", "w"];
    server.cli(start).await.unwrap();
    let described = server.describe_workflow_json("w").await.unwrap();
    assert_eq!(described["workflowExecutionInfo"]["taskQueue"], "q");
    let history = server.show_workflow_json("w").await.unwrap();
    assert!(history["events"].as_array().is_some_and(|events| !events.is_empty()));

    let (address, pid) = (server.address(), server.pid());
    server.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert!(!PathBuf::from(format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_restarted_server_is_where_it_was_and_knows_what_its_file_knows() {
    let _limit = TimeLimit::of_this_test();
    let folder = tempfile::tempdir().unwrap();
    let server = DevServer::builder()
        .db_filename(folder.path().join("temporal.db"))
        .ui(true)
        .start()
        .await
        .unwrap();
    let ui = server.ui_url().unwrap();
    let ui = ui.strip_prefix("http://").unwrap();
    tokio::net::TcpStream::connect(ui).await.unwrap();
    let start = ["workflow", "start", "--type", "W", "--task-queue", "q", "--workflow-id", "kept"];
    server.cli(start).await.unwrap();
    let address = server.address();
    let server = server.restart().await.unwrap();
    assert_eq!(server.address(), address);
    server.describe_workflow_json("kept").await.unwrap();

    drop(server);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let _limit = TimeLimit::of_this_test();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = DevServer::builder().port(port).start().await.unwrap_err();
    assert!(matches!(refused, DevServerError::Ended { .. }), "{refused}");
    assert!(refused.to_string().contains("already in use"), "{refused}");

    let missing = DevServer::builder().cli_path("/no/such/cli").start().await;
    assert!(matches!(missing, Err(DevServerError::NoSuchCli { .. })));
}

#[tokio::test]
async fn a_server_that_is_not_healthy_in_time_is_given_up() {
    let _limit = TimeLimit::of_this_test();
    let late = DevServer::builder().start_timeout(Duration::ZERO).start().await.unwrap_err();
    assert!(matches!(late, DevServerError::NotHealthy { within: Duration::ZERO, .. }), "{late}");
}

#[tokio::test]
async fn a_server_logs_at_the_level_that_is_asked_for() {
    let _limit = TimeLimit::of_this_test();
    for (level, logs) in [("error", false), ("info", true)] {
        let server = DevServer::builder().log_level(level).start().await.unwrap();
        let log = server.log_tail();
        assert_eq!(log.contains("level=INFO"), logs, "{level}: {log}");
    }
}

/// The server calls the emulator as it would call AWS.
#[tokio::test]
async fn the_worker_controller_invokes_the_emulator() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = FunctionConfig::in_process("worker", |event| async move {
        Ok(json!(event.payload == Value::Null))
    });
    let function = lambda.add_function(function).unwrap();
    let server =
        DevServer::builder().worker_controller(lambda.endpoint_url()).start().await.unwrap();
    server.create_deployment("d").await.unwrap();
    server.create_version_for_lambda("d", "b1", function.arn()).await.unwrap();
    let invoked = function.wait_for(1, Duration::from_secs(30)).await.unwrap();
    // The controller's events are empty.
    assert_eq!(invoked[0].json(), Some(json!(true)));
    server.set_current_version("d", "b1").await.unwrap();
}

/// With a role, the server assumes it first, and checks that it cannot without the external ID.
#[tokio::test]
async fn the_worker_controller_assumes_the_role() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::builder().expect_external_id("the-id").start().await.unwrap();
    let function = FunctionConfig::in_process("worker", |_| async { Ok(Value::Null) });
    let function = lambda.add_function(function).unwrap();
    let server =
        DevServer::builder().worker_controller(lambda.endpoint_url()).start().await.unwrap();
    server.create_deployment("d").await.unwrap();
    let role = "arn:aws:iam::000000000000:role/invoker";
    server
        .create_version_for_lambda_with_role("d", "b1", function.arn(), role, "the-id")
        .await
        .unwrap();
    function.wait_for(1, Duration::from_secs(30)).await.unwrap();
    let wrong =
        server.create_version_for_lambda_with_role("d", "b2", function.arn(), role, "wrong").await;
    let Err(DevServerError::Command { stderr, .. }) = wrong else { panic!("{wrong:?}") };
    assert!(stderr.contains("AccessDenied"), "{stderr}");
}
