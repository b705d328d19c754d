//! What fails between the function and Temporal is a typed error that says what to do, in time.

use std::time::Duration;

use temporal_lambda_test_timing::assert_soon;
use temporal_lambda_testkit::frontend::{MockFrontend, Rpc, WorkflowStart};
use temporal_lambda_testkit::lambda::Invocation;
use temporal_lambda_testkit::server::DevServer;
use temporal_lambda_tests::{Invoked as _, Proxy, World, invoked::invoked_until};

use crate::{
    HELLO, PROBE,
    calls::{probe_with_short_deadline, said},
};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_the_error_names_the_address_at_once() {
    let address = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let world = World::at(&address.to_string(), "no-server").await;
    let hello = world.add(world.config("hello", HELLO).timeout(Duration::from_secs(60)));
    for cold in [true, false] {
        let invocation = hello.invoke("{}").await.unwrap();
        assert_eq!(invocation.cold, cold);
        let (kind, message) = invocation.error();
        assert_eq!(kind, "TemporalUnreachable");
        assert!(message.contains(&address.to_string()), "{message}");
        assert!(message.to_lowercase().contains("refused"), "{message}");
        assert_soon("a refused connection", invocation.duration, Duration::ZERO);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_is_given_up_when_polling_would_stop() {
    // Accepts, since the kernel does so; nobody reads.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let world = World::at(&listener.local_addr().unwrap().to_string(), "silent").await;
    // As much time to work as usual, and much more to end.
    let probe = probe_with_short_deadline(&world, "probe")
        .timeout(Duration::from_millis(32_100))
        .env("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "30s");
    let invocation = world.add(probe).invoke("{}").await.unwrap();
    let (kind, message) = invocation.error();
    assert_eq!(kind, "OutOfTime");
    assert!(message.contains("Temporal did not answer"), "{message}");
    assert!(invocation.duration >= Duration::from_millis(2000), "it had 2.1 s");
    assert_soon("giving up", invocation.duration, Duration::from_millis(2100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_temporal_is_named() {
    let world = World::at("127.0.0.1:1", "stranger").await;
    // The emulator's own API: HTTP, but no gRPC.
    let address = world.lambda.address().to_string();
    let hello = world.add(world.config("hello", HELLO).env("TEMPORAL_ADDRESS", &address));
    let (kind, message) = hello.invoke("{}").await.unwrap().error();
    assert_eq!(kind, "TemporalAnsweredWithError", "{message}");
    assert!(message.contains(&address) && message.contains("TEMPORAL_ADDRESS"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_time_names_the_three_numbers() {
    let world = World::at("127.0.0.1:1", "three-seconds").await;
    // Lambda's default.
    let hello = world.add(world.config("hello", HELLO).timeout(Duration::from_secs(3)));
    let invocation = hello.invoke("{}").await.unwrap();
    let (kind, message) = invocation.error();
    assert_eq!(kind, "TooLittleTime");
    for text in ["the invocation has 2.", "takes 7s", "leaves 0ns", "above 8s", "default is 3 s"] {
        assert!(message.contains(text), "{text} is not in {message}");
    }
    let left = invocation.time_left_at_response;
    assert!(
        left > Duration::from_millis(1500),
        "an error at once leaves more than {left:?} of 3 s"
    );
    // A second of work is too little, too.
    let nearly = world.config("nearly", HELLO).timeout(Duration::from_millis(7990));
    assert_eq!(world.add(nearly).invoke("{}").await.unwrap().error().0, "TooLittleTime");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_does_not_exist_is_named_at_once() {
    let world = World::new("namespace").await;
    let hello = world.config_with_short_idle("hello", HELLO).timeout(Duration::from_secs(60));
    let hello = hello.env("TEMPORAL_NAMESPACE", "nobody.a1b2c");
    let invocation = world.add(hello).invoke("{}").await.unwrap();
    let (kind, message) = invocation.error();
    assert_eq!(kind, "NamespaceNotFound");
    assert!(message.contains("\"nobody.a1b2c\""), "{message}");
    assert_soon("a refusal", invocation.duration, Duration::ZERO);
}

/// The invocation has 60 s, so that whoever sleeps to the deadline is seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_is_noticed_at_once() {
    let world = World::new("dies").await;
    let temporal = world.temporal().await;
    for (way, kind) in [("fail", "WorkerFailed"), ("panic", "Panicked")] {
        let probe = world.config(way, PROBE).timeout(Duration::from_secs(60));
        let probe = world.add(probe.env("PROBE_WORKER", way));
        temporal.start(&world.name, &world.id(way), "Doze", 1).await;
        let invocation = probe.invoke("{}").await.unwrap();
        let (seen, message) = invocation.error();
        assert_eq!(seen, kind, "{message}");
        assert!(message.contains("PROBE_WORKER said so"), "{message}");
        assert_soon("the end of a worker", invocation.duration, Duration::from_secs(1));
        let said = said(&invocation);
        assert_eq!(said.iter().filter(|line| line.starts_with("hook ")).count(), 2, "{said:?}");
        assert_eq!(said.iter().filter(|line| line.starts_with("on_shutdown")).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_while_the_worker_polls_does_not_delay_the_response() {
    let frontend = MockFrontend::new();
    let mut served = frontend.serve().await.unwrap();
    let world = World::at(&served.address().to_string(), "gone").await;
    let probe = world
        .add(probe_with_short_deadline(&world, "probe").env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "10s"));
    let stop = async {
        frontend.wait_until(|it| it.count(Rpc::PollWorkflowTaskQueue) > 0).await.unwrap();
        served.stop().await;
    };
    let (invocation, ()) = tokio::join!(probe.invoke("{}"), stop);
    assert_returned_in_time(&invocation.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_goes_silent_while_the_worker_polls_does_not_delay_the_response() {
    let frontend = MockFrontend::new();
    let served = frontend.serve().await.unwrap();
    let proxy = Proxy::to(&served.address().to_string()).await;
    let world = World::at(&proxy.address(), "silent").await;
    let probe = world
        .add(probe_with_short_deadline(&world, "probe").env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "10s"));
    let silence = async {
        frontend.wait_until(|it| it.count(Rpc::PollWorkflowTaskQueue) > 0).await.unwrap();
        proxy.black_hole();
    };
    let (invocation, ()) = tokio::join!(probe.invoke("{}"), silence);
    assert_returned_in_time(&invocation.unwrap());
}

/// Polling that fails is retried, so the invocation ends as it would have: when its time is over.
fn assert_returned_in_time(invocation: &temporal_lambda_testkit::lambda::Invocation) {
    // Of 2.1 s for work, polls may begin in four fifths; none is under way after that.
    assert!(invocation.duration >= Duration::from_millis(1660), "{:?}", invocation.duration);
    assert!(invocation.time_left_at_response > Duration::from_millis(20), "{}", invocation.outcome);
    let said = said(invocation);
    assert!(said.last().is_some_and(|line| line.starts_with("on_shutdown")), "{said:?}");
}

/// The time for work is counted back from the deadline, not from the first poll.
#[tokio::test(flavor = "multi_thread")]
async fn connecting_slowly_does_not_move_the_moment_at_which_polling_stops() {
    let frontend = MockFrontend::new();
    let (delay, work) = (Duration::from_secs(4), Duration::from_secs(6));
    frontend.on(Rpc::GetSystemInfo).delay(delay);
    let served = frontend.serve().await.unwrap();
    let world = World::at(&served.address().to_string(), "slow").await;
    let probe = probe_with_short_deadline(&world, "probe")
        .timeout(work + Duration::from_secs(20))
        .env("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "20s")
        .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "60s");
    let probe = world.add(probe);
    frontend.start_workflow(WorkflowStart::new(&world.name, "Doze", "it").arg(&1));
    let invocation = probe.invoke("{}").await.unwrap();
    let report = invocation.report();
    assert!(report["first_poll_ms"].as_u64().unwrap() >= 4000, "{report}");
    assert_eq!(report["tasks"]["activity"]["completed"], 1);
    let took = invocation.duration;
    // Polls may begin in four fifths of the 2 s that are left for polling.
    assert!(took >= work - Duration::from_millis(420), "{took:?}");
    // Counted from the first poll, it would be later by all of the delay.
    assert!(took < work + delay / 2, "{took:?}");
}

/// From the second attempt on the SDK does not answer a workflow task that fails, so the server waits for it
/// and the worker must not.
#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_task_that_fails_in_every_invocation_is_named_and_delays_no_exit() {
    const GRACE: Duration = Duration::from_secs(30);
    let world = World::new("stuck").await;
    let temporal = world.temporal().await;
    let hello = world.config("hello", HELLO).timeout(Duration::from_secs(120));
    let hello = world.add(
        hello
            .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s")
            .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", format!("{GRACE:?}")),
    );
    let id = world.id("it");
    temporal.start(&world.name, &id, "NoSuchWorkflow", "you").await;
    let failed_again = async |it: &Invocation| {
        let report = it.report();
        let named = report["failed_workflow_tasks"][0].clone();
        (named["attempt"].as_u64() >= Some(2)).then_some((named, report))
    };
    let ((named, report), _) = invoked_until(&hello, "a second attempt", failed_again).await;
    assert_eq!(named["workflow_id"], id);
    assert_eq!(named["workflow_type"], "NoSuchWorkflow");
    assert!(named["failure"].as_str().unwrap().contains("NoSuchWorkflow"), "{named}");
    let drained = Duration::from_millis(report["state_ms"]["draining"].as_u64().unwrap());
    assert_soon("a drain with nothing to wait for", drained, Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_throttles_is_named_once_in_the_log_and_is_no_fault_of_the_worker() {
    let server =
        DevServer::builder().dynamic_config("frontend.namespaceRPS", 2).start().await.unwrap();
    let world = World::at(&server.address(), "throttled").await;
    let hello = world.config("hello", HELLO).timeout(Duration::from_secs(60));
    let hello = world.add(hello.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    let throttled = async |invocation: &Invocation| {
        let log = invocation.log_text();
        assert!(!log.contains("WorkerNotStopped"), "{log}");
        if !invocation.outcome.is_success() {
            let kind = invocation.error().0;
            let the_servers = ["ServerTrouble", "TemporalAnsweredWithError", "TemporalUnreachable"];
            assert!(the_servers.contains(&kind.as_str()), "{log}");
            return None;
        }
        let report = invocation.report();
        (report["server_trouble"] != serde_json::json!([])).then_some((report, log))
    };
    let ((report, log), _) = invoked_until(&hello, "polls that are refused", throttled).await;
    let troubles = report["server_trouble"].as_array().unwrap();
    assert!(troubles.iter().any(|it| it["status"] == "ResourceExhausted"), "{report}");
    let is_warning = |line: &&str| line.contains("\"WARN\"") && line.contains("server_trouble");
    assert_eq!(log.lines().filter(is_warning).count(), 1, "{log}");
    server.stop().await;
}
