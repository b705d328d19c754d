//! The six states, as the driver lives through them: what it does in each, and what each leaves
//! behind in the report.

use super::driven::{Driven, Host};
use super::ms;
use super::script::{Drain, How, Part, Script};
use crate::Reason;
use crate::error::Fault;
use crate::lifecycle::rules::judge;
use crate::lifecycle::{Effect, State, Step};
use crate::report::CallbackOutcome;

/// Plays a script in a new environment; every rule holds.
async fn drive(script: &Script) -> Driven {
    let driven = Host::new().await.drive(script).await;
    judge(&driven.trace);
    driven
}

fn error_type(driven: &Driven) -> Option<&'static str> {
    driven.error.as_ref().map(|error| error.fault().error_type())
}

fn did(driven: &Driven, effect: Effect) -> bool {
    driven.trace.first(effect).is_some()
}

/// What is left of an invocation whose worker never was.
fn ended_without_a_worker(driven: &Driven) {
    assert!(!did(driven, Effect::CreateWorker) && !did(driven, Effect::Finalize));
    let outcomes: Vec<_> = driven.report.hooks.iter().map(|hook| &hook.outcome).collect();
    assert_eq!(outcomes, [&CallbackOutcome::Ok; 2]);
    assert_eq!(driven.report.on_shutdown, Some(CallbackOutcome::Ok));
    assert_eq!(driven.report.reason, Some(Reason::Failed));
    assert!(!driven.report.poisoned);
}

#[tokio::test(start_paused = true)]
async fn observers_see_each_of_the_six_states() {
    let host = Host::new().await;
    let seen = host.environment.observers.latest();
    assert_eq!(seen.borrow().state, State::ColdStart);
    let driven = host.drive(&Script::good()).await;
    let expected = [
        (Effect::Configure, State::Configuring),
        (Effect::Connect, State::Configuring),
        (Effect::CreateWorker, State::Configuring),
        (Effect::OnStart, State::Connected),
        (Effect::Poll, State::Connected),
        (Effect::HoldPolls, State::Polling),
        (Effect::StopWorker, State::Polling),
        (Effect::Finalize, State::Draining),
        (Effect::RunHook(0), State::Draining),
        (Effect::RunHook(1), State::Draining),
        (Effect::OnShutdown, State::Draining),
    ];
    // What is done at once is done before it is told; user code finds itself in its own state.
    assert_eq!(driven.states, expected);
    assert_eq!(seen.borrow().state, State::TornDown);
    assert_eq!(seen.borrow().step, Step::Healthy);
    assert_eq!(seen.borrow().request_id, "r-1");
}

#[tokio::test(start_paused = true)]
async fn cold_start_is_said_of_the_first_invocation_only() {
    let host = Host::new().await;
    let begins = || host.prepare(&Script::good()).driver.machine.step();
    assert_eq!([begins(), begins()], [Step::ColdStart, Step::Healthy]);
    let host = Host::new().await;
    assert!(host.drive(&Script::good()).await.report.cold_start);
    let second = host.drive(&Script::good()).await;
    assert!(!second.report.cold_start);
    judge(&second.trace);
}

#[tokio::test(start_paused = true)]
async fn cold_start_and_an_event_that_is_too_late_runs_nothing() {
    let driven = drive(&Script { lasts: Some(90), ..Script::good() }).await;
    assert_eq!(error_type(&driven), Some("TooLate"));
    assert_eq!(driven.trace.done().count(), 0);
    assert_eq!(driven.report.on_shutdown, None);
}

#[tokio::test(start_paused = true)]
async fn configuring_and_an_error_of_configure_goes_to_the_hooks_it_registered() {
    for how in [How::Errs, How::Panics] {
        let driven = drive(&Script { configure: Part::new(how, 5), ..Script::good() }).await;
        let expected = if how == How::Errs { "ConfigureFailed" } else { "Panicked" };
        assert_eq!(error_type(&driven), Some(expected));
        ended_without_a_worker(&driven);
        assert!(!did(&driven, Effect::Connect));
    }
}

#[tokio::test(start_paused = true)]
async fn configuring_and_a_configure_that_hangs_is_cut_at_the_stop_time() {
    let driven = drive(&Script { configure: Part::HANGS, ..Script::good() }).await;
    let Some(Fault::OutOfTime { during, .. }) = driven.error.as_ref().map(|it| it.fault()) else {
        panic!("{:?}", driven.error)
    };
    assert_eq!(*during, State::Configuring);
    ended_without_a_worker(&driven);
}

