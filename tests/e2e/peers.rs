//! Bugs that workers for other SDKs have or had, and the tests that we do not.
//!
//! | Bug | Test |
//! |-|-|
//! | the timer is eroded by connecting | [`connecting_slowly_does_not_move_the_moment_at_which_polling_stops`](crate::faults) |
//! | hooks are skipped if connecting or starting fails, if configure throws, if too little time is left | [`hooks_and_on_shutdown_run_once_whatever_failed`](crate::calls) |
//! | hooks are skipped if run fails; a dead worker sleeps to the deadline and is a success | [`a_worker_that_dies_is_noticed_at_once`](crate::faults) |
//! | a hook that works in the first invocation only | [`calls_come_in_order_and_each_invocation_has_its_own_resource`](crate::calls) |
//! | a runtime and threads per call; a leaked heartbeat registration | [`a_hundred_warm_invocations_leave_no_threads_no_descriptors_and_no_memory_behind`](crate::endurance), and with heartbeats below |
//! | no drain cap: an activity that ignores cancellation runs into the hard kill | [`one_that_ignores_its_cancellation_is_dropped_and_tried_again`](crate::activities) |
//! | a failed forced stop is a success, and the environment is used again; the process ends before the error is posted | [`by_an_activity_and_the_next_invocation_is_cold_and_healthy`](crate::poisoned) |
//! | an uncapped flush; no isolation of panics in hooks | [`a_bad_hook_stops_neither_the_others_nor_on_shutdown_and_fails_nothing`](crate::calls), [`by_any_callback_and_the_others_still_run`](crate::poisoned) |
//! | errors are flattened to strings | every test in [`faults`](crate::faults) and [`tls`](crate::tls) looks at `errorType` |
//! | a custom tuner clashes with preset limits; the user's settings are overwritten; 1 ms of work is enough to start; drain or finalize hangs if a task type is never polled | below |

use std::time::Duration;

use temporal_lambda_test_timing::assert_soon;
use temporal_lambda_testkit::lambda::ProcessStats;
use temporal_lambda_tests::{Invoked as _, World, invoked::tasks};

use crate::{HELLO, PROBE, calls::said};

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_tuner_and_preset_limits_do_not_clash() {
    let world = World::new("tuner").await;
    let temporal = world.temporal().await;
    let probe = world
        .config("probe", PROBE)
        .env("PROBE_SET", "one-activity")
        .env("TEMPORAL_LAMBDA_MAX_CONCURRENT_ACTIVITIES", "7")
        .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "3s");
    let probe = world.add(probe);
    for number in 0..3 {
        temporal.start(&world.name, &world.id(number), "Doze", 300).await;
    }
    let mut invocations = Vec::new();
    for number in 0..3 {
        let id = world.id(number);
        if !temporal.has_ended(&id).await {
            invocations.extend(temporal.served_by(&probe, &id).await);
        }
    }
    assert_eq!(tasks(&invocations, "activity", "completed"), 3);
    let dozes = invocations.iter().flat_map(said).filter(|it| it.starts_with("doze"));
    let dozes: Vec<_> = dozes.collect();
    // What `configure` set wins: one at a time.
    assert_eq!(dozes, ["doze begins", "doze ends"].repeat(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_configure_sets_is_not_overwritten_and_the_buffer_follows_the_grace_period() {
    let world = World::new("overwritten").await;
    // With the default grace period there would be no time to work at all.
    let probe = world.config("probe", PROBE).timeout(Duration::from_millis(4200));
    let probe = world.add(probe.env("PROBE_SET", "grace"));
    let invocation = probe.invoke("{}").await.unwrap();
    assert_eq!(invocation.report()["reason"], "deadline_near");
    // 200 ms of grace make a buffer of 2.2 s: 2 s to work. In four fifths of them polls may begin.
    assert!(invocation.duration >= Duration::from_millis(1580), "{:?}", invocation.duration);
    let left = invocation.time_left_at_response;
    assert!(left > Duration::from_millis(1100), "{left:?} is less than half of the buffer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_of_work_or_less_is_refused() {
    let world = World::new("one-second").await;
    for (name, timeout, enough) in [("less", 2990, false), ("more", 3500, true)] {
        let probe = world
            .config(name, HELLO)
            .timeout(Duration::from_millis(timeout))
            .env("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "2s")
            .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "1s");
        let invocation = world.add(probe).invoke("{}").await.unwrap();
        if enough {
            invocation.report();
        } else {
            assert_eq!(invocation.error().0, "TooLittleTime");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_type_that_is_never_polled_does_not_hang_the_end() {
    let world = World::new("only").await;
    for only in ["workflows", "activities"] {
        let probe = world.config_with_short_idle(only, PROBE).timeout(Duration::from_secs(60));
        let probe = world.add(probe.env("PROBE_ONLY", only));
        for _ in 0..2 {
            let invocation = probe.invoke("{}").await.unwrap();
            assert_eq!(invocation.report()["reason"], "idle");
            assert_soon("an idle exit", invocation.duration, Duration::from_secs(1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_heartbeats_leave_no_threads_behind() {
    let world = World::new("heartbeats").await;
    let hello = world
        .config_with_short_idle("hello", HELLO)
        .env("TEMPORAL_LAMBDA_WORKER_HEARTBEAT_INTERVAL", "1s");
    let hello = world.add(hello);
    let mut readings = Vec::new();
    for _ in 0..15 {
        let invocation = hello.invoke("{}").await.unwrap();
        invocation.report();
        let env = hello.environment(&invocation.environment).unwrap();
        readings.push(ProcessStats::of(env.pid().unwrap()).unwrap());
    }
    let least = |some: &[ProcessStats]| some.iter().map(|it| it.threads).min();
    assert_eq!(least(&readings[10..]), least(&readings[..5]), "{readings:?}");
}
