use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use temporal_lambda_test_timing::assert_soon;
use temporal_lambda_testkit::server::DevServer;
use temporal_lambda_tests::tls::{Authority, TlsProxy};
use temporalio_client::tonic::IntoRequest as _;
use temporalio_client::{Client, ClientOptions, UntypedWorkflowHandle, WorkflowGetResultOptions};
use temporalio_common::protos::temporal::api::enums::v1::TaskQueueType;
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeTaskQueueRequest,
};

use crate::support::{Running, client, command, exists, hello, patience, start};

/// `dev` with a function that leaves soon when it has nothing to do.
pub(crate) fn dev(name: &str) -> Command {
    let mut command = command();
    command.args(["dev", "--name", name]);
    command.args(["--env", "TEMPORAL_LAMBDA_IDLE_TIMEOUT=500ms"]);
    command
}

/// Waits for a workflow's result.
pub(crate) async fn done(workflow: &UntypedWorkflowHandle<Client>) -> Value {
    let result = workflow.get_result(WorkflowGetResultOptions::default());
    let result = tokio::time::timeout(patience(), result).await.expect("it ends").unwrap();
    serde_json::from_slice(&result.payloads[0].data).unwrap()
}

/// The address in `server at 127.0.0.1:7233, ...`.
pub(crate) fn address(line: &str) -> String {
    let (_, rest) = line.split_once("server at ").unwrap();
    rest.split_once(',').unwrap().0.to_owned()
}

/// Whether the server ends the polls of a worker that shuts down.
async fn ends_polls(client: &Client) -> bool {
    let request =
        DescribeNamespaceRequest { namespace: "default".to_owned(), ..Default::default() };
    let mut service = client.connection().workflow_service();
    let answer = service.describe_namespace(request.into_request()).await.unwrap().into_inner();
    let capabilities = answer.namespace_info.unwrap().capabilities;
    capabilities.is_some_and(|it| it.worker_poll_complete_on_shutdown)
}

/// The build ID that new workflows of a task queue go to.
async fn current(client: &Client, task_queue: &str) -> Option<String> {
    let request = DescribeTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(TaskQueue { name: task_queue.to_owned(), ..Default::default() }),
        task_queue_type: TaskQueueType::Workflow.into(),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let answer = service.describe_task_queue(request.into_request()).await.unwrap().into_inner();
    Some(answer.versioning_info?.current_deployment_version?.build_id)
}

