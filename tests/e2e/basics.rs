//! What an invocation does when all is well.

use std::time::Duration;

use temporal_lambda_test_timing::assert_soon;
use temporal_lambda_testkit::lambda::FunctionConfig;
use temporal_lambda_tests::{
    Invoked as _, World,
    invoked::tasks,
    temporal::{count, workers},
};
use temporalio_common::protos::temporal::api::enums::v1::{EventType, VersioningBehavior};

use crate::{HELLO, PROBE};

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_and_a_warm_invocation_complete_workflows_under_their_own_identity() {
    let world = World::new("cold-warm").await;
    let temporal = world.temporal().await;
    let hello = world.config("hello", HELLO).timeout(Duration::from_secs(60));
    let hello = world.add(hello.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    for (name, cold) in [("cold", true), ("warm", false)] {
        let id = world.id(name);
        temporal.start(&world.name, &id, "HelloWorkflow", name).await;
        let invocations = temporal.served_by(&hello, &id).await;
        assert_eq!(temporal.result(&id).await, format!("Hello, {name}!"));
        assert_eq!(invocations[0].cold, cold);
        assert_eq!(invocations[0].report()["cold_start"], cold);
        let connection = if cold { "new" } else { "reused" };
        assert_eq!(invocations[0].report()["connection"], connection);
        assert_eq!(tasks(&invocations, "activity", "completed"), 1);
        assert_eq!(tasks(&invocations, "workflow", "completed"), 2);

        let mut identities = Vec::new();
        for invocation in &invocations {
            let report = invocation.report();
            assert_eq!(report["reason"], "idle");
            assert_eq!(report["request_id"], invocation.request_id.as_str());
            assert_eq!(report["function_arn"], hello.arn());
            identities.push(invocation.identity(&hello));
            assert_eq!(report["identity"], *identities.last().unwrap());
        }
        let history = temporal.history(&id).await;
        let workers = workers(&history);
        assert!(workers.iter().all(|it| identities.contains(it)), "{workers:?}: {identities:?}");
        assert_eq!(count(&history, EventType::WorkflowTaskTimedOut), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_shows_the_version_and_that_the_workflow_is_pinned() {
    let world = World::new("pinned").await;
    let temporal = world.temporal().await;
    let hello = world.add(world.config("hello", HELLO).env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    let id = world.id("it");
    temporal.start(&world.name, &id, "HelloWorkflow", "you").await;
    let report = temporal.served_by(&hello, &id).await[0].report();
    assert_eq!(report["deployment_name"], world.name.as_str());
    assert_eq!(report["build_id"], "b1");

    let described = temporal.describe(&id).await;
    let info = described.workflow_execution_info.unwrap();
    let versioning = info.versioning_info.unwrap();
    assert_eq!(versioning.behavior(), VersioningBehavior::Pinned);
    let version = versioning.deployment_version.unwrap();
    assert_eq!((version.deployment_name, version.build_id), (world.name.clone(), "b1".to_owned()));
    assert_eq!(info.worker_deployment_name, world.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_idle_timeout_it_polls_until_the_buffer_and_returns_before_the_deadline() {
    let world = World::new("budget").await;
    // By default the buffer is 7 s: 2 s to work.
    let whole = world.add(world.config("whole", HELLO).timeout(Duration::from_secs(9)));
    // A grace period of 500 ms makes it 2.5 s: 3 s to work.
    let short = world.config("short", HELLO).timeout(Duration::from_millis(5500));
    let short = world.add(short.env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "500ms"));
    let (whole, short) = tokio::join!(whole.invoke("{}"), short.invoke("{}"));
    for (invocation, work, timeout) in [(whole.unwrap(), 2000, 9000), (short.unwrap(), 3000, 5500)]
    {
        let report = invocation.report();
        assert_eq!(report["reason"], "deadline_near");
        let took = u64::try_from(invocation.duration.as_millis()).unwrap();
        // In a short window the last polls begin to end after four fifths of the time for them; once
        // they have ended, a worker without a task has nothing to stay for.
        let least = work * 4 / 5 - 20;
        assert!(took >= least, "{took} ms is too early for {work} ms of work");
        // With nothing in flight, nothing needs the buffer: half of it is what a busy machine may
        // take.
        let left = invocation.time_left_at_response;
        assert!(2 * left > Duration::from_millis(timeout - work), "{left:?} of {timeout} ms left");
        assert!(invocation.log_text().contains("little time for work"), "less than 5 s: a warning");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_idle_timeout_it_leaves_long_before_the_deadline() {
    let world = World::new("idle").await;
    let temporal = world.temporal().await;
    let hello = world.config("hello", HELLO).timeout(Duration::from_secs(60));
    let hello = world.add(hello.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "500ms"));
    let id = world.id("it");
    temporal.start(&world.name, &id, "HelloWorkflow", "you").await;
    let invocations = temporal.served_by(&hello, &id).await;
    let invocation = invocations.last().unwrap();
    assert_eq!(invocation.report()["reason"], "idle");
    // Not the 53 s after which polling would have stopped.
    // The last polls are waited for, up to 1.85 s after the idle timeout or the minimum stay.
    assert_soon("a billed invocation", invocation.billed, Duration::from_millis(2900));
    // It stays for a second at least, for the task that it was called for.
    assert!(invocation.duration >= Duration::from_secs(1), "{:?}", invocation.duration);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_event_is_accepted() {
    let world = World::new("events").await;
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    let large = vec![b'x'; 300_000];
    let bodies: [&[u8]; 7] =
        [b"", b"{}", b"null", b"not JSON", b"\xff\xfe\x00", br#"{"half":"#, &large];
    for body in bodies {
        let invocation = hello.invoke(body.to_vec()).await.unwrap();
        assert_eq!(invocation.report()["reason"], "idle");
    }
    assert_eq!(hello.environments().len(), 1, "none of them ended the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_to_stdout() {
    let world = World::new("stdout").await;
    let file = world.task_root().join("stdout");
    for (name, program, mode) in [("fine", HELLO, ""), ("failing", PROBE, "fail")] {
        // The emulator reads both streams as one.
        let config = FunctionConfig::process(name, "sh")
            .args(["-c", "exec \"$0\" >\"$1\"", program])
            .arg(&file)
            .timeout(Duration::from_secs(20))
            .env("TEMPORAL_ADDRESS", temporal_lambda_tests::server::shared().address())
            .env("TEMPORAL_TASK_QUEUE", &world.name)
            .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "50ms")
            .env("TEMPORAL_LAMBDA_MINIMUM_STAY", "100ms")
            .env("PROBE_CONFIGURE", mode);
        let invocation = world.add(config).invoke("{}").await.unwrap();
        assert!(!invocation.log.is_empty(), "stderr is not empty");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "", "{name}");
    }
}
