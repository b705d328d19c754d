//! Tracing stands beside the interceptors and plugins that are the user's own.

#[path = "support/nothing.rs"]
mod nothing;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nothing::Nothing;
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::UnderTest;
use temporal_lambda_testkit::context::TestContext;
use temporal_lambda_testkit::frontend::{ActivityStart, MockFrontend};
use temporal_lambda_testkit::otlp::OtlpReceiver;
use temporal_lambda_worker::otel::{self, OtelOptions};
use temporal_lambda_worker::{BoxError, LambdaWorkerConfig};
use temporalio_client::{ClientOptions, ClientPlugin, ErasedClientPlugin, PluginError};
use temporalio_sdk::interceptors::{
    ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next,
};

/// Counts the activities that it is around, or the clients that it configures.
struct Counts(Arc<AtomicUsize>);

impl ActivityInboundInterceptor for Counts {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        self.0.fetch_add(1, Ordering::SeqCst);
        next.run(input)
    }
}

impl ClientPlugin for Counts {
    fn name(&self) -> &str {
        "counts"
    }

    fn configure_client_options(&self, _: &mut ClientOptions) -> Result<(), PluginError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn an_interceptor_and_a_plugin_are_called_and_the_activity_has_a_span() {
    let _limit = TimeLimit::of_this_test();
    let (frontend, collector) = (MockFrontend::new(), OtlpReceiver::start().await.unwrap());
    let options = OtelOptions::default().endpoint(collector.endpoint());
    let (activities, clients) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (around, configured) = (activities.clone(), clients.clone());
    let worker = move |config: &mut LambdaWorkerConfig| -> Result<(), BoxError> {
        config.set_task_queue("traced").register_activities(Nothing);
        config.worker_options.activity_inbound_interceptor(Counts(around.clone()));
        let plugin = ErasedClientPlugin::new(Counts(configured.clone()));
        config.client_options = ClientOptions::new("default").plugin(plugin).build();
        Ok(otel::apply_defaults(config, options.clone())?)
    };
    let handler = UnderTest::new(worker, &frontend).until_idle(Duration::ZERO).handler().unwrap();
    frontend.schedule_activity(ActivityStart::new("traced", "Nothing::nothing", "it"));
    handler.handle(TestContext::new().event(())).await.unwrap();
    assert_eq!(activities.load(Ordering::SeqCst), 1);
    assert_eq!(clients.load(Ordering::SeqCst), 1);
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.name.contains("Nothing::nothing")), "{spans:?}");
}
