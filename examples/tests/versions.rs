use serde_json::json;
use temporal_lambda_testkit::lambda::Function;
use temporal_lambda_testkit::lambda::Invocation;
use temporal_lambda_tests::temporal::{Version, count};
use temporal_lambda_tests::{Invoked as _, Temporal, World, invoked::invoked_until};
use temporalio_common::protos::temporal::api::enums::v1::EventType;

const VERSIONS: &str = env!("CARGO_BIN_EXE_versions");
const OLD: &str = "1";
const NEW: &str = "2";

/// A deployment's function with this build ID, whose workflows do this when another version becomes current.
fn deployed(world: &World, build_id: &str, behavior: &str) -> Function {
    let config = world.config_with_short_idle(&format!("version-{build_id}"), VERSIONS);
    world.add(
        config
            .env("TEMPORAL_LAMBDA_BUILD_ID", build_id)
            .env("TEMPORAL_LAMBDA_VERSIONING_BEHAVIOR", behavior),
    )
}

async fn make_current(temporal: &Temporal, world: &World, build_id: &str) {
    temporal.make_current(Version { build_id, ..world.version() }).await;
}

/// Begins a workflow on version 1, and has it go on after version 2 has become current: where that is.
async fn goes_on_at(behavior: &str, expected: &str) {
    let world = World::new(behavior).await;
    let temporal = world.temporal().await;
    let (old, new) = (deployed(&world, OLD, behavior), deployed(&world, NEW, behavior));
    make_current(&temporal, &world, OLD).await;
    let id = world.id("it");
    temporal.start(&world.name, &id, "Approval", ()).await;
    let waits = async |_: &Invocation| {
        let history = temporal.history(&id).await;
        (count(&history, EventType::WorkflowTaskCompleted) == 1).then_some(())
    };
    invoked_until(&old, "its first task", waits).await;

    make_current(&temporal, &world, NEW).await;
    temporal.signal(&id, "approve", "Ada").await;
    let (function, other) = if expected == OLD { (old, new) } else { (new, old) };
    // The other version polls first, and finds nothing.
    let report = other.invoke("{}").await.unwrap().report();
    assert_eq!(report["tasks"]["workflow"]["completed"], 0, "{report}");
    assert!(!temporal.has_ended(&id).await);
    temporal.served_by(&function, &id).await;
    assert_eq!(temporal.result(&id).await, json!([OLD, expected]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_workflow_ends_on_the_version_that_it_began_on() {
    goes_on_at("pinned", OLD).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_upgrades_moves_to_the_version_that_has_become_current() {
    goes_on_at("auto_upgrade", NEW).await;
}
