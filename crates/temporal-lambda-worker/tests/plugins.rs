//! The SDK's plugins and interceptors: they run as with the SDK alone, and what the library keeps for
//! itself holds whatever they do.

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::frontend::{ActivityStart, MockFrontend, Rpc};
use temporal_lambda_worker::{
    ConfigError, Fault, InvocationReport, LambdaWorkerConfig, LambdaWorkerError,
    WorkerDeploymentVersion,
};
use temporalio_client::{
    ClientOptions, ClientPlugin, ConnectionOptions, ErasedClientPlugin, PluginError,
};
use temporalio_sdk::interceptors::{
    ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next,
};
use temporalio_sdk::runtime::worker_tuner::{FixedSizeSlotSupplier, TunerHolder};
use temporalio_sdk::{ClientAndWorkerPlugin, SimplePlugin, WorkerOptions, WorkerPlugin};
use tokio::time::timeout;

use support::{BOUND, QUEUE, Subject, invocation};

/// An invocation with this last change in `configure`, and an activity to do.
async fn run(
    frontend: &MockFrontend,
    activity: &str,
    tweak: fn(&mut LambdaWorkerConfig),
) -> Result<InvocationReport, LambdaWorkerError> {
    frontend.schedule_activity(ActivityStart::new(QUEUE, activity, "task"));
    let subject = Subject::new(frontend.connection_options());
    subject.manners().tweak = tweak;
    let handler = subject.handler();
    timeout(BOUND, handler.handle(invocation("r-1").event(()))).await.expect("it ends")
}

fn with_plugin(config: &mut LambdaWorkerConfig, plugin: impl Into<ErasedClientPlugin>) {
    let namespace = config.client_options.namespace.clone();
    config.client_options = ClientOptions::new(namespace).plugin(plugin).build();
}

/// An interceptor around activities that never comes to an end.
struct NeverEnds;

impl ActivityInboundInterceptor for NeverEnds {
    fn execute_activity<'a>(
        &'a self,
        _: ExecuteActivityInput,
        _: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        std::future::pending().boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interceptor_that_never_ends_is_abandoned_with_its_activity() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let report = run(&frontend, "Work::quick", |config| {
        config.worker_options.activity_inbound_interceptor(NeverEnds);
    });
    let report = report.await.expect("nothing blocks a thread");
    assert_eq!(report.tasks.activity.abandoned, 1);
    assert_eq!(frontend.count(Rpc::RespondActivityTaskFailed), 1, "the next one has it at once");
}

/// Changes what the library keeps for itself, and leaves none of its interceptors.
struct Meddles;

impl ClientPlugin for Meddles {
    fn name(&self) -> &str {
        "meddles"
    }
}

impl WorkerPlugin for Meddles {
    fn name(&self) -> &str {
        "meddles"
    }

    fn configure_worker_options(&self, options: &mut WorkerOptions) -> Result<(), PluginError> {
        options.deployment_options.version =
            WorkerDeploymentVersion::builder().deployment_name("other").build_id("b9").build();
        options.deployment_options.use_worker_versioning = false;
        options.max_eager_activity_reservations_per_workflow_task = 5;
        options.graceful_shutdown_period = Some(Duration::from_secs(60));
        let replacing = SimplePlugin::builder("replaces interceptors")
            .activity_inbound_interceptors(|_: Option<Vec<Arc<dyn ActivityInboundInterceptor>>>| {
                Vec::new()
            })
            .build();
        replacing.configure_worker_options(options)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn version_and_grace_period_hold_whatever_a_worker_plugin_does() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let report = run(&frontend, "Work::polite", |config| {
        with_plugin(config, ClientAndWorkerPlugin::new(Meddles));
    });
    let report = report.await.expect("it is healthy");
    for poll in frontend.polls() {
        let version = poll.deployment_version.expect("a version");
        assert_eq!((&*version.deployment_name, &*version.build_id), ("faults", "b1"));
    }
    // Cancelled in time, so the grace period is the one that was settled.
    assert_eq!(report.tasks.activity.cancelled, 1, "{report:?}");
    assert_eq!(report.tasks.activity.abandoned, 0, "{report:?}");
}

/// Has one activity at a time, by a tuner.
struct Tunes;

impl WorkerPlugin for Tunes {
    fn name(&self) -> &str {
        "tunes"
    }

