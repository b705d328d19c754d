//! What an invocation did, as a collector hears of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use temporal_lambda_test_timing::assert_soon;
use temporal_lambda_testkit::lambda::{EnvEvent, Function, FunctionConfig, Invocation};
use temporal_lambda_testkit::otlp::{Behavior, OtlpReceiver, ReceivedSpan};
use temporal_lambda_tests::{Invoked as _, World, invoked::invoked_until, temporal::count};
use temporalio_common::protos::temporal::api::enums::v1::EventType;

use crate::TRACED;

mod logs;
mod variables;

/// The library's own instrumentation scope.
const OURS: &str = "temporal-lambda-worker";

fn traced(world: &World, collector: &OtlpReceiver, name: &str) -> FunctionConfig {
    world
        .config_with_short_idle(name, TRACED)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
}

/// When the answer to an invocation was posted.
fn answered(function: &Function, invocation: &Invocation) -> Instant {
    let of_this = |event: &EnvEvent| match event {
        EnvEvent::ResponsePosted { request_id } | EnvEvent::ErrorPosted { request_id, .. } => {
            *request_id == invocation.request_id
        }
        _ => false,
    };
    let timelines = function.environments().into_iter().flat_map(|env| env.timeline());
    let posted = timelines.into_iter().find(|(_, event)| of_this(event));
    posted.expect("an answer was posted").0
}

/// The trace ID that Lambda gave to an invocation.
fn lambda_trace(invocation: &Invocation) -> String {
    let log = invocation.log_text();
    let root = log.split("Root=1-").nth(1).expect("the header is logged");
    root[..33].replace('-', "")
}

/// The span of an invocation.
fn invocation_span(collector: &OtlpReceiver, invocation: &Invocation) -> ReceivedSpan {
    let id = Some(&invocation.request_id);
    let is_it =
        |span: &ReceivedSpan| span.scope == OURS && span.attributes.get("faas.invocation_id") == id;
    let span = collector.spans().into_iter().find(is_it);
    span.unwrap_or_else(|| panic!("{id:?} has no span\n{}", invocation.log_text()))
}

fn named(spans: &[ReceivedSpan], name: &str) -> ReceivedSpan {
    let span = spans.iter().find(|span| span.name == name).cloned();
    span.unwrap_or_else(|| {
        panic!("no {name} among {:?}", spans.iter().map(|it| &it.name).collect::<Vec<_>>())
    })
}

