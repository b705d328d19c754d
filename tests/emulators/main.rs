//! The emulators of Lambda that people use, as they come from their registries: the hello example
//! serves workflows through each of them. What they do differently from Lambda is told at their
//! tests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cargo_lambda;
mod process;
mod tools;
mod vercel_fun;

use std::path::Path;

use serde_json::Value;
use temporal_lambda_test_timing::test_timeout;
use temporal_lambda_tests::{Temporal, World};

/// The hello example.
const HELLO: &str = env!("CARGO_BIN_EXE_hello-under-test");

/// A world without the project's own emulator, and what a function has to be told in it.
struct Elsewhere {
    world: World,
    temporal: Temporal,
}

impl Elsewhere {
    async fn new(name: &str) -> Self {
        let world = World::new(name).await;
        let temporal = world.temporal().await;
        Self { world, temporal }
    }

    /// The function's settings. One of the emulators gives it 5 s, so that 2.5 s are for work.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let version = self.world.version();
        vec![
            ("TEMPORAL_ADDRESS", temporal_lambda_tests::server::shared().address().to_owned()),
            ("TEMPORAL_TASK_QUEUE", version.task_queue.to_owned()),
            ("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", version.deployment.to_owned()),
            ("TEMPORAL_LAMBDA_BUILD_ID", version.build_id.to_owned()),
            ("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "500ms".to_owned()),
            ("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "500ms".to_owned()),
        ]
    }

    /// Starts a workflow, invokes the function, and has the workflow completed by it, cold and then
    /// warm in the same process.
    async fn is_served(&self, mut invoke: impl AsyncFnMut() -> Value) {
        for (number, connection) in ["new", "reused"].into_iter().enumerate() {
            let id = self.world.id(number);
            self.temporal.start(&self.world.name, &id, "HelloWorkflow", connection).await;
            let served = async {
                // On a busy machine an invocation may be idle before the server has brought the task.
                let mut connection = connection;
                let mut activities = 0;
                while !self.temporal.has_ended(&id).await {
                    let report = invoke().await;
                    assert_eq!(report["reason"], "idle", "{report:#}");
                    assert_eq!(report["connection"], connection, "{report:#}");
                    connection = "reused";
                    activities += report["tasks"]["activity"]["completed"].as_u64().unwrap_or(0);
                }
                activities
            };
            let activities = tokio::time::timeout(test_timeout(), served).await;
            assert_eq!(activities.expect("the workflow is served"), 1);
            assert_eq!(self.temporal.result(&id).await, format!("Hello, {connection}!"));
        }
    }

    /// An empty folder of this test.
    fn folder(&self) -> &Path {
        self.world.task_root()
    }
}
