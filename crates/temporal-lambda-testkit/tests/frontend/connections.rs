//! Connections: who may call, over what, and what happens when they break.

use std::time::Duration;

use futures::join;
use temporal_lambda_test_timing::{TimeLimit, within};
use temporal_lambda_testkit::frontend::{FrontendError, MockFrontend, MockTls, Rpc};
use temporalio_client::Connection;
use temporalio_client::errors::ClientConnectError;
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::workflowservice::v1::GetSystemInfoResponse;
use tokio::time::{Instant, timeout};

use crate::{TEST_TIMEOUT, TestResult, describe, greet, greets_ada, with_worker, worker};

#[tokio::test]
async fn a_workflow_completes_over_tls_with_an_api_key() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    frontend.require_api_key("right");
    let served = frontend.serve_tls(MockTls::new()?).await?;

    let mut options = served.connection_options();
    options.api_key = Some("wrong".to_owned());
    let refused = Connection::connect(options.clone()).await;
    assert_eq!(connect_code(refused), Code::Unauthenticated);

    options.api_key = Some("right".to_owned());
    greets_ada(&frontend, options).await
}

#[tokio::test]
async fn mutual_tls_turns_strangers_away() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let tls = MockTls::new()?.require_client_certificate();
    let served = frontend.serve_tls(tls).await?;
    Connection::connect(served.connection_options()).await?;

    let mut stranger = served.connection_options();
    let options = stranger.tls_options.as_mut().expect("TLS is on");
    options.client_tls_options = None;
    assert!(Connection::connect(stranger).await.is_err());
    assert_eq!(frontend.count(Rpc::GetSystemInfo), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_unknown_namespace_is_not_found() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let mut lost = worker(frontend.connection_options(), "nowhere").await?;
    let error = timeout(TEST_TIMEOUT, lost.run()).await?.expect_err("no namespace");
    let message = format!("{error:?}");
    assert!(message.contains("Namespace nowhere is not found."), "{message}");

    let connection = Connection::connect(frontend.connection_options()).await?;
    let status = describe(&connection, "nowhere").await.expect_err("unknown");
    assert_eq!(status.code(), Code::NotFound);
    frontend.namespace("nowhere");
    describe(&connection, "nowhere").await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn permission_denied_begins_after_the_greeting() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    frontend.permission_denied();
    let connection = Connection::connect(frontend.connection_options()).await?;
    let status = describe(&connection, "default").await.expect_err("denied");
    assert_eq!(status.code(), Code::PermissionDenied);
    frontend.permission_granted();
    describe(&connection, "default").await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn every_scripted_action_reaches_the_client() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let begin = Instant::now();
    let connect = || Connection::connect(frontend.connection_options());
    let on = || frontend.on(Rpc::GetSystemInfo);

    on().fail(Code::ResourceExhausted, "too many");
    assert_eq!(connect_code(connect().await), Code::ResourceExhausted);
    on().malformed();
    assert_eq!(connect_code(connect().await), Code::Internal);
    on().drop_connection();
    assert_eq!(connect_code(connect().await), Code::Unavailable);
    on().answer(GetSystemInfoResponse::default());
    assert!(connect().await?.capabilities().is_none());
    assert!(begin.elapsed() < Duration::from_millis(10));

    on().delay(Duration::from_secs(9));
    connect().await?;
    let delayed = begin.elapsed();
    assert!(delayed >= Duration::from_secs(9) && delayed < Duration::from_secs(10));

    // The caller's own timeout, and the 30 s that the SDK gives each call.
    on().hang().times(2);
    assert!(timeout(Duration::from_secs(5), connect()).await.is_err());
    let hung = Instant::now();
    assert_eq!(connect_code(connect().await), Code::Cancelled);
    assert_eq!(hung.elapsed().as_secs(), 30);
    connect().await?;
    assert_eq!(frontend.count(Rpc::GetSystemInfo), 8);
    Ok(())
}