/// The machine knows the hooks as soon as it needs them, however `configure` ended.
#[tokio::test(start_paused = true)]
async fn configuring_and_its_hooks_have_a_step_of_their_own_however_it_ends() {
    for configure in [Part::ok(10), Part::new(How::Errs, 10), Part::HANGS] {
        let host = Host::new().await;
        let mut seen = host.environment.observers.latest();
        let steps = tokio::spawn(async move {
            let mut steps = Vec::new();
            while steps.last() != Some(&Step::Healthy) && seen.changed().await.is_ok() {
                steps.push(seen.borrow_and_update().step);
            }
            steps
        });
        let driven = host.drive(&Script { configure, ..Script::good() }).await;
        judge(&driven.trace);
        let steps = steps.await.unwrap_or_default();
        assert!(steps.contains(&Step::Hooks), "{configure:?}: {steps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn configuring_and_a_temporal_that_does_not_answer_or_refuses_is_reported() {
    let refused = Script { connect: Part::new(How::Errs, 80), ..Script::good() };
    let driven = drive(&refused).await;
    assert_eq!(error_type(&driven), Some("TemporalUnreachable"));
    ended_without_a_worker(&driven);
    let silent = drive(&Script { connect: Part::HANGS, ..Script::good() }).await;
    assert_eq!(error_type(&silent), Some("OutOfTime"));
    let message = silent.error.map(|it| it.to_string()).unwrap_or_default();
    assert!(message.contains("TEMPORAL_ADDRESS"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn configuring_and_too_little_time_names_the_three_numbers() {
    let driven = drive(&Script { lasts: Some(7_500), ..Script::good() }).await;
    assert_eq!(error_type(&driven), Some("TooLittleTime"));
    let message = driven.error.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(
        message.contains("7s") && message.contains("1s") && message.contains("7.49"),
        "{message}"
    );
    ended_without_a_worker(&driven);
}

#[tokio::test(start_paused = true)]
async fn connected_and_a_worker_that_cannot_be_created_is_finalized_and_never_started() {
    let driven = drive(&Script { create: Part::new(How::Errs, 5), ..Script::good() }).await;
    assert_eq!(error_type(&driven), Some("WorkerCreation"));
    assert!(!did(&driven, Effect::OnStart) && did(&driven, Effect::Finalize));
    assert_eq!(driven.report.on_shutdown, Some(CallbackOutcome::Ok));
}

/// Its thread is gone, and it may have registered itself before.
#[tokio::test(start_paused = true)]
async fn connected_and_a_thread_that_panics_while_it_creates_the_worker_is_finalized_at_once() {
    let driven = drive(&Script { create: Part::new(How::Panics, 5), ..Script::good() }).await;
    assert_eq!(error_type(&driven), Some("WorkerFailed"));
    assert!(did(&driven, Effect::Finalize) && !did(&driven, Effect::OnStart));
    assert!(driven.report.total_ms < 1_000, "nobody waits for the deadline");
    assert!(!driven.report.poisoned);
}

#[tokio::test(start_paused = true)]
async fn connected_and_an_on_start_that_fails_stops_the_worker_before_it_polls() {
    for (how, expected) in
        [(How::Errs, "OnStartFailed"), (How::Panics, "Panicked"), (How::Hangs, "OutOfTime")]
    {
        let driven = drive(&Script { on_start: Part::new(how, 5), ..Script::good() }).await;
        assert_eq!(error_type(&driven), Some(expected));
        assert!(!did(&driven, Effect::Poll));
        assert!(did(&driven, Effect::StopWorker) && did(&driven, Effect::Finalize));
        assert_eq!(driven.report.first_poll_ms, None);
    }
}

#[tokio::test(start_paused = true)]
async fn polling_with_a_task_in_flight_goes_on_to_the_stop_time_and_succeeds() {
    let driven = drive(&Script { tasks: vec![100], ..Script::good() }).await;
    assert!(driven.error.is_none());
    assert_eq!(driven.report.reason, Some(Reason::DeadlineNear));
    assert_eq!(driven.report.first_poll_ms, Some(10 + 200 + 50 + 30));
    // A deadline by wall clock is not on a whole millisecond of the paused one.
    let stopped = driven.trace.draining_since().unwrap_or_default().since_origin();
    assert!(stopped > ms(52_990) && stopped <= ms(53_000), "{stopped:?}");
    assert!(driven.report.total_ms < 53_000 + 300 + 20 + 40 + 60 + 5);
}

/// Its last polls begin to end 1.85 s before the stop time; here they have ended 1.2 s later.
#[tokio::test(start_paused = true)]
async fn polling_without_a_task_ends_with_its_last_polls_shortly_before_the_stop_time() {
    let driven = drive(&Script::good()).await;
    assert!(driven.error.is_none());
    assert_eq!(driven.report.reason, Some(Reason::DeadlineNear));
    let ended = ms(53_000 - 1_850 + 1_200);
    let stopped = driven.trace.draining_since().unwrap_or_default().since_origin();
    assert!(stopped > ended - ms(10) && stopped <= ended, "{stopped:?}");
}

/// So that what `on_start` set going can end with the worker.
#[tokio::test(start_paused = true)]
async fn polling_and_its_end_cancels_the_token_that_on_start_was_given() {
    let script = Script { idle: Some(500), stay: 500, ..Script::good() };
    let host = Host::new().await;
    let prepared = host.prepare(&script);
    let (stop, arrived) = (prepared.stop.clone(), prepared.invocation.arrived());
    let cancelled = tokio::spawn(async move {
        stop.cancelled().await;
        arrived.elapsed()
    });
    let driven = prepared.drive(&script).await;
    assert_eq!(driven.report.reason, Some(Reason::Idle));
    let cancelled = tokio::time::timeout(ms(1_000), cancelled).await;
    // The last polls take 1.2 s.
    assert!(matches!(cancelled, Ok(Ok(after)) if after == ms(290 + 500 + 1_200)), "{cancelled:?}");
}

#[tokio::test(start_paused = true)]
async fn polling_and_idle_ends_early() {
    let script = Script { idle: Some(500), tasks: vec![100, 2_000], ..Script::good() };
    let driven = drive(&script).await;
    assert_eq!(driven.report.reason, Some(Reason::Idle));
    // The last polls take 1.2 s.
    assert_eq!(driven.report.state_ms.polling, 100 + 2_000 + 500 + 1_200);
    assert!(driven.error.is_none());
}

#[tokio::test(start_paused = true)]
async fn polling_and_cancelled_ends_early_without_an_error() {
    let driven = drive(&Script { cancelled_at: Some(1_000), ..Script::good() }).await;
    assert_eq!(driven.report.reason, Some(Reason::Cancelled));
    assert!(driven.error.is_none());
    assert!(driven.report.total_ms < 1_500);
}

#[tokio::test(start_paused = true)]
async fn polling_and_a_worker_that_ends_by_itself_is_an_error() {
    for (how, expected) in [(How::Succeeds, "WorkerStopped"), (How::Errs, "WorkerFailed")] {
        let script = Script { gives_up: Some(Part::new(how, 700)), ..Script::good() };
        let driven = drive(&script).await;
        assert_eq!(error_type(&driven), Some(expected));
        assert!(!did(&driven, Effect::StopWorker), "it has stopped already");
        assert!(did(&driven, Effect::Finalize));
    }
}

#[tokio::test(start_paused = true)]
async fn draining_drops_activities_that_do_not_react_and_then_the_worker() {
    let stubborn = drive(&Script { drain: Drain::Stubborn, ..Script::good() }).await;
    assert!(did(&stubborn, Effect::AbandonActivities) && !did(&stubborn, Effect::AbandonWorker));
    assert!(stubborn.error.is_none(), "activities that were dropped are retried");
    let deaf = drive(&Script { drain: Drain::Deaf, ..Script::good() }).await;
    assert!(did(&deaf, Effect::AbandonWorker));
    assert_eq!(error_type(&deaf), Some("WorkerNotStopped"));
    assert!(!deaf.report.poisoned, "it could be stopped after all");
}

#[tokio::test(start_paused = true)]
async fn draining_runs_every_hook_whatever_the_others_do() {
    let hooks =
        vec![Part::new(How::Errs, 10), Part::HANGS, Part::new(How::Panics, 10), Part::ok(10)];
    let driven = drive(&Script { hooks, ..Script::good() }).await;
    let outcomes: Vec<_> = driven.report.hooks.iter().map(|hook| &hook.outcome).collect();
    assert_eq!(
        outcomes,
        [
            &CallbackOutcome::Failed { message: "failure 10".to_owned() },
            &CallbackOutcome::TimedOut,
            &CallbackOutcome::Panicked { message: "failure 12".to_owned() },
            &CallbackOutcome::Ok,
        ]
    );
    assert_eq!(driven.report.on_shutdown, Some(CallbackOutcome::Ok));
    assert!(driven.error.is_none(), "hooks do not fail an invocation");
}

#[tokio::test(start_paused = true)]
async fn draining_reports_what_failed_first_and_attaches_the_rest() {
    let script = Script { on_start: Part::new(How::Errs, 5), drain: Drain::Deaf, ..Script::good() };
    let slow = Script { drain: Drain::Never, gives_up: None, ..Script::good() };
    let driven = drive(&script).await;
    assert_eq!(error_type(&driven), Some("OnStartFailed"));
    let never = drive(&slow).await;
    let types: Vec<_> = never.report.errors.iter().map(|it| it.error_type.as_str()).collect();
    assert_eq!(types, ["WorkerNotStopped", "NotSettled"]);
    let error = never.error.map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("; then: "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn torn_down_and_healthy_accepts_the_next_and_poisoned_refuses_it() {
    let host = Host::new().await;
    let first = host.drive(&Script::good()).await;
    assert!(!first.report.poisoned);
    let second = host.drive(&Script { drain: Drain::Never, ..Script::good() }).await;
    judge(&second.trace);
    assert!(second.report.poisoned);
    assert!(second.error.is_some_and(|error| error.is_poisoned()));
    assert!(host.environment.is_poisoned());
    assert_eq!(host.environment.active(), 0);
    let refused = host.admit(&Script::good()).err();
    assert!(matches!(refused, Some(Fault::Poisoned)), "{refused:?}");
    assert_eq!(host.environment.active(), 0, "who was not let in does not stay");
}
