//! The lifecycle as a user sees it, of the real handler with the real SDK: every move is traced,
//! every move stands in the public table, and the watch channel shows the last one.

#[path = "support/nothing.rs"]
mod nothing;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nothing::Nothing;
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::context::TestContext;
use temporal_lambda_testkit::frontend::MockFrontend;
use temporal_lambda_worker::lifecycle::table::{Cell, look_up};
use temporal_lambda_worker::lifecycle::{Event, State, Step};
use temporal_lambda_worker::{
    BoxError, LIFECYCLE_TARGET, LambdaWorkerConfig, LambdaWorkerHandler, Reason,
    WorkerDeploymentVersion,
};
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// Far more than anything that is waited for takes.
const BOUND: Duration = Duration::from_secs(30);

/// A worker on `frontend` that ends when it was idle for a moment.
fn handler(
    frontend: &MockFrontend,
    idle: Option<Duration>,
) -> LambdaWorkerHandler<
    impl Fn(&mut LambdaWorkerConfig) -> Result<(), BoxError> + Clone + Send + Sync + 'static,
> {
    let options = frontend.connection_options();
    let version =
        WorkerDeploymentVersion::builder().deployment_name("traced").build_id("b").build();
    let configure = move |config: &mut LambdaWorkerConfig| {
        config.connection_options = options.clone();
        config.worker_options.task_queue = "traced".to_owned();
        config.worker_options.register_activities(Nothing);
        config.idle_timeout = idle;
        config.minimum_stay = Duration::from_millis(100);
        config.shutdown_hooks.add("hook", |_| async { Ok(()) });
        Ok(())
    };
    LambdaWorkerHandler::new(version, configure).expect("threads start")
}

/// The fields of a traced move that are text.
const FIELDS: [&str; 5] = ["request_id", "from", "to", "state", "event"];
type Move = [String; FIELDS.len()];

/// A tracing layer that keeps the moves.
#[derive(Clone, Default)]
struct Moves(Arc<Mutex<Vec<Move>>>);

impl Moves {
    /// For the whole process: a subscriber of one thread alone may miss what others saw first.
    fn everywhere() -> &'static Self {
        static MOVES: OnceLock<Moves> = OnceLock::new();
        MOVES.get_or_init(|| {
            let moves = Self::default();
            let subscriber = tracing_subscriber::registry().with(moves.clone());
            tracing::subscriber::set_global_default(subscriber).expect("nobody else sets one");
            moves
        })
    }

    fn of(&self, request_id: &str) -> Vec<Move> {
        let moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moves.iter().filter(|it| it[0] == request_id).cloned().collect()
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Moves {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != LIFECYCLE_TARGET {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        assert!(fields.elapsed, "a move without its time");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fields.all);
    }
}

#[derive(Default)]
struct Fields {
    all: Move,
    elapsed: bool,
}

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn fmt::Debug) {}

    fn record_u64(&mut self, field: &tracing::field::Field, _: u64) {
        self.elapsed |= field.name() == "elapsed_ms";
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        if let Some(place) = FIELDS.iter().position(|it| *it == field.name()) {
            self.all[place] = value.to_owned();
        }
    }
}

fn step(name: &str) -> Step {
    Step::all().find(|step| step.name() == name).expect("a step's name")
}

fn event(name: &str) -> Event {
    Event::all().find(|event| event.name() == name).expect("an event's name")
}

#[tokio::test]
async fn every_traced_move_stands_in_the_table() {
    let _limit = TimeLimit::of_this_test();
    let moves = Moves::everywhere();
    let frontend = MockFrontend::new();
    let handler = handler(&frontend, Some(Duration::from_millis(100)));
    let watch = handler.watch();
    assert_eq!(watch.borrow().state, State::ColdStart);
    for first in ["ColdStart", "Healthy"] {
        let invocation = handler.handle(TestContext::new().event(()));
        let report = tokio::time::timeout(BOUND, invocation).await;
        let report = report.expect("it ends").expect("it succeeds");
        assert_eq!(report.reason, Some(Reason::Idle));
        assert_eq!(watch.borrow().state, State::TornDown);
        assert_eq!(watch.borrow().request_id, report.request_id);
        let moves = moves.of(&report.request_id);
        for [_, from, to, state, what] in &moves {
            let to = step(to);
            assert_eq!(look_up(step(from), event(what)), Cell::To(to), "{from} {what}");
            assert_eq!(to.state().name(), state);
        }
        let mut way: Vec<_> = moves.iter().map(|[_, _, to, ..]| to.as_str()).collect();
        way.insert(0, &moves[0][1]);
        let expected = [
            first,
            "Configuring",
            "Connecting",
            "Creating",
            "Starting",
            "Polling",
            "Quiescing",
            "Stopping",
            "Hooks",
            "Farewell",
            "Settling",
            "Healthy",
        ];
        assert_eq!(way, expected);
    }
}

/// Whenever the future is dropped, the invocation ends in the background, and nothing polls.
#[tokio::test]
async fn a_dropped_future_leaves_nothing_polling() {
    let _limit = TimeLimit::of_this_test();
    Moves::everywhere();
    let frontend = MockFrontend::new();
    let handler = handler(&frontend, None);
    for reached in [Step::Configuring, Step::Connecting, Step::Polling] {
        let mut watch = handler.watch();
        let request_id = format!("dropped in {reached:?}");
        let event = TestContext::new().request_id(&request_id).event(());
        let invocation = tokio::spawn(handler.handle(event));
        let seen = watch.wait_for(|it| it.request_id == request_id && it.step >= reached);
        drop(tokio::time::timeout(BOUND, seen).await.expect("it gets there").expect("it is there"));
        invocation.abort();
        let over = watch.wait_for(|it| it.state == State::TornDown);
        drop(tokio::time::timeout(BOUND, over).await.expect("it ends").expect("it is there"));
        assert!(!handler.is_poisoned());
        assert!(frontend.open_polls().is_empty(), "{:?}", frontend.open_polls());
    }
}
