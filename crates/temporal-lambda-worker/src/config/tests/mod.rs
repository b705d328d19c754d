//! Precedence, strictness, and the guide's tables against the code.

mod connection;
mod files;
mod in_code;
mod server_rules;
mod tls;

use std::time::Duration;

use temporalio_common::worker::{VersioningBehavior, WorkerDeploymentVersion};
use temporalio_sdk::runtime::PollerBehavior;

use super::read::file::FILE_NAME;
use super::read::keys::KEYS;
use super::*;

const CHAPTER: &str = include_str!("../../docs/configuration.md");
const SECRET: &str = "tk_very-secret-0123456789";

/// A folder with a `temporal.toml` in it, and the variables that point there.
struct Place {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    fn with(file: &str) -> Self {
        let place = Self::empty();
        std::fs::write(place.folder.path().join(FILE_NAME), file).unwrap();
        place
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap().to_owned();
        Self { folder, variables: vec![("LAMBDA_TASK_ROOT".to_owned(), root)] }
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn load(&self) -> Result<LambdaWorkerConfig, ConfigError> {
        let variables = Variables::from_iter(self.variables.clone());
        let context = temporal_lambda_testkit::context::TestContext::new().build();
        let invocation = Invocation::arriving(&context, true);
        let version = WorkerDeploymentVersion::builder().deployment_name("d").build_id("b").build();
        LambdaWorkerConfig::load(
            &Origin::of(version),
            &variables,
            invocation,
            ShutdownHooks::default(),
        )
    }

