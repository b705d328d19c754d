//! What is left when futures are dropped and invocations are cancelled, at any moment.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lambda_runtime::Service as _;
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::frontend::{MockFrontend, Rpc};
use temporal_lambda_worker::lifecycle::{State, Step};
use temporal_lambda_worker::report::CallbackOutcome;
use temporal_lambda_worker::{
    BoxError, Fault, LambdaWorker, LambdaWorkerConfig, LambdaWorkerHandler, Reason, Rotating,
    Shutdown, WorkerDeploymentVersion, async_trait,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use support::{BOUND, Gate, Subject, invocation};

const ALL: [&str; 5] = ["configure", "on_start", "first hook", "second hook", "on_shutdown"];

/// Waits until nothing is under way any more.
async fn over(handler: &LambdaWorkerHandler<impl LambdaWorker>) {
    let over = async {
        while handler.active_invocations() != 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(BOUND, over).await.expect("it ends by itself");
}

/// The names of hooks and callbacks are these, but `on_start` need not have been reached.
fn is_whole(log: &[&str]) -> bool {
    let without_on_start: Vec<_> = ALL.into_iter().filter(|it| *it != "on_start").collect();
    log == ALL || log == without_on_start
}

#[tokio::test(flavor = "multi_thread")]
async fn a_future_that_is_dropped_after_any_time_leaves_no_worker_polling() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let subject = Subject::new(frontend.connection_options());
    let handler = subject.handler();
    for millis in 0..40 {
        let name = format!("dropped after {millis} ms");
        let handling = handler.handle(invocation(&name).event(()));
        let ended = timeout(Duration::from_millis(millis), handling).await;
        assert!(ended.is_err(), "an invocation lasts longer");
        over(&handler).await;
        let log = subject.log_of(&name);
        assert!(is_whole(&log), "{name}: {log:?}");
        assert_eq!(subject.told(&name).expect("on_shutdown ran").reason, Reason::Cancelled);
    }
    frontend.wait_until(|it| it.open_polls().is_empty()).await.expect("nobody polls");
    assert!(!handler.is_poisoned());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_call_that_is_dropped_leaves_no_worker_polling() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let subject = Subject::new(frontend.connection_options());
    let mut handler = subject.handler();
    let calling = tokio::spawn(handler.call(invocation("call").event("any payload")));
    frontend.wait_until(|it| it.open_polls().len() >= 2).await.expect("it polls");
    calling.abort();
    frontend.wait_until(|it| it.open_polls().is_empty()).await.expect("nobody polls");
    over(&handler).await;
    assert_eq!(subject.log_of("call"), ALL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_dropped_runs_on_shutdown_all_the_same() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    frontend.on(Rpc::DescribeNamespace).hang().always();
    let subject = Subject::new(frontend.connection_options());
    let handler = subject.handler();
    let checking = tokio::spawn({
        let context = invocation("check").build();
        let handler = handler.clone();
        async move { handler.check(&context).await }
    });
    frontend.wait_until(|it| it.count(Rpc::DescribeNamespace) > 0).await.expect("it connects");
    checking.abort();
    over(&handler).await;
    let log = subject.log_of("check");
    assert_eq!(log.first(), Some(&"configure"));
    assert_eq!(log.last(), Some(&"on_shutdown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handler_may_be_dropped_before_its_futures() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let subject = Subject::new(frontend.connection_options());
    let handler = subject.handler();
    let handling = tokio::spawn(handler.handle(invocation("orphan").event(())));
    drop(handler);
    let report = timeout(BOUND, handling).await.expect("it ends").expect("no panic");
    assert_eq!(report.expect("it is healthy").reason, Some(Reason::DeadlineNear));
    assert_eq!(subject.log_of("orphan"), ALL);
}

/// Adds its only hook late: when the gate opens.
#[derive(Clone)]
struct Slow {
    gate: Gate,
    said: UnboundedSender<&'static str>,
    /// Counts the clones.
    alive: Arc<()>,
}

impl Slow {
    fn new() -> (Self, UnboundedReceiver<&'static str>) {
        let (said, heard) = unbounded_channel();
        (Self { gate: Gate::default(), said, alive: Arc::default() }, heard)
    }

    fn handler(&self) -> LambdaWorkerHandler<Self> {
        let version = WorkerDeploymentVersion::builder().deployment_name("d").build_id("b").build();
        LambdaWorkerHandler::new(version, self.clone()).expect("threads start")
    }
}

#[async_trait]
impl LambdaWorker for Slow {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        let _ = self.said.send("configure");
        // Without an await point: nobody can cut this short.
        self.gate.block();
        let said = self.said.clone();
        config.shutdown_hooks.add("late", move |_| async move {
            let _ = said.send("late hook");
            Ok(())
        });
        std::future::pending().await
    }

    async fn on_shutdown(&mut self, ending: &Shutdown) -> Result<(), BoxError> {
        assert_eq!(ending.report.hooks.len(), 1, "it is told of the hook");
        let _ = self.said.send("on_shutdown");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_configure_adds_after_the_cancellation_runs_before_on_shutdown() {
    let _limit = TimeLimit::of_this_test();
    let (worker, mut heard) = Slow::new();
    let handler = worker.handler();
    let handling = tokio::spawn(handler.handle(invocation("late").event(())));
    assert_eq!(heard.recv().await, Some("configure"));
    handler.shutdown_token().cancel();
    // The lifecycle has counted the hooks by then: none.
    let mut watch = handler.watch();
    watch.wait_for(|it| it.step == Step::Farewell).await.expect("it lives");
    worker.gate.open();
    let report = timeout(BOUND, handling).await.expect("it ends").expect("no panic");
    let report = report.expect("cancelling is no failure");
    assert_eq!(heard.recv().await, Some("late hook"));
    assert_eq!(heard.recv().await, Some("on_shutdown"));
    assert_eq!(report.hooks.len(), 1);
    assert_eq!((&*report.hooks[0].name, &report.hooks[0].outcome), ("late", &CallbackOutcome::Ok));
    assert_eq!(report.on_shutdown, Some(CallbackOutcome::Ok));
}

/// `configure` has the struct for longer than the invocation lasts.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_run_in_its_invocation_does_not_run_after_it() {
    let _limit = TimeLimit::of_this_test();
    let (worker, mut heard) = Slow::new();
    let handler = worker.handler();
    let event = invocation("held").lasting(Duration::from_millis(300)).event(());
    let error =
        timeout(BOUND, handler.handle(event)).await.expect("it ends").expect_err("too slow");
    assert!(error.is_poisoned());
    assert_eq!(error.report().on_shutdown, Some(CallbackOutcome::TimedOut));
    assert_eq!(heard.recv().await, Some("configure"));
    worker.gate.open();
    let let_go = async {
        // This test's and the handler's; the invocation had one, too.
        while Arc::strong_count(&worker.alive) > 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(BOUND, let_go).await.expect("it lets go of the struct");
    assert!(heard.is_empty(), "{:?}", heard.recv().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn configure_comes_before_on_shutdown_though_both_begin_at_once() {
    let _limit = TimeLimit::of_this_test();
    let subject = Subject::new(MockFrontend::new().connection_options());
    let handler = subject.handler();
    handler.shutdown_token().cancel();
    for number in 0..300 {
        let name = format!("r-{number}");
        let report = handler.handle(invocation(&name).event(())).await.expect("no failure");
        assert_eq!(report.reason, Some(Reason::Cancelled));
        let log = subject.log_of(&name);
        assert_eq!(log, ["configure", "first hook", "second hook", "on_shutdown"], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_goodbye_is_lost_takes_its_polls_with_it() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    frontend.on(Rpc::ShutdownWorker).hang().always();
    let subject = Subject::new(frontend.connection_options());
    let handler = subject.handler();
    let handling = tokio::spawn(handler.handle(invocation("lost").event(())));
    frontend.wait_until(|it| it.open_polls().len() >= 2).await.expect("it polls");
    handling.abort();
    let mut watch = handler.watch();
    watch.wait_for(|it| it.state == State::TornDown).await.expect("it lives");
    frontend.wait_until(|it| it.open_polls().is_empty()).await.expect("nobody polls");
    assert!(!handler.is_poisoned());
}

/// There is no time for any of them, so each is cut short at once: perhaps before it has begun, but
/// it begins all the same, and in its order.
#[tokio::test(flavor = "multi_thread")]
async fn callbacks_begin_in_their_order_though_there_is_no_time_for_them() {
    let _limit = TimeLimit::of_this_test();
    let subject = Subject::new(MockFrontend::new().connection_options());
    let mut handler = subject.handler();
    for number in 0..1_000 {
        if handler.is_poisoned() {
            // This machine was busy.
            handler = subject.handler();
        }
        let name = format!("r-{number}");
        let event = invocation(&name).lasting(Duration::from_millis(102)).event(());
        let error = handler.handle(event).await.expect_err("too little time");
        let expected: &[_] = match error.fault() {
            // Very busy.
            Fault::Late { .. } => &[],
            _ => &["configure", "first hook", "second hook", "on_shutdown"],
        };
        let begun = async {
            while subject.log_of(&name).len() < expected.len() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(BOUND, begun).await.expect("they begin");
        assert_eq!(subject.log_of(&name), expected, "{name}");
    }
}

#[tokio::test]
async fn a_fetch_that_is_dropped_is_begun_again_by_the_next_caller() {
    let _limit = TimeLimit::of_this_test();
    let fetches = Arc::new(AtomicU32::new(0));
    let count = fetches.clone();
    let value = Rotating::new(Duration::from_secs(60), move || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if number == 0 {
                std::future::pending::<()>().await;
            }
            Ok(number)
        }
    });
    assert!(timeout(Duration::from_millis(20), value.get()).await.is_err());
    assert_eq!(value.get().await.expect("it is fetched"), 1);
    assert_eq!(value.get().await.expect("it is fresh"), 1);
    assert_eq!(fetches.load(Ordering::SeqCst), 2);
}

/// Every public function that gives a future says what happens when it is dropped.
#[test]
fn every_public_async_function_documents_its_cancel_safety() {
    let mut sources = Vec::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut sources);
    let (mut found, mut silent) = (0, Vec::new());
    for path in sources {
        let text = std::fs::read_to_string(&path).expect("a source file");
        let lines: Vec<_> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let line = line.trim_start();
            let signature = lines[index..].iter().take(8).copied().collect::<Vec<_>>().join(" ");
            let signature = signature.split(['{', ';']).next().unwrap_or_default();
            let gives_future = line.starts_with("pub async fn")
                || (line.starts_with("pub fn") && signature.contains("-> impl Future<"));
            if !gives_future {
                continue;
            }
            found += 1;
            let docs = lines[..index].iter().rev().map(|it| it.trim_start());
            let mut docs = docs.take_while(|it| it.starts_with("///") || it.starts_with("#["));
            if !docs.any(|it| it.contains("# Cancel safety")) {
                silent.push(format!("{}: {line}", path.display()));
            }
        }
    }
    assert!(found >= 5, "only {found} were found: is this still looking at the right files?");
    assert!(silent.is_empty(), "{silent:#?}");
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|it| it == "rs") {
            sources.push(path);
        }
    }
}