    fn configure_worker_options(&self, options: &mut WorkerOptions) -> Result<(), PluginError> {
        let slots = FixedSizeSlotSupplier::new;
        options.tuner = TunerHolder::builder()
            .workflow_task_slot_supplier(slots(10))
            .activity_task_slot_supplier(slots(1))
            .local_activity_task_slot_supplier(slots(1))
            .nexus_task_slot_supplier(slots(1))
            .build()
            .into();
        Ok(())
    }
}

impl ClientPlugin for Tunes {
    fn name(&self) -> &str {
        "tunes"
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tuner_of_a_worker_plugin_is_in_force_instead_of_the_limits() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    for id in ["second", "third"] {
        frontend.schedule_activity(ActivityStart::new(QUEUE, "Work::polite", id));
    }
    let report = run(&frontend, "Work::polite", |config| {
        config.limits.activities = 3;
        with_plugin(config, ClientAndWorkerPlugin::new(Tunes));
    });
    let report = report.await.expect("it is healthy");
    // Each lasts until it is cancelled at the end.
    assert_eq!(report.tasks.activity.cancelled, 1, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_registers_is_served() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let report = run(&frontend, "Work::quick", |config| {
        let activities = config.worker_options.activities();
        let workflows = config.worker_options.workflows();
        let (queue, grace) = (QUEUE, config.worker_options.graceful_shutdown_period);
        let deployment = config.worker_options.deployment_options.clone();
        config.worker_options = WorkerOptions::new(queue).deployment_options(deployment).build();
        config.worker_options.graceful_shutdown_period = grace;
        let plugin = SimplePlugin::builder("registers").activities(activities);
        with_plugin(config, plugin.workflows(workflows).build());
    });
    let report = report.await.expect("it is healthy");
    assert_eq!(report.tasks.activity.completed, 1, "{report:?}");
}

/// Changes connection and client, as a plugin for credentials would.
struct Connects;

impl ClientPlugin for Connects {
    fn name(&self) -> &str {
        "connects"
    }

    fn configure_connection_options(
        &self,
        options: &mut ConnectionOptions,
    ) -> Result<(), PluginError> {
        let headers = options.headers.get_or_insert_default();
        headers.insert("added-by".to_owned(), "a-plugin".to_owned());
        options.identity.push_str("plugged");
        Ok(())
    }

    fn configure_client_options(&self, options: &mut ClientOptions) -> Result<(), PluginError> {
        options.namespace.push_str("ault");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_configure_connection_and_client_once_before_anybody_connects() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let report = run(&frontend, "Work::quick", |config| {
        config.client_options.namespace = "def".to_owned();
        with_plugin(config, ErasedClientPlugin::new(Connects));
    });
    report.await.expect("it is healthy");
    let polls = frontend.polls();
    assert!(!polls.is_empty());
    for poll in polls {
        assert_eq!(poll.namespace, "default", "once");
        assert_eq!(poll.identity, "plugged");
    }
}

struct Errs;

impl ClientPlugin for Errs {
    fn name(&self) -> &str {
        "errs"
    }

    fn configure_connection_options(&self, _: &mut ConnectionOptions) -> Result<(), PluginError> {
        Err(PluginError::new("no credentials today"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_errs_is_named() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let report = run(&frontend, "Work::quick", |config| {
        with_plugin(config, ErasedClientPlugin::new(Errs));
    });
    let error = report.await.expect_err("it cannot connect");
    let fault = error.fault();
    assert!(
        matches!(fault, Fault::Configuration(ConfigError::Plugin { plugin, .. }) if plugin == "errs"),
        "{fault:?}"
    );
    assert!(error.message().contains("no credentials today"), "{error:?}");
    assert!(frontend.seen().is_empty());
}

struct Panics;

impl ClientPlugin for Panics {
    fn name(&self) -> &str {
        "panics"
    }

    fn configure_connection_options(&self, _: &mut ConnectionOptions) -> Result<(), PluginError> {
        panic!("no plugin today")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_panics_fails_its_invocation_and_hooks_run_all_the_same() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let report = run(&frontend, "Work::quick", |config| {
        with_plugin(config, ErasedClientPlugin::new(Panics));
    });
    let error = report.await.expect_err("it cannot connect");
    assert!(
        matches!(error.fault(), Fault::Panicked { message, .. } if message == "no plugin today"),
        "{error:?}"
    );
    assert!(!error.is_poisoned());
    assert_eq!(error.report().hooks.len(), 2, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_of_worker_options_are_refused_by_name() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let report = run(&frontend, "Work::quick", |config| {
        let old = &config.worker_options;
        let options = WorkerOptions::new(QUEUE).worker_plugin(Meddles);
        let mut options = options.deployment_options(old.deployment_options.clone()).build();
        options.graceful_shutdown_period = old.graceful_shutdown_period;
        options.register_workflow::<support::BlocksItsThread>().expect("it is new");
        config.worker_options = options;
    });
    let error = report.await.expect_err("they would run last");
    let fault = error.fault();
    assert!(
        matches!(fault, Fault::Configuration(ConfigError::WorkerPlugins { names, .. }) if names == "meddles"),
        "{fault:?}"
    );
    assert!(frontend.polls().is_empty());
}
