//! The SDK's own metrics on a meter of the user's.

#[path = "support/nothing.rs"]
mod nothing;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::UnderTest;
use temporal_lambda_testkit::context::TestContext;
use temporal_lambda_testkit::frontend::MockFrontend;
use temporal_lambda_worker::{BoxError, LambdaWorkerConfig};
use temporalio_common::telemetry::metrics::{
    CoreMeter, Counter, Gauge, GaugeF64, Histogram, HistogramDuration, HistogramF64,
    MetricAttributes, MetricParameters, NewAttributes, NoOpCoreMeter, UpDownCounter,
};

use nothing::Nothing;

/// Measures nothing, but writes down which counters it is asked for.
#[derive(Clone, Debug, Default)]
struct NotesCounters(Arc<Mutex<Vec<String>>>);

impl CoreMeter for NotesCounters {
    fn counter(&self, params: MetricParameters) -> Counter {
        self.0.lock().expect("nobody panicked").push(params.name.to_string());
        NoOpCoreMeter.counter(params)
    }

    fn new_attributes(&self, attributes: NewAttributes) -> MetricAttributes {
        NoOpCoreMeter.new_attributes(attributes)
    }

    fn extend_attributes(&self, old: MetricAttributes, new: NewAttributes) -> MetricAttributes {
        NoOpCoreMeter.extend_attributes(old, new)
    }

    fn histogram(&self, params: MetricParameters) -> Histogram {
        NoOpCoreMeter.histogram(params)
    }

    fn histogram_f64(&self, params: MetricParameters) -> HistogramF64 {
        NoOpCoreMeter.histogram_f64(params)
    }

    fn histogram_duration(&self, params: MetricParameters) -> HistogramDuration {
        NoOpCoreMeter.histogram_duration(params)
    }

    fn gauge(&self, params: MetricParameters) -> Gauge {
        NoOpCoreMeter.gauge(params)
    }

    fn gauge_f64(&self, params: MetricParameters) -> GaugeF64 {
        NoOpCoreMeter.gauge_f64(params)
    }

    fn up_down_counter(&self, params: MetricParameters) -> UpDownCounter {
        NoOpCoreMeter.up_down_counter(params)
    }
}

#[tokio::test]
async fn the_sdks_own_metrics_go_to_the_users_meter() {
    let _limit = TimeLimit::of_this_test();
    let meter = NotesCounters::default();
    let given = meter.clone();
    let worker = move |config: &mut LambdaWorkerConfig| -> Result<(), BoxError> {
        config.set_task_queue("measured").register_activities(Nothing);
        config.set_core_meter(Arc::new(given.clone()));
        Ok(())
    };
    let under_test = UnderTest::new(worker, &MockFrontend::new()).until_idle(Duration::ZERO);
    let handler = under_test.handler().expect("threads start");
    handler.handle(TestContext::new().event(())).await.expect("it is healthy");
    let counters = meter.0.lock().unwrap();
    assert!(counters.iter().any(|name| name == "temporal_worker_start"), "{counters:?}");
}
