//! The Temporal dev server, for real.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};
use temporal_lambda_test_timing::{TimeLimit, test_timeout};
use temporal_lambda_testkit::{
    frontend::{MockFrontend, Rpc},
    lambda::{FunctionConfig, LambdaEmulator},
    server::{
        Deployment, DevServer, DevServerError, Role, Temporal, TemporalError, connection_options,
    },
};
use temporalio_client::tonic::Code;

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

    let secret = ["workflow", "describe", "--workflow-id", "secret"];
    let unknown = server.cli(secret).await.unwrap_err();
    let said = unknown.to_string();
    assert!(said.starts_with("`temporal workflow describe` failed"), "{said}");
    assert!(said.contains("not found"), "{said}");

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
    let temporal = server.temporal().await.unwrap();
    temporal.start_workflow("q", "W", "kept", &1).await.unwrap();
    let address = server.address();
    let server = server.restart().await.unwrap();
    assert_eq!(server.address(), address);
    let temporal = server.temporal().await.unwrap();
    assert!(!temporal.workflow_history("kept").await.unwrap().is_empty());

    drop(server);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_call_whose_connection_is_closed_is_made_again() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let served = frontend.serve().await.unwrap();
    let options = connection_options(&served.address().to_string()).unwrap();
    let temporal = Temporal::connect(options).await.unwrap();
    let history = Rpc::named("GetWorkflowExecutionHistory");
    for call in [Rpc::named("StartWorkflowExecution"), history.clone()] {
        frontend.on(call).drop_connection();
    }
    temporal.start_workflow("q", "W", "once", &1).await.unwrap();
    // The mock has no histories, which is the answer to the second call.
    let none = temporal.workflow_history("once").await.unwrap_err();
    assert!(matches!(none, TemporalError::Rpc { .. }), "{none}");
    assert_eq!(frontend.count(history), 2);
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
        Ok(json!(event.payload == json!({})))
    });
    let function = lambda.add_function(function).unwrap();
    let server =
        DevServer::builder().worker_controller(lambda.endpoint_url()).start().await.unwrap();
    let deployment = server.temporal().await.unwrap().deployment("d");
    deployment.create().await.unwrap();
    deployment.create_version_for_lambda("b1", function.arn(), None).await.unwrap();
    let invoked = function.wait_for(1, Duration::from_secs(30)).await.unwrap();
    // The controller sends no payload, which Lambda delivers as {}.
    assert_eq!(invoked[0].json(), Some(json!(true)));
    deployment.make_current("b1").await.unwrap();
    assert_eq!(current(&deployment).await.as_deref(), Some("b1"));
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
    let deployment = server.temporal().await.unwrap().deployment("d");
    deployment.create().await.unwrap();
    let arn = "arn:aws:iam::000000000000:role/invoker";
    let role = |external_id| Some(Role { arn, external_id });
    deployment.create_version_for_lambda("b1", function.arn(), role("the-id")).await.unwrap();
    function.wait_for(1, Duration::from_secs(30)).await.unwrap();
    let wrong = deployment.create_version_for_lambda("b2", function.arn(), role("wrong")).await;
    let error = wrong.unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
}

/// A function that the test calls itself has no version before its first call.
#[tokio::test]
async fn a_version_that_only_polls_make_gets_the_workflows_that_start_afterwards() {
    let _limit = TimeLimit::of_this_test();
    let server = DevServer::start().await.unwrap();
    let temporal = server.temporal().await.unwrap();
    let deployment = temporal.deployment("d");
    assert_eq!(deployment.describe().await.unwrap(), None);
    deployment.make_current_by_polling("b1", "q", test_timeout()).await.unwrap();
    assert_eq!(current(&deployment).await.as_deref(), Some("b1"));
    assert_eq!(deployment.wait_for_poll("b1", test_timeout()).await.unwrap(), ["q"]);
    let error = deployment.wait_for_poll("b2", Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, TemporalError::NotInTime { .. }), "{error}");
    assert!(error.to_string().contains("d:b2"), "{error}");
}

#[tokio::test]
async fn a_workflow_is_started_and_its_end_is_waited_for() {
    let _limit = TimeLimit::of_this_test();
    let server = DevServer::start().await.unwrap();
    let temporal = server.temporal().await.unwrap();
    temporal.start_workflow("q", "W", "w", &json!({ "a": 1 })).await.unwrap();
    let again = temporal.start_workflow("q", "W", "w", &1).await.unwrap_err();
    assert_eq!(again.code(), Some(Code::AlreadyExists), "{again}");

    let short = Duration::from_millis(200);
    let early = temporal.workflow_result("w", short).await.unwrap_err();
    assert!(matches!(early, TemporalError::NotInTime { .. }), "{early}");
    let terminate = ["workflow", "terminate", "--workflow-id", "w", "--reason", "enough"];
    let (ended, terminated) =
        tokio::join!(temporal.workflow_result("w", test_timeout()), server.cli(terminate));
    terminated.unwrap();
    let ended = ended.unwrap_err();
    assert!(matches!(ended, TemporalError::NoResult { .. }), "{ended}");
    assert!(ended.to_string().contains("enough"), "{ended}");
}

/// The build ID of the current version.
async fn current(deployment: &Deployment) -> Option<String> {
    let routing = deployment.describe().await.unwrap()?.routing_config?;
    Some(routing.current_deployment_version?.build_id)
}
