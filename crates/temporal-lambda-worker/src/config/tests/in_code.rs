//! Settings that the code gives: those that override the file and the environment, and those that they override.

use temporalio_client::{ClientOptions, ConnectionOptions};
use temporalio_sdk::WorkerOptions;
use temporalio_sdk::runtime::worker_tuner::{FixedSizeSlotSupplier, TunerHolder};

use super::*;

struct Work;

#[temporalio_macros::activities]
impl Work {
    #[activity]
    #[allow(dead_code, reason = "the macro makes a constant for workflows to call by")]
    async fn work(
        _context: temporalio_sdk::activities::ActivityContext,
    ) -> Result<(), temporalio_sdk::activities::ActivityError> {
        Ok(())
    }
}

fn origin() -> Origin {
    Origin::of(WorkerDeploymentVersion::builder().deployment_name("d").build_id("b").build())
}

fn load(place: &Place, origin: &Origin) -> Result<LambdaWorkerConfig, ConfigError> {
    let variables = Variables::from_iter(place.variables.clone());
    let context = temporal_lambda_testkit::context::TestContext::new().build();
    let invocation = Invocation::arriving(&context, true);
    LambdaWorkerConfig::load(origin, &variables, invocation, ShutdownHooks::default())
}

fn limits_in_force(config: &LambdaWorkerConfig) -> Limits {
    Limits::of_tuner(&config.worker_options.tuner).expect("four fixed numbers")
}

#[tokio::test]
async fn worker_options_that_are_replaced_as_a_whole_keep_defaults_settings_and_version() {
    let place =
        Place::with("[lambda_worker]\nmax_cached_workflows = 7\nactivity_task_pollers = 3\n");
    let mut config = place.load().unwrap();
    config.limits.activities = 9;
    config.worker_options = WorkerOptions::new("orders").register_activities(Work).build();
    config.settle().unwrap();
    let options = &config.worker_options;
    assert_eq!(config.task_queue(), "orders");
    assert_eq!(options.max_cached_workflows, 7);
    assert_eq!(options.workflow_task_poller_behavior, Some(PollerBehavior::SimpleMaximum(2)));
    assert_eq!(options.activity_task_poller_behavior, Some(PollerBehavior::SimpleMaximum(3)));
    assert_eq!(options.graceful_shutdown_period, Some(Duration::from_secs(5)));
    let deployment = &options.deployment_options;
    assert_eq!((&*deployment.version.deployment_name, &*deployment.version.build_id), ("d", "b"));
    assert_eq!(deployment.default_versioning_behavior, Some(VersioningBehavior::Pinned));
    assert_eq!(config.identity(), config.invocation.identity());
    assert_eq!(limits_in_force(&config), Limits { activities: 9, ..Limits::default() });
    assert_eq!(config.warnings.texts(), [""; 0], "nothing of this is a contradiction");
}

#[tokio::test]
async fn explicit_values_of_replaced_worker_options_stay() {
    let mut config = Place::empty().load().unwrap();
    config.worker_options = WorkerOptions::new("orders")
        .register_activities(Work)
        .max_cached_workflows(5)
        .graceful_shutdown_period(Duration::from_secs(1))
        .activity_task_poller_behavior(PollerBehavior::SimpleMaximum(4))
        .client_identity_override("me".to_owned())
        .build();
    config.settle().unwrap();
    let options = &config.worker_options;
    assert_eq!(options.max_cached_workflows, 5);
    assert_eq!(options.graceful_shutdown_period, Some(Duration::from_secs(1)));
    assert_eq!(options.activity_task_poller_behavior, Some(PollerBehavior::SimpleMaximum(4)));
    assert_eq!(options.nexus_task_poller_behavior, Some(PollerBehavior::SimpleMaximum(1)));
    assert_eq!(config.identity(), "me");
}

#[tokio::test]
async fn limits_apply_unless_a_tuner_is_set() {
    let place = Place::empty()
        .set("TEMPORAL_TASK_QUEUE", "q")
        .set("TEMPORAL_LAMBDA_MAX_CONCURRENT_WORKFLOW_TASKS", "11");
    let mut config = registered(&place);
    assert_eq!(config.limits, Limits { workflow_tasks: 11, ..Limits::default() });
    config.limits.activities = 99;
    for _ in 0..2 {
        config.settle().unwrap();
        let expected = Limits { workflow_tasks: 11, activities: 99, ..Limits::default() };
        assert_eq!(limits_in_force(&config), expected);
    }
    let mut config = registered(&place);
    let slots = FixedSizeSlotSupplier::new;
    config.limits.activities = 99;
    config.worker_options.tuner = TunerHolder::builder()
        .workflow_task_slot_supplier(slots(3))
        .activity_task_slot_supplier(slots(3))
        .local_activity_task_slot_supplier(slots(3))
        .nexus_task_slot_supplier(slots(3))
        .build()
        .into();
    config.settle().unwrap();
    assert_eq!(limits_in_force(&config).activities, 3);
}

