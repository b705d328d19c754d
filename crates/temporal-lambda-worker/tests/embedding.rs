//! What a service that embeds the handler can do and see, and what its tests can make.

#[path = "support/nothing.rs"]
mod nothing;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::UnderTest;
use temporal_lambda_testkit::context::TestContext;
use temporal_lambda_testkit::frontend::MockFrontend;
use temporal_lambda_worker::lifecycle::State;
use temporal_lambda_worker::{
    BoxError, Invocation, LambdaWorker, LambdaWorkerConfig, LambdaWorkerHandler, PerInvocation,
    Reason, RunningWorker, Shutdown, WorkerDeploymentVersion, WorkerFunction, async_trait,
};
use temporalio_client::{Client, ClientOptions, Connection};

use nothing::Nothing;

/// Writes down what it sees of its invocation.
#[derive(Clone, Default)]
struct Curious {
    seen: Arc<Mutex<Vec<String>>>,
    lease: PerInvocation<&'static str>,
}

impl Curious {
    fn see(&self, what: impl Into<String>) {
        self.seen.lock().expect("nobody panicked").push(what.into());
    }

    fn take_seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().expect("nobody panicked"))
    }
}

#[async_trait]
impl LambdaWorker for Curious {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        config.set_task_queue("curious").register_activities(Nothing);
        let payload: Option<&Value> = config.invocation.payload();
        self.see(format!("payload {:?}", payload.map(Value::to_string)));
        self.see(format!("tenant {:?}", config.invocation.context().tenant_id));
        self.lease.set("lease");
        Ok(())
    }

    async fn on_start(&mut self, running: &RunningWorker) -> Result<(), BoxError> {
        let version = &running.version;
        let name = format!("{}/{}", version.deployment_name, version.build_id);
        self.see(format!("{} as {name} on {}", running.identity, running.task_queue));
        Ok(())
    }

    async fn on_shutdown(&mut self, ending: &Shutdown) -> Result<(), BoxError> {
        let lease = self.lease.take();
        self.see(format!("{:?}: {lease:?}", ending.reason));
        Ok(())
    }
}

fn handler(worker: &Curious) -> LambdaWorkerHandler<UnderTest<Curious>> {
    let under_test = UnderTest::new(worker.clone(), &MockFrontend::new());
    under_test.until_idle(Duration::ZERO).handler().expect("threads start")
}

#[tokio::test]
async fn configure_sees_payload_and_context_and_on_start_identity_and_version() {
    let _limit = TimeLimit::of_this_test();
    let worker = Curious::default();
    let mut context = TestContext::new().request_id("r-1").build();
    context.tenant_id = Some("t-1".to_owned());
    let event = LambdaEvent::new(json!({"order": 7}), context);
    let report = handler(&worker).handle(event).await.unwrap();
    let expected = [
        r#"payload Some("{\"order\":7}")"#.to_owned(),
        r#"tenant Some("t-1")"#.to_owned(),
        format!("{} as under-test/test on curious", report.identity),
        r#"Idle: Some("lease")"#.to_owned(),
    ];
    assert_eq!(worker.take_seen(), expected);
}

#[tokio::test]
async fn an_event_that_asks_for_a_check_is_answered_with_a_verdict_and_any_other_with_a_report() {
    let _limit = TimeLimit::of_this_test();
    let worker = Curious::default();
    let handler = handler(&worker);
    let event = |payload: Value| LambdaEvent::new(payload, TestContext::new().build());
    let check = json!({"temporal_lambda_worker": {"check": true}});
    let verdict = handler.handle_or_check(event(check)).await.unwrap();
    assert!(verdict["findings"].is_array(), "{verdict}");
    let report = handler.handle_or_check(event(json!({"check": true}))).await.unwrap();
    assert_eq!(report["reason"], "idle", "{report}");
}

#[tokio::test]
async fn every_transition_is_observed_in_order_however_late_it_is_asked_for() {
    let _limit = TimeLimit::of_this_test();
    let handler = handler(&Curious::default());
    let mut transitions = handler.transitions();
    for request_id in ["r-1", "r-2"] {
        let event = TestContext::new().request_id(request_id).event(());
        handler.handle(event).await.unwrap();
    }
    let mut seen = Vec::new();
    while let Some(observed) = transitions.try_next() {
        seen.push(observed);
    }
    for request_id in ["r-1", "r-2"] {
        let of_it = seen.iter().filter(|it| it.request_id == request_id);
        let mut states: Vec<_> = of_it.map(|it| it.state).collect();
        states.dedup();
        use State::{Configuring, Connected, Draining, Polling, TornDown};
        assert_eq!(states, [Configuring, Connected, Polling, Draining, TornDown], "{request_id}");
    }
    assert!(seen.last().is_some_and(|it| it.step.is_torn_down()));
    drop(handler);
    assert_eq!(transitions.next().await, None, "nothing more can come");
}

#[tokio::test]
async fn callbacks_can_be_tested_without_a_handler() {
    let _limit = TimeLimit::of_this_test();
    let context = TestContext::new().request_id("r-1").build();
    let invocation = Invocation::from_context(&context);
    let version = WorkerDeploymentVersion::builder().deployment_name("d").build_id("b").build();
    let connection = MockFrontend::new().connection_options();
    let connection = Connection::connect(connection).await.unwrap();
    let client = Client::new(connection, ClientOptions::new("default").build()).unwrap();
    let mut worker = Curious::default();
    let running = RunningWorker::new(client, "orders", version, invocation.clone());
    worker.on_start(&running).await.unwrap();
    worker.lease.set("mine");
    let mut ending = Shutdown::new(Reason::DeadlineNear, invocation);
    ending.report.tasks.activity.abandoned = 1;
    worker.on_shutdown(&ending).await.unwrap();
    assert_eq!((&*ending.report.request_id, ending.report.reason), ("r-1", Some(ending.reason)));
    let expected = [
        format!("{} as d/b on orders", running.identity),
        "DeadlineNear: Some(\"mine\")".to_owned(),
    ];
    assert_eq!(worker.take_seen(), expected);
}

#[tokio::test]
async fn the_report_of_a_failed_invocation_can_be_taken_out_of_its_error() {
    let _limit = TimeLimit::of_this_test();
    let worker = |_: &mut LambdaWorkerConfig| Err::<(), BoxError>("no".into());
    let handler = UnderTest::new(worker, &MockFrontend::new()).handler().unwrap();
    let error = handler.handle(TestContext::new().request_id("r-1").event(())).await.unwrap_err();
    let report = error.report().clone();
    assert_eq!(report.reason, Some(Reason::Failed));
    assert_eq!(error.into_report(), report);
}

#[test]
fn a_handler_and_a_function_can_be_printed() {
    let version =
        || WorkerDeploymentVersion::builder().deployment_name("d").build_id("b-7").build();
    let handler = LambdaWorkerHandler::new(version(), Curious::default()).unwrap();
    let function = WorkerFunction::new(version(), Curious::default()).task_queue("orders");
    assert!(format!("{handler:?}").contains("b-7"));
    assert!(format!("{function:?}").contains("orders"));
    let invocation = Invocation::from_context(&Context::default());
    assert!(format!("{invocation:?}").contains("cold_start: true"));
}