#[tokio::test]
async fn a_workflow_is_done_within_seconds_and_ctrl_c_leaves_nothing() {
    let mut dev = Running::start(dev("hello").args(["--port", "0", "--"]).arg(hello()));
    let address = address(&dev.line("server at"));
    dev.line("hello:dev is current, on task queue hello");
    let client = client(&address).await;
    assert_eq!(current(&client, "hello").await.as_deref(), Some("dev"));
    assert!(ends_polls(&client).await);
    let began = Instant::now();
    done(&start(&client, "HelloWorkflow", "first", &"dev".to_owned()).await).await;
    // The server looks at its backlog once in 60 s; a call that a task brings comes at once.
    assert_soon("a workflow from zero", began.elapsed(), Duration::from_secs(1));

    // From zero, through the server's own controller.
    dev.times("1 activity", 1);
    done(&start(&client, "HelloWorkflow", "second", &"dev".to_owned()).await).await;
    dev.times("the server calls Invoke", 2);

    let children = dev.children();
    assert!(children.len() >= 2, "a server and a function: {children:?}");
    let status = dev.interrupt();
    assert!(status.success(), "{status}");
    let left: Vec<_> = children.into_iter().filter(|pid| exists(*pid)).collect();
    assert!(left.is_empty(), "{left:?} are left");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// Whoever deploys or starts workflows would only see that nothing listens any more.
#[tokio::test]
async fn dev_and_cloud_say_that_their_server_is_gone_and_end() {
    let mut dev = dev("hello");
    dev.args(["--port", "0", "--"]).arg(hello());
    let mut cloud = command();
    cloud.args(["cloud", "--port", "0", "--lambda-port", "0"]);
    for (mut command, ready) in [(dev, "is current"), (cloud, "endpoint")] {
        let mut running = Running::start(&mut command);
        running.line(ready);
        let hello = hello();
        let functions = running.children_of(&hello);
        let servers = running.children().into_iter().filter(|pid| !functions.contains(pid));
        for server in servers {
            let server = nix::unistd::Pid::from_raw(server.cast_signed());
            nix::sys::signal::kill(server, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        let line = running.line("the Temporal dev server at");
        assert!(line.contains("ended (signal: 9"), "{line}");
        assert_eq!(running.ended().code(), Some(1));
    }
}

#[tokio::test]
async fn a_server_may_be_left_as_it_is() {
    let args = ["--port", "0", "--stock-server", "--"];
    let dev = Running::start(dev("hello").args(args).arg(hello()));
    let client = client(&address(&dev.line("server at"))).await;
    assert!(!ends_polls(&client).await);
}

#[tokio::test]
async fn a_workflow_whose_task_fails_is_named() {
    let dev = Running::start(dev("hello").args(["--port", "0", "--"]).arg(hello()));
    let client = client(&address(&dev.line("server at"))).await;
    dev.line("hello:dev is current");
    start(&client, "NoSuchWorkflow", "stuck", &()).await;
    let line = dev.line("workflow stuck");
    assert!(line.contains("NoSuchWorkflow") && line.contains("attempt"), "{line}");
}

#[tokio::test]
async fn dev_works_with_a_server_that_runs_already() {
    let server = DevServer::start().await.unwrap();
    let dev =
        Running::start(dev("hello").args(["--address", &server.address(), "--"]).arg(hello()));
    dev.line("hello:dev is current");
    dev.times("done (Idle)", 1);
    let client = client(&server.address()).await;
    done(&start(&client, "HelloWorkflow", "joined", &"dev".to_owned()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_joined_with_the_namespace_and_the_certificates_of_temporal_toml() {
    let server = DevServer::builder().namespace("elsewhere").start().await.unwrap();
    let clients = Authority::new();
    let proxy = TlsProxy::to(&server.address(), &clients).await;
    let folder = tempfile::tempdir().unwrap();
    let identity = clients.issue_client();
    for (file, content) in [
        ("ca.pem", proxy.ca_pem()),
        ("client.pem", &identity.certificate_pem),
        ("client.key", &identity.key_pem),
        (
            "temporal.toml",
            "[profile.default]\nnamespace = \"elsewhere\"\n\
             [profile.default.tls]\nserver_ca_cert_path = \"ca.pem\"\n\
             client_cert_path = \"client.pem\"\nclient_key_path = \"client.key\"\n",
        ),
    ] {
        std::fs::write(folder.path().join(file), content).unwrap();
    }
    let address = format!("localhost:{}", proxy.port());
    let mut command = dev("hello");
    command.args(["--address", &address, "--"]).arg(hello()).current_dir(&folder);
    let dev = Running::start(&mut command);
    let named = "namespace elsewhere, with TLS and a client certificate: joined";
    dev.line(&format!("server at {address}, {named}"));
    dev.line("hello:dev is current");
    let connection = client(&server.address()).await.connection().clone();
    let client = Client::new(connection, ClientOptions::new("elsewhere").build()).unwrap();
    done(&start(&client, "HelloWorkflow", "joined", &"dev".to_owned()).await).await;
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let mut dev =
        Running::start(dev("hello").args(["--address", "127.0.0.1:1", "--"]).arg(hello()));
    dev.line("the server cannot be used");
    assert_eq!(dev.ended().code(), Some(1));
    assert!(dev.seen().contains("127.0.0.1:1"), "{}", dev.seen());
}

#[tokio::test]
async fn a_first_call_that_fails_is_named() {
    let server = DevServer::start().await.unwrap();
    let address = server.address();
    let mut dev = Running::start(dev("hello").args(["--address", &address, "--", "/bin/false"]));
    dev.line("the first call of hello:dev failed");
    assert_eq!(dev.ended().code(), Some(1));
}
