//! Workflows and activities, from their start to their end.

use std::time::Duration;

use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::frontend::{
    ActivityStart, ActivityStatus, FrontendError, MockFrontend, Rpc, WorkflowStart, WorkflowStatus,
};
use temporalio_client::errors::WorkflowStartError;
use temporalio_client::tonic::{Code, IntoRequest};
use temporalio_client::{Client, ClientOptions, Connection, WorkflowStartOptions};
use temporalio_common::protos::temporal::api::enums::v1::EventType;
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PollWorkflowTaskQueueRequest, RespondWorkflowTaskFailedRequest,
};
use tokio::time::Instant;

use crate::{Greet, Greetings, TestResult, greet, greets_ada, with_worker, worker};

#[tokio::test]
async fn a_workflow_with_an_activity_completes_in_process() -> TestResult {
    let _limit = TimeLimit::of_this_test();
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
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let served = frontend.serve().await?;
    greets_ada(&frontend, served.connection_options()).await
}

#[tokio::test]
async fn timers_markers_and_retries_drive_a_workflow_on() -> TestResult {
    let _limit = TimeLimit::of_this_test();
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
async fn a_client_is_told_that_a_workflow_was_started_already() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let running = frontend.start_workflow(greet("twice"));
    let served = frontend.serve().await?;
    for options in [frontend.connection_options(), served.connection_options()] {
        let connection = Connection::connect(options).await?;
        let client = Client::new(connection, ClientOptions::new("default").build())?;
        let options = WorkflowStartOptions::new("greetings", "twice").build();
        let refused = client.start_workflow(Greet::run, "Grace".to_owned(), options).await;
        match refused.map(|_| ()) {
            Err(WorkflowStartError::AlreadyStarted { run_id, .. }) => {
                assert_eq!(run_id.as_deref(), Some(running.as_str()));
            }
            other => panic!("it runs already, and the answer is {other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_completion_that_was_lost_is_sent_again_and_a_failure_leaves_its_workflow_running()
-> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    // The server loses the first completion: the worker's retry finds the task still there.
    frontend.on(Rpc::RespondWorkflowTaskCompleted).fail(Code::Unavailable, "lost");
    // No such workflow type is registered, so its task fails. The SDK says so once.
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

#[tokio::test(start_paused = true)]
async fn a_failed_workflow_task_is_handed_out_again() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    frontend.start_workflow(greet("failing"));
    let connection = Connection::connect(frontend.connection_options()).await?;
    let mut service = connection.workflow_service();
    for attempt in 1..4 {
        let poll = PollWorkflowTaskQueueRequest {
            namespace: "default".to_owned(),
            task_queue: Some(TaskQueue { name: "greetings".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let task = service.poll_workflow_task_queue(poll.into_request()).await?.into_inner();
        assert_eq!(task.attempt, attempt);
        let failed = RespondWorkflowTaskFailedRequest {
            namespace: "default".to_owned(),
            task_token: task.task_token,
            ..Default::default()
        };
        service.respond_workflow_task_failed(failed.into_request()).await?;
    }
    assert_eq!(frontend.workflow_status("failing")?, WorkflowStatus::Running);
    Ok(())
}

#[tokio::test]
async fn a_heartbeat_tells_an_activity_to_stop() -> TestResult {
    let _limit = TimeLimit::of_this_test();
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
async fn an_activity_goes_on_where_its_failed_attempt_got_to() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let mut start = ActivityStart::new("greetings", Greetings::resume.name(), "resume");
    start.heartbeat_timeout = Some(Duration::from_secs(60));
    start.max_attempts = 2;
    frontend.schedule_activity(start);
    let worker = worker(frontend.connection_options(), "default").await?;
    let status = with_worker(worker, frontend.activity_result("resume")).await?;
    assert_eq!(status.json::<u32>()?, 3);
    Ok(())
}

#[tokio::test]
async fn shutdown_releases_the_polls_and_is_recorded() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    frontend.end_polls_at_shutdown();
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
async fn waiting_has_an_end_that_says_what_was_seen() {
    let _limit = TimeLimit::of_this_test();
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
