//! `Clone` and `Drop` of the user's struct go wrong: the caller's runtime goes on, and the invocation ends
//! in time.

#[path = "support/nothing.rs"]
mod nothing;
mod support;

use std::sync::Arc;

use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::frontend::MockFrontend;
use temporal_lambda_worker::{
    BoxError, Fault, InvocationReport, LambdaWorker, LambdaWorkerConfig, LambdaWorkerError,
    LambdaWorkerHandler, WorkerDeploymentVersion, async_trait,
};
use temporalio_client::ConnectionOptions;
use tokio::time::timeout;

use nothing::Nothing;
use support::{BOUND, Gate, QUEUE, invocation};

/// What the struct does in `Clone` and in `Drop`.
type Code = fn(&Gate);

/// A worker of which the prototype behaves, so that the handler can be dropped. Its clones do not.
struct Careless {
    clone: Code,
    drop: Code,
    is_clone: bool,
    connection_options: Arc<ConnectionOptions>,
    gate: Gate,
}

impl Clone for Careless {
    fn clone(&self) -> Self {
        (self.clone)(&self.gate);
        Self {
            is_clone: true,
            connection_options: self.connection_options.clone(),
            gate: self.gate.clone(),
            ..*self
        }
    }
}

impl Drop for Careless {
    fn drop(&mut self) {
        if self.is_clone {
            (self.drop)(&self.gate);
        }
    }
}

#[async_trait]
impl LambdaWorker for Careless {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        config.connection_options = (*self.connection_options).clone();
        config.set_task_queue(QUEUE).register_activities(Nothing);
        config.worker_options.graceful_shutdown_period = Some(support::GRACE);
        config.shutdown_deadline_buffer = Some(support::BUFFER);
        Ok(())
    }
}

type Outcome = Result<InvocationReport, LambdaWorkerError>;

/// What comes of an invocation, and whether the environment can have another.
async fn invoke(clone: Code, drop: Code) -> (Outcome, bool) {
    let frontend = MockFrontend::new();
    let gate = Gate::default();
    let worker = Careless {
        clone,
        drop,
        is_clone: false,
        connection_options: Arc::new(frontend.connection_options()),
        gate: gate.clone(),
    };
    let version =
        WorkerDeploymentVersion::builder().deployment_name("careless").build_id("1").build();
    let handler = LambdaWorkerHandler::new(version, worker).expect("threads start");
    // This test has one thread: if the code ran here, nothing would end.
    let handled = handler.handle(invocation("r-1").event(()));
    let outcome = timeout(BOUND, handled).await.expect("it ends");
    gate.open();
    (outcome, !handler.is_poisoned())
}

#[tokio::test]
async fn a_clone_that_panics_fails_its_invocation_and_leaves_a_healthy_environment() {
    let _limit = TimeLimit::of_this_test();
    let (outcome, is_healthy) = invoke(|_| panic!("no clone"), |_| {}).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error.fault(), Fault::Panicked { message, .. } if message == "no clone"));
    assert!(is_healthy);
}

#[tokio::test]
async fn a_clone_that_blocks_its_thread_poisons_the_environment_and_keeps_nobody_waiting() {
    let _limit = TimeLimit::of_this_test();
    let (outcome, is_healthy) = invoke(Gate::block, |_| {}).await;
    assert!(matches!(outcome.as_ref().unwrap_err().fault(), Fault::OutOfTime { .. }));
    assert!(!is_healthy);
}

#[tokio::test]
async fn a_drop_that_panics_leaves_the_report_as_it_is_and_a_healthy_environment() {
    let _limit = TimeLimit::of_this_test();
    let (outcome, is_healthy) = invoke(|_| {}, |_| panic!("no drop")).await;
    outcome.expect("the invocation was over");
    assert!(is_healthy);
}

#[tokio::test]
async fn a_drop_that_blocks_its_thread_poisons_the_environment_and_keeps_nobody_waiting() {
    let _limit = TimeLimit::of_this_test();
    let (outcome, is_healthy) = invoke(|_| {}, Gate::block).await;
    assert!(outcome.unwrap_err().is_poisoned());
    assert!(!is_healthy);
}