#[tokio::test]
async fn a_limit_of_zero_is_refused_with_its_name() {
    let mut config = registered(&Place::empty().set("TEMPORAL_TASK_QUEUE", "q"));
    config.limits.local_activities = 0;
    let error = config.settle().unwrap_err().to_string();
    assert!(error.contains("config.limits.local_activities"), "{error}");
}

#[tokio::test]
async fn eager_activities_that_configure_asks_for_are_warned_about() {
    let mut config = registered(&Place::empty().set("TEMPORAL_TASK_QUEUE", "q"));
    config.worker_options.max_eager_activity_reservations_per_workflow_task = 7;
    config.settle().unwrap();
    let [warning] = config.warnings.texts() else { panic!("{:?}", config.warnings.texts()) };
    assert!(warning.contains("eager") && warning.contains('7'), "{warning}");
}

#[tokio::test]
async fn the_configurations_own_setters_change_its_worker_options() {
    let mut config = Place::empty().load().unwrap();
    config.set_task_queue("orders").register_activities(Work);
    assert_eq!((config.task_queue(), &*config.worker_options.task_queue), ("orders", "orders"));
    config.settle().unwrap();
}

#[tokio::test]
async fn file_and_environment_override_the_task_queue_of_the_function() {
    let mut origin = origin();
    origin.task_queue = Some("function".to_owned());
    let task_queue = |place: &Place| load(place, &origin).unwrap().task_queue().to_owned();
    assert_eq!(task_queue(&Place::empty()), "function");
    let place = Place::with("[lambda_worker]\ntask_queue = \"file\"\n");
    assert_eq!(task_queue(&place), "file");
    assert_eq!(task_queue(&place.set("TEMPORAL_TASK_QUEUE", "environment")), "environment");
}

#[tokio::test]
async fn a_path_or_a_text_in_code_replaces_the_file_that_would_be_found() {
    let place = Place::with("nonsense").set("TEMPORAL_NAMESPACE", "environment");
    let place = place.set("TEMPORAL_CONFIG_FILE", "/nowhere/at/all.toml");
    let path = place.folder.path().join("other.toml");
    let text = "[profile.default]\nnamespace = \"text\"\naddress = \"text:1\"\n";
    std::fs::write(&path, text).unwrap();
    for source in [ConfigSource::file(&path), ConfigSource::text(text)] {
        let mut origin = origin();
        origin.source = source.clone();
        let config = load(&place, &origin).unwrap();
        assert_eq!(config.connection_options.target.host_str(), Some("text"), "{source:?}");
        assert_eq!(config.client_options.namespace, "environment", "{source:?}");
        origin.source = source.without_environment();
        assert_eq!(load(&place, &origin).unwrap().client_options.namespace, "text");
    }
    let mut origin = origin();
    origin.source = ConfigSource::file(path.with_file_name("gone.toml"));
    assert!(matches!(load(&place, &origin), Err(ConfigError::FileUnreadable { .. })));
    origin.source = ConfigSource::text("nonsense");
    assert!(matches!(load(&place, &origin), Err(ConfigError::FileMalformed { .. })));
}

#[tokio::test]
async fn connection_options_in_code_replace_the_file_and_the_connection_variables() {
    let place = Place::with("nonsense")
        .set("TEMPORAL_TLS", "nonsense")
        .set("TEMPORAL_ADDRESS", "elsewhere:1")
        .set("TEMPORAL_TASK_QUEUE", "environment");
    let connection =
        ConnectionOptions::new(temporalio_client::Url::parse("http://here:1").unwrap()).build();
    let mut origin = origin();
    origin.source = ConfigSource::options(connection, ClientOptions::new("ready").build());
    let config = load(&place, &origin).unwrap();
    assert_eq!(config.connection_options.target.host_str(), Some("here"));
    assert_eq!(config.client_options.namespace, "ready");
    assert_eq!(config.task_queue(), "environment");
    origin.source = origin.source.without_environment();
    let place = place.set("TEMPORAL_LAMBDA_NONSENSE", "nonsense");
    assert_eq!(load(&place, &origin).unwrap().task_queue(), "");
}

#[tokio::test]
async fn a_handler_that_reads_no_environment_ignores_bad_variables() {
    let place = Place::with("nonsense").set("TEMPORAL_LAMBDA_NONSENSE", "nonsense");
    let mut origin = origin();
    assert!(load(&place, &origin).is_err());
    origin.source = ConfigSource::none();
    let config = load(&place, &origin).unwrap();
    assert_eq!(config.client_options.namespace, "default");
    origin.source = ConfigSource::default().without_environment();
    assert!(load(&place, &origin).is_ok());
}

#[test]
fn the_debug_of_a_source_shows_no_secret() {
    let mut connection =
        ConnectionOptions::new(temporalio_client::Url::parse("http://here:1").unwrap()).build();
    connection.api_key = Some(SECRET.to_owned());
    let options = ConfigSource::options(connection, ClientOptions::new("ready").build());
    let text = ConfigSource::text(format!("[profile.default]\napi_key = \"{SECRET}\""));
    assert!(!format!("{options:?} {text:?}").contains(SECRET));
}
