//! What the chapter on testing promises of the testkit's parts, beyond what its examples show.

#[path = "support/nothing.rs"]
mod nothing;

use std::time::Duration;

use nothing::Nothing;
use proptest::prelude::*;
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::UnderTest;
use temporal_lambda_testkit::context::{DEFAULT_ARN, TestContext};
use temporal_lambda_testkit::frontend::{ActivityStart, MockFrontend};
use temporal_lambda_testkit::lifecycle::scenarios;
use temporal_lambda_worker::lifecycle::{Effect, Step};
use temporal_lambda_worker::{
    BoxError, Fault, LambdaWorker, LambdaWorkerConfig, Reason, RunningWorker, Shutdown, async_trait,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

#[derive(Clone)]
struct Talkative(UnboundedSender<&'static str>);

#[async_trait]
impl LambdaWorker for Talkative {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        config.worker_options.task_queue = "talk".to_owned();
        config.worker_options.register_activities(Nothing);
        // `UnderTest` has the last word on where it connects to.
        config.connection_options.api_key = Some("for the real one".to_owned());
        self.0.send("configure")?;
        Ok(())
    }

    async fn on_start(&mut self, _: &RunningWorker) -> Result<(), BoxError> {
        self.0.send("on_start")?;
        Ok(())
    }

    async fn on_shutdown(&mut self, _: &Shutdown) -> Result<(), BoxError> {
        self.0.send("on_shutdown")?;
        Ok(())
    }
}

#[tokio::test]
async fn under_test_runs_every_callback_of_the_worker_on_the_frontend() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let (said, mut heard) = unbounded_channel();
    let under_test = UnderTest::new(Talkative(said), &frontend).until_idle(Duration::ZERO);
    let handler = under_test.handler().expect("threads start");
    let start = ActivityStart::new("talk", Nothing::nothing.name(), "nothing");
    frontend.schedule_activity(start);
    let event = TestContext::new().request_id("r-1").event("a payload");
    let report = handler.handle(event).await.expect("it is healthy");
    assert_eq!(report.reason, Some(Reason::Idle));
    assert_eq!(report.tasks.activity.completed, 1);
    assert_eq!(report.identity, format!("r-1@{DEFAULT_ARN}"));
    assert_eq!((&*report.deployment_name, &*report.build_id), ("under-test", "test"));
    for expected in ["configure", "on_start", "on_shutdown"] {
        assert_eq!(heard.recv().await, Some(expected));
    }
    assert!(frontend.polls().iter().all(|poll| poll.identity == report.identity));
}

#[tokio::test]
async fn under_test_connects_where_it_is_told() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let mut served = frontend.serve().await.expect("a port");
    let (said, _heard) = unbounded_channel();
    let under_test = UnderTest::connecting(Talkative(said), served.connection_options());
    let handler = under_test.until_idle(Duration::ZERO).handler().expect("threads start");
    handler.handle(TestContext::new().event(())).await.expect("it is served");
    served.stop().await;
    let error = handler.handle(TestContext::new().event(())).await.expect_err("it is gone");
    assert!(matches!(error.fault(), Fault::Unreachable { .. }), "{error}");
}

proptest! {
    // A failure prints what happened; no file is needed to have it again.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scenarios_hold_the_designs_invariants(scenario in scenarios()) {
        let trace = scenario.run();
        let count = |effect| trace.count(effect);
        prop_assert!(count(Effect::Configure) <= 1);
        prop_assert!(count(Effect::OnStart) <= count(Effect::Connect));
        prop_assert_eq!(count(Effect::OnShutdown), count(Effect::Configure), "{}", trace);
        // A worker whose creation failed is none.
        let workers = count(Effect::OnStart)..=count(Effect::CreateWorker);
        prop_assert!(workers.contains(&count(Effect::Finalize)), "{trace}");
        for hook in 0..scenario.hooks {
            let runs = count(Effect::RunHook(hook));
            prop_assert_eq!(runs, count(Effect::Configure), "hook {} {}", hook, trace);
        }
        if let (Some(poll), Some(stop)) =
            (trace.first(Effect::Poll), trace.machine.stop_at())
        {
            prop_assert!(poll < stop, "{trace}");
        }
        prop_assert!(trace.machine.step().is_torn_down());
        let cold = trace.moves().first().map(|it| it.from == Step::ColdStart);
        // An event that comes too late to a warm environment moves nothing.
        prop_assert!(cold.is_none_or(|it| it == scenario.cold), "{trace}");
    }
}