    fn refused(&self) -> String {
        match self.load() {
            Ok(_) => panic!("this configuration must be refused"),
            Err(error) => format!("{error} {error:?}"),
        }
    }
}

#[tokio::test]
async fn the_defaults_are_those_of_the_other_sdks_lambda_workers() {
    let config = Place::empty().load().unwrap();
    let worker = &config.worker_options;
    assert_eq!(worker.max_cached_workflows, 30);
    assert_eq!(worker.workflow_task_poller_behavior, Some(PollerBehavior::SimpleMaximum(2)));
    assert_eq!(worker.activity_task_poller_behavior, Some(PollerBehavior::SimpleMaximum(1)));
    assert_eq!(worker.nexus_task_poller_behavior, Some(PollerBehavior::SimpleMaximum(1)));
    assert_eq!(worker.graceful_shutdown_period, Some(Duration::from_secs(5)));
    assert_eq!(worker.max_eager_activity_reservations_per_workflow_task, 0);
    let deployment = &worker.deployment_options;
    assert!(deployment.use_worker_versioning);
    assert_eq!(deployment.default_versioning_behavior, Some(VersioningBehavior::Pinned));
    assert_eq!(config.effective_shutdown_deadline_buffer(), Duration::from_secs(7));
    assert_eq!(config.idle_timeout, None);
    assert_eq!(config.client_options.namespace, "default");
    assert_eq!(config.connection_options.target.as_str(), "http://localhost:7233/");
    let tuner = format!("{:?}", worker.tuner);
    let slots: Vec<_> = tuner.split("FixedSizeSlotSupplier").skip(1).collect();
    assert_eq!(slots.len(), 4, "{tuner}");
    for (slot, number) in slots.iter().zip(["10", "2", "2", "5"]) {
        let digits: String = slot.chars().filter(char::is_ascii_digit).collect();
        assert_eq!(digits, number, "{tuner}");
    }
}

#[tokio::test]
async fn the_environment_overrides_the_file_and_the_file_overrides_the_defaults() {
    let file = "[lambda_worker]\ntask_queue = \"file\"\nmax_cached_workflows = 3\n\
                graceful_shutdown_timeout = \"3s\"\n[profile.default]\naddress = \"file:1\"\n";
    let config = Place::with(file).load().unwrap();
    assert_eq!(config.worker_options.task_queue, "file");
    assert_eq!(config.connection_options.target.as_str(), "http://file:1/");

    let place = Place::with(file)
        .set("TEMPORAL_LAMBDA_TASK_QUEUE", "environment")
        .set("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "4s")
        .set("TEMPORAL_ADDRESS", "environment:2");
    let config = place.load().unwrap();
    assert_eq!(config.worker_options.task_queue, "environment");
    assert_eq!(config.worker_options.max_cached_workflows, 3);
    assert_eq!(config.worker_options.graceful_shutdown_period, Some(Duration::from_secs(4)));
    assert_eq!(config.effective_shutdown_deadline_buffer(), Duration::from_secs(6));
    assert_eq!(config.connection_options.target.as_str(), "http://environment:2/");
}

#[tokio::test]
async fn the_task_queue_comes_from_temporal_task_queue_too() {
    let place = Place::empty().set("TEMPORAL_TASK_QUEUE", "plain");
    assert_eq!(place.load().unwrap().worker_options.task_queue, "plain");
}

#[tokio::test]
async fn file_and_environment_override_the_version_in_code() {
    let place = Place::with("[lambda_worker]\ndeployment_name = \"file\"\n")
        .set("TEMPORAL_LAMBDA_BUILD_ID", "env");
    let config = place.load().unwrap();
    let version = &config.worker_options.deployment_options.version;
    assert_eq!((version.deployment_name.as_str(), version.build_id.as_str()), ("file", "env"));
}

#[tokio::test]
async fn only_a_configuration_file_that_a_variable_names_must_exist() {
    let place = Place::empty().set("TEMPORAL_CONFIG_FILE", "/nowhere/at/all.toml");
    assert!(matches!(place.load(), Err(ConfigError::FileMissing { .. })));
    assert!(Place::empty().load().is_ok());
}

#[tokio::test]
async fn a_configuration_file_that_a_variable_names_is_read_instead_of_the_task_roots() {
    let place = Place::with("[lambda_worker]\ntask_queue = \"root\"\n");
    let named = place.folder.path().join("other.toml");
    std::fs::write(&named, "[lambda_worker]\ntask_queue = \"named\"\n").unwrap();
    let place = place.set("TEMPORAL_CONFIG_FILE", named.to_str().unwrap());
    assert_eq!(place.load().unwrap().worker_options.task_queue, "named");
}

#[tokio::test]
async fn an_unknown_key_or_variable_is_refused_with_the_nearest_name() {
    let unknown = Place::with("[lambda_worker]\nidle_timout = \"1s\"\n").refused();
    assert!(unknown.contains("idle_timeout"), "{unknown}");
    let unknown = Place::empty().set("TEMPORAL_LAMBDA_BUILDID", "x").refused();
    assert!(unknown.contains("TEMPORAL_LAMBDA_BUILD_ID"), "{unknown}");
    let unknown = Place::with("[profile.default]\nadress = \"x:1\"\n").refused();
    assert!(unknown.contains("adress"), "{unknown}");
}

#[tokio::test]
async fn a_bad_value_is_refused_with_its_key_and_what_it_must_be() {
    let bad = Place::with("[lambda_worker]\nidle_timeout = \"soon\"\n").refused();
    assert!(bad.contains("idle_timeout") && bad.contains("500ms"), "{bad}");
    let bad = Place::empty().set("TEMPORAL_LAMBDA_MAX_CACHED_WORKFLOWS", "many").refused();
    assert!(bad.contains("TEMPORAL_LAMBDA_MAX_CACHED_WORKFLOWS"), "{bad}");
    let bad = Place::empty().set("TEMPORAL_LAMBDA_WORKFLOW_TASK_POLLERS", "1").refused();
    assert!(bad.contains("at least 2"), "{bad}");
    let place = Place::empty().set("TEMPORAL_LAMBDA_WORKFLOW_TASK_POLLERS", "1");
    assert!(place.set("TEMPORAL_LAMBDA_MAX_CACHED_WORKFLOWS", "0").load().is_ok());
}

#[tokio::test]
async fn no_error_shows_the_api_key() {
    let files = [
        format!("[profile.default]\napi_key = \"{SECRET}"),
        format!("[profile.default]\napi_key = [\"{SECRET}\"]"),
        format!("api_key = \"{SECRET}\"\n[profile.default]\naddress = 5"),
        format!("[profile.default]\napi_key = \"{SECRET}\\n\""),
        format!("[profile.default]\napi_key = \"{SECRET}\"\nunknown = 1"),
    ];
    for file in files {
        let message = Place::with(&file).refused();
        assert!(!message.contains(SECRET), "{message}");
    }
    let place = Place::empty().set("TEMPORAL_API_KEY", &format!("{SECRET}\n"));
    assert!(!place.refused().contains(SECRET));
    let config = Place::empty().set("TEMPORAL_API_KEY", SECRET).load().unwrap();
    assert_eq!(config.connection_options.api_key.as_deref(), Some(SECRET));
    assert!(config.connection_options.tls_options.is_some());
    assert!(!format!("{config:?}").contains(SECRET));
}

#[tokio::test]
async fn an_api_key_file_is_read_in_each_invocation_and_turns_tls_on() {
    let place = Place::empty();
    let path = place.folder.path().join("key");
    let place = place
        .set("TEMPORAL_ADDRESS", "temporal.test:7233")
        .set("TEMPORAL_LAMBDA_API_KEY_FILE", path.to_str().unwrap());
    assert!(matches!(place.load(), Err(ConfigError::NamedFile { .. })));
    for key in ["first", "second"] {
        std::fs::write(&path, format!("{key}\n")).unwrap();
        let config = place.load().unwrap();
        assert_eq!(config.connection_options.api_key.as_deref(), Some(key));
        assert!(config.connection_options.tls_options.is_some());
        assert_eq!(config.connection_options.target.scheme(), "https");
    }
}

fn registered(place: &Place) -> LambdaWorkerConfig {
    let mut config = place.load().unwrap();
    config.worker_options.register_activities(crate::nothing::Nothing);
    config
}

#[tokio::test]
async fn settings_that_configure_may_not_change_are_set_after_it() {
    let place = Place::empty().set("TEMPORAL_TASK_QUEUE", "q");
    let mut config = registered(&place);
    config.worker_options.max_eager_activity_reservations_per_workflow_task = 7;
    config.worker_options.deployment_options.use_worker_versioning = false;
    config.worker_options.deployment_options.default_versioning_behavior =
        Some(VersioningBehavior::AutoUpgrade);
    config.connection_options.identity = "mine".to_owned();
    config.settle().unwrap();
    assert_eq!(config.worker_options.max_eager_activity_reservations_per_workflow_task, 0);
    assert!(config.worker_options.deployment_options.use_worker_versioning);
    let behavior = config.worker_options.deployment_options.default_versioning_behavior;
    assert_eq!(behavior, Some(VersioningBehavior::AutoUpgrade), "the user's wish stays");
    assert_eq!(config.identity(), "mine");
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused_before_connecting() {
    let place = Place::empty();
    assert!(matches!(registered(&place).settle(), Err(ConfigError::NoTaskQueue)));
    let place = place.set("TEMPORAL_TASK_QUEUE", "q");
    assert!(matches!(place.load().unwrap().settle(), Err(ConfigError::NothingRegistered)));
    let mut config = registered(&place);
    config.worker_options.graceful_shutdown_period = None;
    assert!(matches!(config.settle(), Err(ConfigError::NoGracePeriod)));
    let mut config = registered(&place);
    config.shutdown_deadline_buffer = Some(Duration::from_secs(5));
    assert!(matches!(config.settle(), Err(ConfigError::BufferTooSmall { .. })));
    let mut config = registered(&place);
    config.worker_options.deployment_options.version.build_id.clear();
    assert!(matches!(config.settle(), Err(ConfigError::IncompleteVersion { .. })));
}

/// The rows of the chapter's table under this marker, cell by cell.
fn table(marker: &str) -> Vec<Vec<String>> {
    let (_, after) = CHAPTER.split_once(&format!("<!-- {marker} -->")).expect("the marker");
    let rows = after.lines().skip_while(|line| !line.starts_with('|'));
    rows.take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|row| row.trim_matches('|').split('|').map(|it| it.trim().to_owned()).collect())
        .collect()
}

#[test]
fn the_guide_lists_every_key_once_and_no_other() {
    let rows = table("configuration keys");
    let keys: Vec<_> = rows.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(keys, KEYS);
}

#[tokio::test]
async fn the_defaults_in_the_guide_are_those_of_the_code() {
    let config = Place::empty().load().unwrap();
    for row in table("configuration keys") {
        let seconds = |time: Duration| format!("{} s", time.as_secs_f64());
        let expected = match row[0].trim_matches('`') {
            "max_concurrent_activities" => defaults::MAX_CONCURRENT_ACTIVITIES.to_string(),
            "max_concurrent_workflow_tasks" => defaults::MAX_CONCURRENT_WORKFLOW_TASKS.to_string(),
            "max_concurrent_local_activities" => {
                defaults::MAX_CONCURRENT_LOCAL_ACTIVITIES.to_string()
            }
            "max_concurrent_nexus_tasks" => defaults::MAX_CONCURRENT_NEXUS_TASKS.to_string(),
            "max_cached_workflows" => config.worker_options.max_cached_workflows.to_string(),
            "workflow_task_pollers" => defaults::WORKFLOW_TASK_POLLERS.to_string(),
            "activity_task_pollers" => defaults::ACTIVITY_TASK_POLLERS.to_string(),
            "nexus_task_pollers" => defaults::NEXUS_TASK_POLLERS.to_string(),
            "graceful_shutdown_timeout" => seconds(defaults::GRACEFUL_SHUTDOWN_TIMEOUT),
            "shutdown_deadline_buffer" => {
                format!("grace + {}", seconds(crate::lifecycle::BUFFER_OVER_GRACE))
            }
            "minimum_stay" => seconds(config.minimum_stay),
            "max_connection_age" => seconds(config.max_connection_age),
            "reuse_connection" => config.reuse_connection.to_string(),
            #[cfg(feature = "emf")]
            "emf" => config.emf.to_string(),
            "versioning_behavior" => {
                let options = &config.worker_options.deployment_options;
                let behavior = options.default_versioning_behavior.expect("there is one");
                format!("`{}`", format!("{behavior:?}").to_lowercase())
            }
            _ => continue,
        };
        assert_eq!(row[1], expected, "{}", row[0]);
    }
}

#[tokio::test]
async fn the_precedence_in_the_guide_is_that_of_the_code() {
    let sources: Vec<_> =
        table("precedence").into_iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(
        sources,
        ["defaults", "WorkerFunction", "temporal.toml", "environment", "configure"]
    );
    // Each one above overrides the one below it; for the one of `WorkerFunction` see `in_code`.
    let place = Place::with("[lambda_worker]\ntask_queue = \"file\"\n");
    assert_eq!(Place::empty().load().unwrap().worker_options.task_queue, "");
    assert_eq!(place.load().unwrap().worker_options.task_queue, "file");
    let place = place.set("TEMPORAL_LAMBDA_TASK_QUEUE", "environment");
    let mut config = registered(&place);
    assert_eq!(config.worker_options.task_queue, "environment");
    config.worker_options.task_queue = "configure".to_owned();
    config.settle().unwrap();
    assert_eq!(config.worker_options.task_queue, "configure");
}
