//! Credentials that rotate: a warm environment follows them without being replaced.

use temporal_lambda_testkit::frontend::{MockFrontend, WorkflowStart};
use temporal_lambda_tests::{Invoked as _, World};

use crate::HELLO;

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_follows_the_api_key_in_its_file() {
    let frontend = MockFrontend::new();
    let served = frontend.serve().await.unwrap();
    let world = World::at(&served.address().to_string(), "rotating").await;
    let file = world.task_root().join("key");
    let hello =
        world.config_with_short_idle("hello", HELLO).env("TEMPORAL_LAMBDA_API_KEY_FILE", &file);
    let hello = world.add(hello);
    for (key, connection) in [("first-key", "new"), ("second-key", "reused")] {
        // From now on the server takes this key only.
        frontend.require_api_key(key);
        std::fs::write(&file, format!("{key}\n")).unwrap();
        let invocation = hello.invoke("{}").await.unwrap();
        assert_eq!(invocation.report()["connection"], connection, "{}", invocation.log_text());
        assert!(!invocation.log_text().contains(key));
    }
    assert_eq!(hello.environments().len(), 1, "the same environment served both");

    frontend.require_api_key("third-key");
    let (kind, message) = hello.invoke("{}").await.unwrap().error();
    assert_eq!(kind, "TemporalRefused", "{message}");
    assert!(!message.contains("second-key"), "{message}");
    assert_eq!(hello.environments().len(), 1, "a refusal does not end the environment");

    // Once the file has the right key, the same environment does work with it.
    std::fs::write(&file, "third-key").unwrap();
    let id = world.id("mended");
    frontend.start_workflow(WorkflowStart::new(&world.name, "HelloWorkflow", &id).arg(&"you"));
    let invocation = hello.invoke("{}").await.unwrap();
    assert!(!invocation.cold);
    assert_eq!(invocation.report()["tasks"]["activity"]["completed"], 1);
    let result: String = frontend.workflow_result(&id).await.unwrap().json().unwrap();
    assert_eq!(result, "Hello, you!");
}