/// Warnings and errors, but for those about the server: a busy one ends polls too late, and then it may be said that the
/// version is not current.
fn warnings(invocation: &Invocation) -> Vec<String> {
    let lines = invocation.log.iter().map(|line| line.text.clone());
    let is_about_server =
        |line: &str| line.contains("connection::trouble") || line.contains("temporal::diagnosis");
    lines
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        .filter(|line| !is_about_server(line))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn cold_and_warm_everything_arrives_before_the_answer_and_is_one_trace() {
    let world = World::new("traced").await;
    let _temporal = world.temporal().await;
    let collector = OtlpReceiver::start().await.unwrap();
    let config = traced(&world, &collector, "traced").env("TRACED_START", "yes");
    let config = config.env("TRACED_GLOBAL", "yes");
    // It starts its workflow by itself, so that no other invocation may have it.
    let function = world.add(config.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "5s"));
    for cold in [true, false] {
        collector.clear();
        let invocation = function.invoke("{}").await.unwrap();
        assert_eq!(invocation.report()["tasks"]["activity"]["completed"], 2);
        assert_eq!(warnings(&invocation), [""; 0]);

        let (spans, metrics) = (collector.spans(), collector.metrics());
        let answered = answered(&function, &invocation);
        assert!(spans.iter().all(|span| span.at < answered), "a span came after the answer");
        let before = metrics.iter().filter(|metric| metric.at < answered);
        let names: Vec<&str> = before.map(|metric| metric.name.as_str()).collect();
        for name in [
            "faas.invocations",
            "faas.invoke_duration",
            "temporal_lambda_worker.state.duration",
            "temporal_lambda_worker.tasks",
            "temporal_request",
            "temporal_activity_execution_latency",
            "temporal_workflow_task_execution_latency",
        ] {
            assert!(names.contains(&name), "no {name} among {names:?}");
        }

        // The client's span, the workflow's, the activity's, the user's and those of our own.
        let trace = lambda_trace(&invocation);
        let own = invocation_span(&collector, &invocation);
        assert_eq!(own.attributes["faas.coldstart"], cold.to_string());
        assert_eq!(own.attributes["aws.lambda.invoked_arn"], function.arn());
        assert_eq!(own.attributes["temporal.invocation.reason"], "idle");
        assert_eq!(own.name, "traced");
        assert_eq!(own.resource["service.name"], "traced");
        assert_eq!(own.resource["cloud.platform"], "aws_lambda");
        for name in ["Configuring", "Connected", "Polling", "Draining"] {
            let state = named(&spans, name);
            assert_eq!(state.parent_span_id, own.span_id, "{name}");
            assert!(own.start <= state.start && state.end <= own.end, "{name}");
        }
        assert_eq!(spans.iter().any(|span| span.name == "ColdStart"), cold);
        let start = named(&spans, "StartWorkflow:Notes");
        assert_eq!(start.parent_span_id, own.span_id);
        let run = named(&spans, "RunWorkflow:Notes");
        assert_eq!(run.parent_span_id, start.span_id);
        let schedule = named(&spans, "StartActivity:Activities::note");
        assert_eq!(schedule.parent_span_id, run.span_id);
        let activity = named(&spans, "RunActivity:Activities::note");
        assert_eq!(activity.attributes["faas.invocation_id"], invocation.request_id);
        let activities = spans.iter().filter(|span| span.name == activity.name);
        let activities: Vec<_> = activities.map(|span| &span.span_id).collect();
        let users: Vec<_> = spans.iter().filter(|span| span.scope == "mine").collect();
        assert_eq!(users.len(), 2, "one in each activity");
        assert!(users.iter().all(|span| activities.contains(&&span.parent_span_id)), "{users:?}");
        for span in &spans {
            assert_eq!(span.trace_id, trace, "{} is in another trace", span.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_path_flushes_before_the_answer() {
    let world = World::new("traced-failures").await;
    let collector = OtlpReceiver::start().await.unwrap();
    for (place, kind) in [
        ("configure", "ConfigureFailed"),
        ("on_start", "OnStartFailed"),
        ("panic", "Panicked"),
        ("hang", "OutOfTime"),
    ] {
        let config = traced(&world, &collector, place).env("TRACED_FAIL", place);
        // Work for 1.5 s at most.
        let config = config
            .timeout(Duration::from_secs(4))
            .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "500ms");
        let function = world.add(config);
        let invocation = function.invoke("{}").await.unwrap();
        assert_eq!(invocation.error().0, kind, "{place}");
        let own = invocation_span(&collector, &invocation);
        assert!(own.at < answered(&function, &invocation), "{place}");
        assert!(own.error.is_some(), "{place}");
        assert_eq!(own.attributes["error.type"], kind);
        let failed = collector.metrics().into_iter().any(|metric| {
            metric.name == "faas.errors"
                && metric.resource["faas.name"] == function.name()
                && metric.points.iter().any(|point| point.value > 0.5)
        });
        assert!(failed, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_in_the_trace_too() {
    let world = World::at("127.0.0.1:1", "traced-unreachable").await;
    let collector = OtlpReceiver::start().await.unwrap();
    let function = world.add(traced(&world, &collector, "traced"));
    let invocation = function.invoke("{}").await.unwrap();
    assert_eq!(invocation.error().0, "TemporalUnreachable");
    let own = invocation_span(&collector, &invocation);
    assert!(own.at < answered(&function, &invocation));
    assert_eq!(own.attributes["error.type"], "TemporalUnreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replayed_is_not_exported_again() {
    let world = World::new("traced-replay").await;
    let temporal = world.temporal().await;
    let collector = OtlpReceiver::start().await.unwrap();
    let config = traced(&world, &collector, "traced");
    let function = world.add(config.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s"));
    let id = world.id("it");
    // Longer than the first invocation stays once the first activity is done.
    temporal.start(&world.name, &id, "Notes", 3000_u64).await;
    let has_timer = async |_: &Invocation| {
        (count(&temporal.history(&id).await, EventType::TimerStarted) == 1).then_some(())
    };
    invoked_until(&function, "the timer", has_timer).await;
    temporal.wait_for(&id, EventType::TimerFired).await;
    temporal.served_by(&function, &id).await;
    assert_eq!(temporal.result(&id).await, 3);

    let spans = collector.spans();
    let count = |name: &str| spans.iter().filter(|span| span.name == name).count();
    assert_eq!(count("RunWorkflow:Notes"), 1, "it began once");
    assert_eq!(named(&spans, "RunWorkflow:Notes").attributes["temporal.workflow.open"], "true");
    assert_eq!(count("StartActivity:Activities::note"), 2, "one of them was replayed");
    assert_eq!(count("RunActivity:Activities::note"), 2);
    let mut ids: Vec<&String> = spans.iter().map(|span| &span.span_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), spans.len(), "no span came twice");
    // Both invocations' halves of the workflow are one trace, which is not Lambda's.
    let workflow = named(&spans, "RunWorkflow:Notes").trace_id;
    for span in spans.iter().filter(|span| span.name.ends_with("::note")) {
        assert_eq!(span.trace_id, workflow, "{}", span.name);
    }
}

/// Invokes the function cold and warm; both must answer in time, and say once what is wrong.
async fn suffers(function: &Function, cap: Duration) {
    for _ in 0..2 {
        let invocation = function.invoke("{}").await.unwrap();
        let report = invocation.report();
        assert_eq!(report["reason"], "idle");
        assert_eq!(report["hooks"][0]["name"], "opentelemetry flush");
        assert!(
            report["hooks"][0]["outcome"] == "failed" && report["hooks"][0]["message"].is_string(),
            "{report}"
        );
        let warnings = warnings(&invocation);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("did not reach the collector"), "{warnings:?}");
        let draining = Duration::from_millis(report["state_ms"]["draining"].as_u64().unwrap());
        assert_soon("draining", draining, cap);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_a_hanging_and_a_refusing_collector_cost_their_cap_and_one_warning() {
    let world = World::new("no-collector").await;
    let mut collector = OtlpReceiver::start().await.unwrap();
    let add = |collector: &OtlpReceiver, name: &str| {
        // A flush without a cap has a share of this buffer.
        let config = traced(&world, collector, name)
            .timeout(Duration::from_secs(100))
            .env("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "90s");
        world.add(config.env("TRACED_FLUSH_TIMEOUT", "300"))
    };
    let cap = Duration::from_millis(300);
    collector.behave(Behavior::Refuse(tonic::Code::Unavailable));
    suffers(&add(&collector, "refused"), cap).await;
    collector.behave(Behavior::Hang);
    suffers(&add(&collector, "hanging"), cap).await;
    let missing = add(&collector, "missing");
    collector.stop().await;
    suffers(&missing, cap).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_collector_is_waited_for_and_a_recovered_one_hears_of_everything_later() {
    let world = World::new("late-collector").await;
    // Of a version that is not current it would be said why no task comes.
    world.temporal().await;
    let collector = OtlpReceiver::start().await.unwrap();
    collector.behave(Behavior::Late(Duration::from_millis(400)));
    let function = world.add(traced(&world, &collector, "traced"));
    let late = function.invoke("{}").await.unwrap();
    assert_eq!(warnings(&late), [""; 0]);
    assert_eq!(late.report()["hooks"][0]["outcome"], "ok");
    assert!(invocation_span(&collector, &late).at < answered(&function, &late));

    collector.behave(Behavior::Refuse(tonic::Code::Unavailable));
    let refused = function.invoke("{}").await.unwrap();
    assert_eq!(warnings(&refused).len(), 1);
    collector.behave(Behavior::Accept);
    let again = function.invoke("{}").await.unwrap();
    assert_eq!(warnings(&again), [""; 0]);
    invocation_span(&collector, &again);
    // Counters are cumulative: what could not be exported is in the next export.
    let metrics = collector.metrics();
    let counted = metrics.iter().rev().find(|metric| metric.name == "faas.invocations").unwrap();
    let total: f64 = counted.points.iter().map(|point| point.value).sum();
    assert!((total - 3.0).abs() < 0.5, "{total}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_warm_invocations_leave_no_thread_behind() {
    let world = World::new("threads").await;
    let collector = OtlpReceiver::start().await.unwrap();
    let function = world.add(traced(&world, &collector, "traced"));
    let mut threads = Vec::new();
    for number in 0..51 {
        let invocation = function.invoke("{}").await.unwrap();
        assert_eq!(invocation.cold, number == 0);
        let pid = function.environments()[0].pid().expect("a process");
        threads.push(std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count());
    }
    // The first few may start threads that stay, such as those for blocking calls. And a thread that
    // is about to end may be caught by the freeze, which does not add up.
    let most_early = threads[..5].iter().max();
    assert!(threads[41..].iter().min() <= most_early, "{threads:?}");
    let most = threads[5..].iter().max().unwrap();
    assert!(*most <= most_early.unwrap() + 2, "{threads:?}");
    let spans = collector.spans();
    let own = spans.iter().filter(|it| it.attributes.contains_key("faas.invocation_id"));
    assert_eq!(own.filter(|span| span.scope == OURS).count(), 51);
}
