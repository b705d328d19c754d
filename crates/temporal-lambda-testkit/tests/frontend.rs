//! The mock frontend against the real SDK: a worker, and single calls of a connection.

use futures::join;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use temporal_lambda_testkit::frontend::{
    ActivityStart, ActivityStatus, FrontendError, MockFrontend, MockTls, Rpc, WorkflowStart,
    WorkflowStatus,
};
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, WorkflowGetResultOptions,
    WorkflowStartOptions, errors::ClientConnectError, tonic,
};
use temporalio_common::{
    RetryPolicy,
    protos::temporal::api::{
        enums::v1::EventType,
        taskqueue::v1::TaskQueue,
        workflowservice::v1::{
            DescribeNamespaceRequest, GetSystemInfoResponse, PollWorkflowTaskQueueRequest,
            RespondWorkflowTaskCompletedRequest,
        },
    },
    worker::{WorkerDeploymentOptions, WorkerDeploymentVersion},
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, LocalActivityOptions, Runtime, Worker, WorkerOptions, WorkflowContext,
    WorkflowResult,
    activities::{ActivityContext, ActivityError},
    runtime::RuntimeOptions,
};
use tokio::time::{Instant, timeout};
use tonic::{Code, IntoRequest};

/// Far longer than anything here takes.
const BOUND: Duration = Duration::from_secs(120);

type TestResult = Result<(), Box<dyn std::error::Error>>;

#[derive(Default)]
struct Greetings {
    calls: AtomicU32,
}

#[activities]
impl Greetings {
    #[activity]
    async fn greet(_ctx: ActivityContext, name: String) -> Result<String, ActivityError> {
        Ok(format!("Hello, {name}!"))
    }

    /// Fails twice.
    #[activity]
    async fn third_time_lucky(
        self: Arc<Self>,
        _ctx: ActivityContext,
    ) -> Result<u32, ActivityError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if call < 3 {
            return Err(std::io::Error::other(format!("call {call}")).into());
        }
        Ok(call)
    }

    /// Beats until it is told to stop.
    #[activity]
    async fn beat(ctx: ActivityContext) -> Result<(), ActivityError> {
        while !ctx.is_cancelled() {
            ctx.record_heartbeat("beat".to_owned()).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(ActivityError::cancelled())
    }
}

#[workflow]
#[derive(Default)]
struct Greet;

#[workflow_methods]
impl Greet {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        let limit = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        Ok(ctx.execute_activity(Greetings::greet, name, limit).await?)
    }
}

/// A timer, a local activity, and an activity that needs retries, one after the other.
#[workflow]
#[derive(Default)]
struct Steps;

#[workflow_methods]
impl Steps {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<(String, u32)> {
        ctx.timer(Duration::from_millis(100)).await;
        let local =
            LocalActivityOptions::builder().start_to_close_timeout(Duration::from_secs(10)).build();
        let greeting =
            ctx.execute_local_activity(Greetings::greet, "local".to_owned(), local).await?;
        let soon = RetryPolicy::builder().initial_interval(Duration::from_millis(50)).build();
        let retried = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(10))
            .retry_policy(soon)
            .build();
        let calls = ctx.execute_activity(Greetings::third_time_lucky, (), retried).await?;
        Ok((greeting, calls))
    }
}

async fn worker(
    options: ConnectionOptions,
    namespace: &str,
) -> Result<Worker, Box<dyn std::error::Error>> {
    let no_heartbeats = RuntimeOptions::builder().heartbeat_interval(None).build()?;
    let runtime = Runtime::from_current_tokio(no_heartbeats)?;
    let connection = Connection::connect(options).await?;
    let client = Client::new(connection, ClientOptions::new(namespace).build())?;
    let version =
        WorkerDeploymentVersion::builder().deployment_name("greeter").build_id("build-7").build();
    let options = WorkerOptions::new("greetings")
        .client_identity_override("worker-1")
        .deployment_options(WorkerDeploymentOptions::new(version).build())
        .register_activities(Greetings::default())
        .register_workflow::<Greet>()?
        .register_workflow::<Steps>()?
        .build();
    Ok(Worker::new(&runtime, client, options)?)
}

