//! What `configure` may set, and what becomes of it: on a worker in this process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use temporal_lambda_testkit::UnderTest;
use temporal_lambda_testkit::context::TestContext;
use temporal_lambda_testkit::frontend::{MockFrontend, WorkflowStart, WorkflowStatus};
use temporal_lambda_tests::{World, server, test_timeout};
use temporal_lambda_worker::{
    BoxError, LambdaWorker, LambdaWorkerConfig, LambdaWorkerHandler, RunningWorker, Shutdown,
    WorkerDeploymentVersion, async_trait,
};
use temporalio_client::{Client, Url};
use temporalio_common::data_converters::{
    DataConverter, DefaultFailureConverter, PayloadCodec, PayloadConversionError, PayloadConverter,
    SerializationContextData,
};
use temporalio_common::protos::temporal::api::common::v1::{Payload, WorkflowType};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::StartWorkflowExecutionRequest;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkflowContext, WorkflowResult};
use tokio::io::AsyncReadExt as _;
use tonic::IntoRequest as _;

#[workflow]
#[derive(Default)]
struct Echo;

#[workflow_methods]
impl Echo {
    #[run]
    async fn run(_: &mut WorkflowContext<Self>, text: String) -> WorkflowResult<String> {
        Ok(text)
    }
}

const QUEUE: &str = "configured";

fn version() -> WorkerDeploymentVersion {
    WorkerDeploymentVersion::builder().deployment_name("configured").build_id("1").build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_configure_sets_is_the_workers() {
    let frontend = MockFrontend::new();
    frontend.namespace("another");
    let configure = |config: &mut LambdaWorkerConfig| {
        config.worker_options.task_queue = QUEUE.to_owned();
        config.worker_options.register_workflow::<Echo>()?;
        config.client_options.namespace = "another".to_owned();
        Ok(())
    };
    let handler =
        UnderTest::new(configure, &frontend).until_idle(Duration::ZERO).handler().unwrap();
    let report = handler.handle(TestContext::new().event(())).await.unwrap();
    assert_eq!(report.namespace, "another");
    let polls = frontend.polls();
    assert!(!polls.is_empty());
    assert!(polls.iter().all(|poll| poll.namespace == "another"), "{polls:?}");
}

/// A codec that leaves a mark on everything it encodes.
struct Marks;

const MARK: &str = "marked";

impl PayloadCodec for Marks {
    fn encode(
        &self,
        _: &SerializationContextData,
        mut payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        for payload in &mut payloads {
            payload.metadata.insert(MARK.to_owned(), b"yes".to_vec());
        }
        async { Ok(payloads) }.boxed()
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        async { Ok(payloads) }.boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_converter_that_configure_sets_is_the_workers() {
    let frontend = MockFrontend::new();
    let configure = |config: &mut LambdaWorkerConfig| {
        config.worker_options.task_queue = QUEUE.to_owned();
        config.worker_options.register_workflow::<Echo>()?;
        config.client_options.data_converter = DataConverter::new(
            PayloadConverter::default(),
            DefaultFailureConverter::default(),
            Marks,
        );
        Ok(())
    };
    frontend.start_workflow(WorkflowStart::new(QUEUE, "Echo", "echo").arg(&"hello"));
    let idle = Duration::from_millis(50);
    let handler = UnderTest::new(configure, &frontend).until_idle(idle).handler().unwrap();
    handler.handle(TestContext::new().event(())).await.unwrap();
    let status = frontend.workflow_status("echo").unwrap();
    let WorkflowStatus::Completed(payloads) = status else { panic!("{status:?}") };
    assert!(payloads[0].metadata.contains_key(MARK), "{payloads:?}");
}

/// Keeps its client, and starts a workflow with it in a hook.
#[derive(Clone)]
struct Successor {
    task_queue: String,
    client: Arc<Mutex<Option<Client>>>,
}

#[async_trait]
impl LambdaWorker for Successor {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        let target = format!("http://{}", server::shared().address());
        config.connection_options.target = Url::parse(&target)?;
        config.worker_options.task_queue.clone_from(&self.task_queue);
        config.worker_options.register_workflow::<Echo>()?;
        config.idle_timeout = Some(Duration::from_millis(50));
        config.minimum_stay = Duration::ZERO;
        let (client, task_queue) = (self.client.clone(), self.task_queue.clone());
        config.shutdown_hooks.add("successor", move |_: Shutdown| async move {
            let client = client.lock().unwrap().clone();
            let client = client.ok_or("the worker did not start")?;
            let request = StartWorkflowExecutionRequest {
                namespace: "default".to_owned(),
                workflow_id: format!("{task_queue}-next"),
                workflow_type: Some(WorkflowType { name: "Echo".to_owned() }),
                task_queue: Some(TaskQueue { name: task_queue, ..Default::default() }),
                request_id: "once".to_owned(),
                ..Default::default()
            };
            let mut service = client.connection().workflow_service();
            service.start_workflow_execution(request.into_request()).await?;
            Ok(())
        });
        Ok(())
    }

    async fn on_start(&mut self, running: &RunningWorker) -> Result<(), BoxError> {
        *self.client.lock().unwrap() = Some(running.client.clone());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_worker_still_works_in_a_hook() {
    let world = World::new("successor").await;
    let temporal = world.temporal().await;
    let successor = Successor { task_queue: world.name.clone(), client: Arc::default() };
    let handler = LambdaWorkerHandler::new(version(), successor).unwrap();
    let report = handler.handle(TestContext::new().event(())).await.unwrap();
    assert_eq!(report.hooks.len(), 1);
    let next = temporal.describe(&world.id("next")).await;
    assert!(next.workflow_execution_info.is_some());
}

/// What somebody on the way sees of a connection to a server that is not this machine's by name.
async fn overheard(configure: fn(&mut LambdaWorkerConfig)) -> Vec<u8> {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let listening = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        // Until the client gives up, or has said all that it says without an answer.
        while let Ok(Ok(count)) =
            tokio::time::timeout(Duration::from_secs(2), socket.read(&mut buffer)).await
            && count > 0
        {
            seen.extend_from_slice(&buffer[..count]);
        }
        seen
    });
    // It is this machine, but not one of the names by which it is known to be.
    let target = format!("http://0.0.0.0:{port}");
    let handler = LambdaWorkerHandler::new(version(), move |config: &mut LambdaWorkerConfig| {
        config.worker_options.task_queue = QUEUE.to_owned();
        config.worker_options.register_workflow::<Echo>()?;
        config.connection_options.target = Url::parse(&target)?;
        configure(config);
        Ok(())
    });
    let event = TestContext::new().lasting(Duration::from_secs(12)).event(());
    let invocation = tokio::spawn(handler.unwrap().handle(event));
    let seen = tokio::time::timeout(test_timeout(), listening).await.unwrap().unwrap();
    invocation.abort();
    seen
}

const KEY: &str = "overheard-key-0123456789";

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_that_configure_sets_is_not_sent_in_clear_text_unless_it_says_so() {
    let seen = overheard(|config| config.connection_options.api_key = Some(KEY.to_owned())).await;
    // 22: a handshake of TLS.
    assert_eq!(seen.first(), Some(&22), "{:?}", String::from_utf8_lossy(&seen));
    let seen = overheard(|config| {
        config.connection_options.api_key = Some(KEY.to_owned());
        config.clear_text_credentials = true;
    })
    .await;
    assert!(seen.starts_with(b"PRI * HTTP/2.0"), "{:?}", String::from_utf8_lossy(&seen));
}
