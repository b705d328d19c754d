//! Invocations that end from outside or under extreme settings: the handler's future is dropped, the environment
//! freezes, the times are as long as they can be.

use std::time::{Duration, SystemTime};

use tokio::time::advance;
use tokio_util::sync::CancellationToken;

use super::driven::{Driven, Host, driven};
use super::scripted_invocation::{Drain, FOR_EVER, Part, ScriptedInvocation};
use super::{at, ms};
use crate::Reason;
use crate::lifecycle::rules::{Seen, judge};
use crate::lifecycle::{Effect, Input, Moment};
use crate::report::CallbackOutcome;

/// Does as the handler does: a task drives, and dropping the handler's future cancels the token.
async fn dropped_after(script: &ScriptedInvocation, millis: u64) -> Driven {
    let host = Host::new().await;
    let prepared = host.prepare(script);
    let (window, log, stop) = (prepared.window, prepared.log.clone(), prepared.stop.clone());
    let arrived = prepared.invocation.arrived();
    let driving = tokio::spawn(async move {
        let result = prepared.driver.drive().await;
        (result, Moment::new(tokio::time::Instant::now() - arrived))
    });
    let guard = stop.drop_guard();
    tokio::time::sleep(ms(millis)).await;
    log.see(Seen::Heard(Input::Cancelled));
    drop(guard);
    let Ok((result, ended)) = driving.await else { panic!("the driver panicked") };
    assert_eq!(host.environment.active(), 0);
    driven(result, window, ended, &log)
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handlers_future_at_any_moment_leaves_no_worker_polling() {
    // Everything up to polling takes 290 ms; odd moments, so that nothing else happens then.
    let script = ScriptedInvocation { cancelled_at: None, ..ScriptedInvocation::good() };
    for millis in (1..400).step_by(12) {
        let driven = dropped_after(&script, millis).await;
        judge(&driven.trace);
        assert_eq!(driven.report.reason, Some(Reason::Cancelled), "after {millis} ms");
        assert!(driven.error.is_none(), "{:?}", driven.error);
        let created = driven.trace.first(Effect::CreateWorker).is_some();
        assert_eq!(driven.trace.first(Effect::StopWorker).is_some(), created);
        assert_eq!(driven.trace.first(Effect::Finalize).is_some(), created);
        assert!(driven.report.total_ms < millis + 500, "it ends at once");
    }
}

/// An invocation that is cancelled before `configure` begins, which then adds its hooks.
async fn cancelled_beforehand(script: &ScriptedInvocation) -> Driven {
    let host = Host::new().await;
    host.environment.stop.cancel();
    let prepared = host.prepare(script);
    prepared.log.see(Seen::Heard(Input::Cancelled));
    let driven = prepared.drive(script).await;
    judge(&driven.trace);
    assert_eq!(driven.report.reason, Some(Reason::Cancelled));
    assert_eq!(driven.trace.first(Effect::Connect), None);
    driven
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_cancelled_beforehand_still_runs_hooks_and_on_shutdown_once() {
    let driven = cancelled_beforehand(&ScriptedInvocation::good()).await;
    let is_callback = |it: &Effect| matches!(it, Effect::RunHook(_) | Effect::OnShutdown);
    let callbacks = driven.trace.done().map(|(_, it)| it).filter(is_callback);
    assert!(callbacks.eq([Effect::RunHook(0), Effect::RunHook(1), Effect::OnShutdown]));
    let outcomes: Vec<_> = driven.report.hooks.iter().map(|it| &it.outcome).collect();
    assert_eq!(outcomes, [&CallbackOutcome::Ok; 2]);
    assert_eq!(driven.report.on_shutdown, Some(CallbackOutcome::Ok));
}

/// As any other hook, each has the rest of 6.9 s but 0.1 s for each callback to come.
#[tokio::test(start_paused = true)]
async fn hooks_that_are_added_at_the_end_have_the_time_left_but_a_reserve_for_each_callback_to_come()
 {
    let hooks = vec![Part::HANGS; 2];
    let script =
        ScriptedInvocation { hooks, on_shutdown: Part::HANGS, ..ScriptedInvocation::good() };
    let driven = cancelled_beforehand(&script).await;
    for (effect, begins) in
        [(Effect::RunHook(0), 0), (Effect::RunHook(1), 6_700), (Effect::OnShutdown, 6_800)]
    {
        let begun = driven.trace.first(effect).unwrap_or_default();
        assert!(begun >= at(begins) && begun <= at(begins + 3), "{effect:?} at {begun:?}");
    }
    assert!(driven.report.total_ms.abs_diff(6_900) <= 3, "{:?}", driven.report);
    let told = driven.told.iter().map(|(_, it)| it.time_allowed.as_millis());
    let told: Vec<_> = told.collect();
    let expected = [6_700, 100, 100];
    assert!(told.iter().zip(expected).all(|(it, expected)| it.abs_diff(expected) <= 3), "{told:?}");
    let outcomes: Vec<_> = driven.report.hooks.iter().map(|it| &it.outcome).collect();
    assert_eq!(outcomes, [&CallbackOutcome::TimedOut; 2]);
    assert_eq!(driven.report.on_shutdown, Some(CallbackOutcome::TimedOut));
}

/// The driver learns in the same moment that the worker exists and that the invocation is cancelled.
#[tokio::test(start_paused = true)]
async fn on_start_does_not_begin_after_the_invocation_was_cancelled() {
    let script =
        ScriptedInvocation { cancelled_at: Some(10 + 200 + 50), ..ScriptedInvocation::good() };
    let driven = Host::new().await.drive(&script).await;
    judge(&driven.trace);
    let heard = |input| driven.trace.heard().any(|(_, heard)| *heard == input);
    assert!(heard(Input::WorkerCreated { polls_end_within: ms(1_550) }), "{}", driven.trace);
    assert_eq!(driven.trace.first(Effect::OnStart), None, "{}", driven.trace);
    assert_eq!(driven.report.reason, Some(Reason::Cancelled));
    assert!(driven.report.on_shutdown.is_some());
}

/// Runs a scripted invocation in an environment that freezes at a moment and thaws after `lasting`.
async fn frozen(from: u64, lasting: u64, script: &ScriptedInvocation) -> Driven {
    let host = Host::new().await;
    let prepared = host.prepare(script);
    let log = prepared.log.clone();
    tokio::spawn(async move {
        tokio::time::sleep(ms(from)).await;
        advance(ms(lasting)).await;
        log.see(Seen::Thawed);
    });
    prepared.drive(script).await
}

/// An environment that thaws after the stop time does not begin to poll, whatever has happened
/// meanwhile.
#[tokio::test(start_paused = true)]
async fn a_frozen_environment_does_not_poll_when_it_thaws_too_late() {
    // Frozen while connecting, creating, and in on_start.
    for from in [100, 240, 275] {
        let script = ScriptedInvocation { lasts: Some(30_000), ..ScriptedInvocation::good() };
        let driven = frozen(from, 25_000, &script).await;
        assert_eq!(driven.trace.first(Effect::Poll), None, "{}", driven.trace);
        assert_eq!(driven.error.map(|it| it.fault().error_type()), Some("OutOfTime"));
        assert!(driven.report.on_shutdown.is_some());
    }
}

/// The worker has stopped, and the time to drop it has come as well.
#[tokio::test(start_paused = true)]
async fn a_worker_that_stopped_while_the_environment_was_frozen_is_not_given_up() {
    for drain in [Drain::Stops(300), Drain::Fails(300)] {
        let script =
            ScriptedInvocation { cancelled_at: Some(1_000), drain, ..ScriptedInvocation::good() };
        let driven = frozen(1_100, 20_000, &script).await;
        judge(&driven.trace);
        assert_eq!(driven.trace.first(Effect::AbandonWorker), None, "{}", driven.trace);
        // A worker that failed may have left activities behind.
        let dropped = driven.trace.first(Effect::AbandonActivities).is_some();
        assert_eq!(dropped, drain == Drain::Fails(300), "{}", driven.trace);
        let errors = driven.report.errors.iter().map(|it| it.error_type.as_str());
        let expected = if drain == Drain::Stops(300) { None } else { Some("WorkerFailed") };
        assert!(errors.eq(expected), "{:?}", driven.report.errors);
    }
}

/// A callback has ended, and its share of the time is over as well.
#[tokio::test(start_paused = true)]
async fn a_callback_that_ended_while_the_environment_was_frozen_did_not_time_out() {
    let script = ScriptedInvocation {
        hooks: vec![Part::ok(200)],
        cancelled_at: Some(1_000),
        ..ScriptedInvocation::good()
    };
    // The hook runs from 1,300 ms on, on_shutdown from 1,500 ms on.
    let in_hook = frozen(1_400, 20_000, &script).await;
    let in_on_shutdown = frozen(1_530, 20_000, &script).await;
    for driven in [&in_hook, &in_on_shutdown] {
        let outcomes: Vec<_> = driven.report.hooks.iter().map(|hook| &hook.outcome).collect();
        assert_eq!(outcomes, [&CallbackOutcome::Ok], "{}", driven.trace);
        assert!(driven.error.is_none());
    }
    let outcome = in_on_shutdown.report.on_shutdown;
    assert_eq!(outcome, Some(CallbackOutcome::Ok), "{}", in_on_shutdown.trace);
}

/// The wall clock and the monotonic clock differ by a minute here, as when somebody sets the wall clock.
#[tokio::test(start_paused = true)]
async fn setting_the_wall_clock_changes_neither_the_end_nor_the_time_that_callbacks_are_told() {
    let wall = SystemTime::now();
    let driven = Host::new().await.drive(&ScriptedInvocation::good()).await;
    let Driven { report, .. } = driven;
    assert_eq!((report.reason, report.state_ms.draining), (Some(Reason::DeadlineNear), 420));
    let left = report.time_left_ms.unwrap_or_default();
    // Its polls had ended 0.65 s before the stop time.
    assert!((7_220..=7_230).contains(&left), "of 7.65 s, draining took 420 ms: {left}");
    assert!(wall.elapsed().is_ok_and(|it| it < ms(30_000)), "too slow to show anything");
}

/// No duration that a user can set makes the clock overflow.
#[tokio::test(start_paused = true)]
async fn the_longest_possible_settings_do_not_overflow_the_clock() {
    let script = ScriptedInvocation {
        lasts: None,
        idle: Some(FOR_EVER),
        stay: FOR_EVER,
        grace: FOR_EVER,
        cancelled_at: Some(5_000),
        ..ScriptedInvocation::good()
    };
    let driven = Host::new().await.drive(&script).await;
    assert_eq!(driven.report.reason, Some(Reason::Cancelled));
    assert!(driven.error.is_none(), "{:?}", driven.error);
    assert!(Duration::from_millis(driven.report.total_ms) < ms(6_000));
}

#[tokio::test(start_paused = true)]
async fn concurrent_invocations_do_not_affect_each_other() {
    // Both are driven at the same time, in one environment.
    let host = Host::new().await;
    let script = ScriptedInvocation { lasts: Some(20_000), ..ScriptedInvocation::good() };
    let cancelled = ScriptedInvocation { cancelled_at: Some(2_000), ..script.clone() };
    let (first, second) = (host.prepare(&script), host.prepare(&cancelled));
    assert_eq!(host.environment.active(), 2);
    let (first, second) = tokio::join!(first.drive(&script), second.drive(&cancelled));
    assert_eq!(first.report.reason, Some(Reason::DeadlineNear));
    assert_eq!(second.report.reason, Some(Reason::Cancelled));
    assert!(first.error.is_none() && second.error.is_none());
    assert_eq!(host.environment.active(), 0);
}

/// The token that an embedding program has ends the invocations under way and those to come.
#[tokio::test(start_paused = true)]
async fn the_environments_token_ends_every_invocation() {
    let host = Host::new().await;
    let stop: CancellationToken = host.environment.stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(ms(3_000)).await;
        stop.cancel();
    });
    let first = host.drive(&ScriptedInvocation::good()).await;
    assert_eq!(first.report.reason, Some(Reason::Cancelled));
    let since = first.trace.draining_since();
    assert_eq!(since, Some(at(3_000)));
    let second = host.drive(&ScriptedInvocation::good()).await;
    assert_eq!(second.report.reason, Some(Reason::Cancelled));
    assert_eq!(second.report.first_poll_ms, None);
}