/// Runs the worker while the test looks on, then shuts it down and waits for it.
async fn with_worker<T>(mut worker: Worker, test: impl Future<Output = T>) -> T {
    let shutdown = worker.shutdown_handle();
    let test = async {
        let result = test.await;
        shutdown();
        result
    };
    let (result, run) =
        timeout(BOUND, async { join!(test, worker.run()) }).await.expect("the worker drains");
    run.expect("the worker runs");
    result
}

fn greet(id: &str) -> WorkflowStart {
    WorkflowStart::new("greetings", "Greet", id).arg(&"Ada")
}

async fn describe(connection: &Connection, namespace: &str) -> Result<(), tonic::Status> {
    let request =
        DescribeNamespaceRequest { namespace: namespace.to_owned(), ..Default::default() };
    let mut service = connection.workflow_service();
    service.describe_namespace(request.into_request()).await?;
    Ok(())
}

async fn greets_ada(frontend: &MockFrontend, options: ConnectionOptions) -> TestResult {
    let run_id = frontend.start_workflow(greet("hello"));
    assert!(!run_id.is_empty());
    let worker = worker(options, "default").await?;
    let status = with_worker(worker, frontend.workflow_result("hello")).await?;
    assert_eq!(status.json::<String>()?, "Hello, Ada!");
    assert_eq!(frontend.activity_attempts("hello/1")?, 1);
    let greeting: String = frontend.activity_status("hello/1")?.json()?;
    assert_eq!(greeting, "Hello, Ada!");
    assert!(frontend.unsupported_commands().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_workflow_with_an_activity_completes_in_process() -> TestResult {
    let frontend = MockFrontend::new();
    greets_ada(&frontend, frontend.connection_options()).await?;

    let history = frontend.workflow_history("hello")?;
    let kinds = history.iter().map(|e| e.event_type()).collect::<Vec<_>>();
    assert_eq!(
        kinds,
        [
            EventType::WorkflowExecutionStarted,
            EventType::WorkflowTaskScheduled,
            EventType::WorkflowTaskStarted,
            EventType::WorkflowTaskCompleted,
            EventType::ActivityTaskScheduled,
            EventType::ActivityTaskStarted,
            EventType::ActivityTaskCompleted,
            EventType::WorkflowTaskScheduled,
            EventType::WorkflowTaskStarted,
            EventType::WorkflowTaskCompleted,
            EventType::WorkflowExecutionCompleted,
        ]
    );
    let ids = history.iter().map(|e| e.event_id).collect::<Vec<_>>();
    assert_eq!(ids, (1..=11).collect::<Vec<i64>>());
    Ok(())
}

#[tokio::test]
async fn a_workflow_with_an_activity_completes_over_loopback() -> TestResult {
    let frontend = MockFrontend::new();
    let served = frontend.serve().await?;
    greets_ada(&frontend, served.connection_options()).await
}

#[tokio::test]
async fn a_workflow_completes_over_tls_with_an_api_key() -> TestResult {
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

#[tokio::test]
async fn timers_markers_and_retries_drive_a_workflow_on() -> TestResult {
    let frontend = MockFrontend::new();
    frontend.start_workflow(WorkflowStart::new("greetings", "Steps", "steps"));
    let worker = worker(frontend.connection_options(), "default").await?;
    let begin = Instant::now();
    let result = with_worker(worker, frontend.workflow_result("steps")).await?;
    let (greeting, calls): (String, u32) = result.json()?;
    assert_eq!((greeting.as_str(), calls), ("Hello, local!", 3));
    assert_eq!(frontend.activity_attempts("steps/2")?, 3);
    // The timer, and the waits between the attempts.
    assert!(begin.elapsed() >= Duration::from_millis(100 + 50 + 100));
    let history = frontend.workflow_history("steps")?;
    let count = |kind| history.iter().filter(|e| e.event_type() == kind).count();
    assert_eq!(count(EventType::TimerFired), 1);
    assert_eq!(count(EventType::MarkerRecorded), 1);
    assert_eq!(count(EventType::ActivityTaskStarted), 1);
    Ok(())
}

#[tokio::test]
async fn a_client_starts_a_workflow_and_gets_its_result() -> TestResult {
    let frontend = MockFrontend::new();
    let worker = worker(frontend.connection_options(), "default").await?;
    let connection = Connection::connect(frontend.connection_options()).await?;
    let client = Client::new(connection, ClientOptions::new("default").build())?;
    let result = with_worker(
        worker,
        Box::pin(async {
            let options = WorkflowStartOptions::new("greetings", "by-client").build();
            let handle = client.start_workflow(Greet::run, "Grace".to_owned(), options).await?;
            let result = handle.get_result(WorkflowGetResultOptions::default()).await?;
            Ok::<_, Box<dyn std::error::Error>>(result)
        }),
    )
    .await?;
    assert_eq!(result, "Hello, Grace!");
    Ok(())
}

#[tokio::test]
async fn a_failed_workflow_task_is_tried_again() -> TestResult {
    let frontend = MockFrontend::new();
    // The server loses the first completion: the worker's retry finds the task still there.
    frontend.on(Rpc::RespondWorkflowTaskCompleted).fail(Code::Unavailable, "lost");
    // No such workflow type is registered, so its task fails for as long as it is tried.
    frontend.start_workflow(WorkflowStart::new("greetings", "Unknown", "unknown"));
    frontend.start_workflow(greet("known"));
    let worker = worker(frontend.connection_options(), "default").await?;
    with_worker(worker, async {
        let status = frontend.workflow_result("known").await?;
        assert_eq!(status.json::<String>()?, "Hello, Ada!");
        frontend.wait_until(|frontend| frontend.count(Rpc::RespondWorkflowTaskFailed) > 0).await
    })
    .await?;
    assert_eq!(frontend.workflow_status("unknown")?, WorkflowStatus::Running);
    Ok(())
}

#[tokio::test]
async fn a_heartbeat_tells_an_activity_to_stop() -> TestResult {
    let frontend = MockFrontend::new();
    let mut start = ActivityStart::new("greetings", Greetings::beat.name(), "beat");
    start.heartbeat_timeout = Some(Duration::from_secs(1));
    frontend.schedule_activity(start);
    let worker = worker(frontend.connection_options(), "default").await?;
    with_worker(worker, async {
        frontend
            .wait_until(|f| f.activity_heartbeats("beat").is_ok_and(|beats| beats.len() > 1))
            .await?;
        frontend.cancel_activity("beat")?;
        let status = frontend.activity_result("beat").await?;
        assert_eq!(status, ActivityStatus::Canceled);
        Ok::<_, FrontendError>(())
    })
    .await?;
    assert_eq!(frontend.count(Rpc::RespondActivityTaskCanceled), 1);
    Ok(())
}

#[tokio::test]
async fn shutdown_releases_the_polls_and_is_recorded() -> TestResult {
    let frontend = MockFrontend::new();
    let worker = worker(frontend.connection_options(), "default").await?;
    let key = worker.worker_instance_key().to_string();
    with_worker(worker, frontend.wait_until(|f| f.open_polls().len() >= 4)).await?;

    assert!(frontend.open_polls().is_empty());
    let goodbyes = frontend.shutdown_workers();
    assert_eq!(goodbyes.len(), 1);
    assert_eq!(goodbyes[0].worker_instance_key, key);
    assert_eq!(goodbyes[0].task_queue, "greetings");
    assert_eq!(frontend.identities(), ["worker-1"]);
    for poll in frontend.polls() {
        assert_eq!(poll.worker_instance_key, key);
        assert_eq!(poll.task_queue, "greetings");
        let version = poll.deployment_version.expect("polls name the version");
        assert_eq!(version.deployment_name, "greeter");
        assert_eq!(version.build_id, "build-7");
    }
    // Nothing moved but the polls: no time has to pass for a worker to shut down.
    assert!(frontend.completions().is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_unknown_namespace_is_not_found() -> TestResult {
    let frontend = MockFrontend::new();
    let mut lost = worker(frontend.connection_options(), "nowhere").await?;
    let error = timeout(BOUND, lost.run()).await?.expect_err("no namespace");
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
    let frontend = MockFrontend::new();
    let served = frontend.serve().await?;
    let mut options = served.connection_options();
    options.retry_options = temporalio_client::RetryOptions::no_retries();
    frontend.on(Rpc::DescribeNamespace).drop_connection();
    frontend.on(Rpc::DescribeNamespace).malformed();
    frontend.on(Rpc::DescribeNamespace).fail(Code::DataLoss, "ünlucky");
    let connection = Connection::connect(options).await?;
    let status = describe(&connection, "default").await.expect_err("cut");
    assert!(matches!(status.code(), Code::Unknown | Code::Unavailable | Code::Cancelled));
    let status = describe(&connection, "default").await.expect_err("malformed");
    assert_eq!(status.code(), Code::Internal);
    let status = describe(&connection, "default").await.expect_err("failed");
    assert_eq!((status.code(), status.message()), (Code::DataLoss, "ünlucky"));
    describe(&connection, "default").await?;
    Ok(())
}

#[tokio::test]
async fn a_worker_outlives_a_restart_of_its_frontend() -> TestResult {
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

#[tokio::test(start_paused = true)]
async fn lost_tasks_come_back_when_timeouts_are_enforced() -> TestResult {
    let frontend = MockFrontend::new();
    frontend.enforce_task_timeouts();
    frontend.start_workflow(greet("lost"));
    let connection = Connection::connect(frontend.connection_options()).await?;
    let mut service = connection.workflow_service();
    let poll = PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(TaskQueue { name: "greetings".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let first = service.poll_workflow_task_queue(poll.clone().into_request());
    let first = first.await?.into_inner();
    let begin = Instant::now();
    // Nobody answers the first task, nor the second.
    for attempt in 2..4 {
        let next = service.poll_workflow_task_queue(poll.clone().into_request());
        let next = next.await?.into_inner();
        assert_eq!(next.attempt, attempt);
        assert_eq!(next.previous_started_event_id, 0);
        let events = next.history.unwrap_or_default().events;
        let kinds = events.iter().map(|e| e.event_type()).collect::<Vec<_>>();
        assert_eq!(
            kinds[1..],
            [
                EventType::WorkflowTaskScheduled,
                EventType::WorkflowTaskStarted,
                EventType::WorkflowTaskTimedOut,
                EventType::WorkflowTaskScheduled,
                EventType::WorkflowTaskStarted,
            ]
        );
        assert_eq!(next.started_event_id, 6);
    }
    assert_eq!(begin.elapsed().as_secs(), 10 + 10 + 1);
    let late = RespondWorkflowTaskCompletedRequest {
        namespace: "default".to_owned(),
        task_token: first.task_token,
        ..Default::default()
    };
    let late = service.respond_workflow_task_completed(late.into_request());
    assert_eq!(late.await.expect_err("too late").code(), Code::NotFound);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn waiting_has_an_end_that_says_what_was_seen() {
    let frontend = MockFrontend::new();
    let connected = Connection::connect(frontend.connection_options()).await;
    assert!(connected.is_ok());
    frontend.start_workflow(greet("nobody"));
    let error = frontend.workflow_result("nobody").await.expect_err("no worker");
    let message = error.to_string();
    assert!(message.contains("nobody") && message.contains("1 GetSystemInfo"), "{message}");
    let error = frontend.workflow_result("never").await.expect_err("unknown");
    assert!(matches!(error, FrontendError::UnknownWorkflow(_)));
}

fn connect_code(result: Result<Connection, ClientConnectError>) -> Code {
    match result {
        Ok(_) => Code::Ok,
        Err(ClientConnectError::SystemInfoCallError(status)) => status.code(),
        Err(other) => panic!("not an answer of the frontend: {other}"),
    }
}
