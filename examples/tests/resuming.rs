use std::time::Duration;

use temporal_lambda_tests::{World, invoked::invoked_until_a_task};

const RESUMING: &str = env!("CARGO_BIN_EXE_resuming");

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_that_heartbeats_goes_on_after_the_deadline_where_it_was() {
    let world = World::new("resuming").await;
    let temporal = world.temporal().await;
    // Polling stops after 3 s, activities are cancelled after 3.3 s.
    let short = world
        .config("short", RESUMING)
        .timeout(Duration::from_secs(8))
        .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "300ms")
        .env("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "5s");
    let short = world.add(short);
    let long = world.add(world.config("long", RESUMING).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "4s"));
    let id = world.id("it");
    // 10 s at least: more than the first invocation has.
    temporal.start(&world.name, &id, "Import", 100).await;
    invoked_until_a_task(&short, "activity", "cancelled").await;
    temporal.served_by(&long, &id).await;
    let imported = temporal.result(&id).await.as_u64().expect("rows");
    assert!(imported < 100, "the first invocation's rows were imported again: {imported}");
}