#[tokio::test]
async fn a_scripted_cut_ends_the_connection_on_the_wire() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let served = frontend.serve().await?;
    let mut options = served.connection_options();
    options.retry_options = temporalio_client::RetryOptions::no_retries();
    frontend.on(Rpc::DescribeNamespace).drop_connection();
    frontend.on(Rpc::DescribeNamespace).malformed();
    frontend.on(Rpc::DescribeNamespace).fail(Code::DataLoss, "ünlucky");
    let connection = Connection::connect(options).await?;
    let status = describe(&connection, "default").await.expect_err("cut");
    assert_eq!(status.code(), Code::Unknown, "{status}");
    let status = describe(&connection, "default").await.expect_err("malformed");
    assert_eq!(status.code(), Code::Internal);
    let status = describe(&connection, "default").await.expect_err("failed");
    assert_eq!((status.code(), status.message()), (Code::DataLoss, "ünlucky"));
    describe(&connection, "default").await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_that_goes_away_lets_its_calls_end_and_new_ones_go_elsewhere() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let served = frontend.serve().await?;
    let mut options = served.connection_options();
    options.retry_options = temporalio_client::RetryOptions::no_retries();
    let hanging = |connection: Connection| {
        frontend.on(Rpc::DescribeNamespace).hang();
        tokio::spawn(async move { describe(&connection, "default").await })
    };
    let begun = |calls| frontend.wait_until(move |f| f.count(Rpc::DescribeNamespace) >= calls);

    let slow = Connection::connect(options.clone()).await?;
    let first = hanging(slow.clone());
    begun(1).await?;
    served.go_away(Duration::from_secs(3600));
    within("a call elsewhere", described(&slow)).await?;
    assert!(!first.is_finished(), "it has an hour");

    let quick = Connection::connect(options).await?;
    let calls = frontend.count(Rpc::DescribeNamespace);
    let second = hanging(quick.clone());
    begun(calls + 1).await?;
    served.go_away(Duration::ZERO);
    let cut = within("the end of the call", second).await?.expect_err("cut");
    assert_eq!(cut.code(), Code::Unknown, "{cut}");
    within("a call elsewhere", described(&quick)).await?;
    assert!(!first.is_finished(), "its connection went away earlier, and more slowly");

    served.drop_connections();
    within("the end of the first call", first).await?.expect_err("cut");
    Ok(())
}

/// A call that waits for its turn when the client hears that the connection goes away is given back
/// by the client as cancelled.
async fn described(connection: &Connection) -> Result<(), Status> {
    loop {
        match describe(connection, "default").await {
            Err(status) if status.code() == Code::Cancelled => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn a_worker_outlives_a_restart_of_its_frontend() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let mut served = frontend.serve().await?;
    let address = served.address();
    let worker = worker(served.connection_options(), "default").await?;
    with_worker(worker, async {
        frontend.wait_until(|f| !f.open_polls().is_empty()).await?;
        served.stop().await;
        frontend.wait_until(|f| f.open_polls().is_empty()).await?;
        served.start().await?;
        assert_eq!(served.address(), address);
        frontend.wait_until(|f| !f.open_polls().is_empty()).await?;
        served.drop_connections();
        frontend.start_workflow(greet("after"));
        frontend.workflow_result("after").await
    })
    .await?
    .json::<String>()?;
    drop(served);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn cut_in_process_connections_end_their_calls() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let mut options = frontend.connection_options();
    options.retry_options = temporalio_client::RetryOptions::no_retries();
    let connection = Connection::connect(options).await?;
    frontend.on(Rpc::DescribeNamespace).hang();
    let (described, cut) = join!(describe(&connection, "default"), async {
        frontend.wait_until(|f| f.count(Rpc::DescribeNamespace) == 1).await?;
        frontend.drop_connections();
        Ok::<_, FrontendError>(())
    });
    cut?;
    assert_eq!(described.expect_err("cut").code(), Code::Unavailable);
    describe(&connection, "default").await?;
    Ok(())
}

fn connect_code(result: Result<Connection, ClientConnectError>) -> Code {
    match result {
        Ok(_) => Code::Ok,
        Err(ClientConnectError::SystemInfoCallError(status)) => status.code(),
        Err(other) => panic!("not an answer of the frontend: {other}"),
    }
}
