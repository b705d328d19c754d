//! One test's world: an emulator, a name nobody else has, and functions that know the server.

use std::{path::Path, time::Duration};

use tempfile::TempDir;
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::lambda::{EnvEvent, Function, FunctionConfig, LambdaEmulator};

use crate::{Temporal, server, temporal::Version};

/// The API key of every function. It must never be seen in any log, response or error; the
/// [`World`] looks when it is dropped.
pub const API_KEY: &str = "e2e-QzX7vLw3-never-to-be-shown";

/// The build ID of every function.
pub const BUILD_ID: &str = "b1";

/// An emulator with functions whose deployment and task queue are this test's own.
pub struct World {
    /// The emulator.
    pub lambda: LambdaEmulator,
    /// The name of the deployment and of the task queue.
    pub name: String,
    address: String,
    folder: TempDir,
    _limit: TimeLimit,
}

impl World {
    /// A world on the shared server.
    pub async fn new(name: &str) -> Self {
        Self::at(server::shared().address(), name).await
    }

    /// A world whose functions are told that Temporal is at `address`.
    pub async fn at(address: &str, name: &str) -> Self {
        Self::limited(address, name, TimeLimit::of_this_test()).await
    }

    /// As [`at`](Self::at), for a test with a time limit of its own.
    pub async fn limited(address: &str, name: &str, limit: TimeLimit) -> Self {
        let lambda = LambdaEmulator::start().await.expect("the emulator starts");
        let id = uuid::Uuid::new_v4().simple().to_string();
        Self {
            lambda,
            name: format!("{name}-{}", &id[..8]),
            address: address.to_owned(),
            folder: tempfile::tempdir().expect("a folder"),
            _limit: limit,
        }
    }

    /// A connection to the server, with this world's version current.
    pub async fn temporal(&self) -> Temporal {
        let temporal = Temporal::connect(&self.address).await;
        temporal.make_current(self.version()).await;
        temporal
    }

    /// The version that the functions are.
    pub fn version(&self) -> Version<'_> {
        Version { deployment: &self.name, build_id: BUILD_ID, task_queue: &self.name }
    }

    /// The folder that functions find as `LAMBDA_TASK_ROOT`, and run in. Empty at first.
    pub fn task_root(&self) -> &Path {
        self.folder.path()
    }

    /// A function that runs `program`. It has 20 s.
    pub fn config(&self, name: &str, program: &str) -> FunctionConfig {
        FunctionConfig::process(name, program)
            .timeout(Duration::from_secs(20))
            .max_retry_attempts(0)
            .current_dir(self.task_root())
            .env("LAMBDA_TASK_ROOT", self.task_root())
            .env("TEMPORAL_ADDRESS", &self.address)
            .env("TEMPORAL_API_KEY", API_KEY)
            .env("TEMPORAL_TLS", "false")
            .env("TEMPORAL_TASK_QUEUE", &self.name)
            .env("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", &self.name)
            .env("TEMPORAL_LAMBDA_BUILD_ID", BUILD_ID)
    }

    /// As [`config`](Self::config), with invocations that end 50 ms after the last task, but not
    /// before 500 ms. It has 60 s, so that it is idle before its deadline nears on a busy machine, too.
    pub fn config_with_short_idle(&self, name: &str, program: &str) -> FunctionConfig {
        self.config(name, program)
            .timeout(Duration::from_secs(60))
            .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "50ms")
            // The server may take 0.25 s to bring a task that was there before to the poll.
            .env("TEMPORAL_LAMBDA_MINIMUM_STAY", "500ms")
    }

    /// Adds a function.
    pub fn add(&self, config: FunctionConfig) -> Function {
        self.lambda.add_function(config).expect("a function")
    }

    /// A workflow ID of this world.
    pub fn id(&self, suffix: impl std::fmt::Display) -> String {
        format!("{}-{suffix}", self.name)
    }

    fn look_for_secrets(&self) {
        for function in self.lambda.functions() {
            for env in function.environments() {
                for line in env.log() {
                    assert!(!line.text.contains(API_KEY), "the API key is in {:?}", line.text);
                }
            }
            for invocation in function.invocations() {
                let body = invocation.outcome.body(&invocation.request_id);
                let body = String::from_utf8_lossy(&body);
                assert!(!body.contains(API_KEY), "the API key is in {body}");
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.look_for_secrets();
        }
    }
}

/// Where in an environment's life something happened; panics if it did not.
pub fn position(events: &[EnvEvent], what: impl Fn(&EnvEvent) -> bool) -> usize {
    events.iter().position(what).unwrap_or_else(|| panic!("it is not among {events:?}"))
}
