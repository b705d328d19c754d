//! The driver in each of the six states: what it does there, and what the report says of it.

use super::driven::{Driven, Host};
use super::ms;
use super::scripted_invocation::{Drain, How, Part, ScriptedInvocation};
use crate::Reason;
use crate::error::Fault;
use crate::lifecycle::rules::judge;
use crate::lifecycle::{Effect, State, Step};
use crate::report::CallbackOutcome;

/// Runs a scripted invocation in a new environment, and checks every rule.
async fn drive(script: &ScriptedInvocation) -> Driven {
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

/// Checks the report and the effects of an invocation that made no worker.
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
    let driven = host.drive(&ScriptedInvocation::good()).await;
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
    // Effects that take no time come before observers hear of the state; user code runs in its own state.
    assert_eq!(driven.states, expected);
    assert_eq!(seen.borrow().state, State::TornDown);
    assert_eq!(seen.borrow().step, Step::Healthy);
    assert_eq!(seen.borrow().request_id, "r-1");
}

#[tokio::test(start_paused = true)]
async fn only_an_environments_first_invocation_is_reported_as_a_cold_start() {
    let host = Host::new().await;
    let begins = || host.prepare(&ScriptedInvocation::good()).driver.machine.step();
    assert_eq!([begins(), begins()], [Step::ColdStart, Step::Healthy]);
    let host = Host::new().await;
    assert!(host.drive(&ScriptedInvocation::good()).await.report.cold_start);
    let second = host.drive(&ScriptedInvocation::good()).await;
    assert!(!second.report.cold_start);
    judge(&second.trace);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_too_late_runs_no_user_code() {
    let driven = drive(&ScriptedInvocation { lasts: Some(90), ..ScriptedInvocation::good() }).await;
    assert_eq!(error_type(&driven), Some("TooLate"));
    assert_eq!(driven.trace.done().count(), 0);
    assert_eq!(driven.report.on_shutdown, None);
}

#[tokio::test(start_paused = true)]
async fn the_hooks_that_a_failed_configure_added_are_told_its_error() {
    for how in [How::Errs, How::Panics] {
        let driven = drive(&ScriptedInvocation {
            configure: Part::new(how, 5),
            ..ScriptedInvocation::good()
        })
        .await;
        let expected = if how == How::Errs { "ConfigureFailed" } else { "Panicked" };
        assert_eq!(error_type(&driven), Some(expected));
        ended_without_a_worker(&driven);
        assert!(!did(&driven, Effect::Connect));
    }
}

#[tokio::test(start_paused = true)]
async fn a_configure_that_hangs_is_cut_short_at_the_stop_time() {
    let driven =
        drive(&ScriptedInvocation { configure: Part::HANGS, ..ScriptedInvocation::good() }).await;
    let Some(Fault::OutOfTime { during, .. }) = driven.error.as_ref().map(|it| it.fault()) else {
        panic!("{:?}", driven.error)
    };
    assert_eq!(*during, State::Configuring);
    ended_without_a_worker(&driven);
}

/// The machine knows how many hooks there are when it needs the number, however `configure` ended.
#[tokio::test(start_paused = true)]
async fn hooks_run_however_configure_ends() {
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
        let driven =
            host.drive(&ScriptedInvocation { configure, ..ScriptedInvocation::good() }).await;
        judge(&driven.trace);
        let steps = steps.await.unwrap_or_default();
        assert!(steps.contains(&Step::Hooks), "{configure:?}: {steps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_the_connection_or_does_not_answer_is_reported() {
    let refused =
        ScriptedInvocation { connect: Part::new(How::Errs, 80), ..ScriptedInvocation::good() };
    let driven = drive(&refused).await;
    assert_eq!(error_type(&driven), Some("TemporalUnreachable"));
    ended_without_a_worker(&driven);
    let silent =
        drive(&ScriptedInvocation { connect: Part::HANGS, ..ScriptedInvocation::good() }).await;
    assert_eq!(error_type(&silent), Some("OutOfTime"));
    let message = silent.error.map(|it| it.to_string()).unwrap_or_default();
    assert!(message.contains("TEMPORAL_ADDRESS"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn too_little_time_is_reported_with_the_three_durations() {
    let driven =
        drive(&ScriptedInvocation { lasts: Some(7_500), ..ScriptedInvocation::good() }).await;
    assert_eq!(error_type(&driven), Some("TooLittleTime"));
    let message = driven.error.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(
        message.contains("7s") && message.contains("1s") && message.contains("7.49"),
        "{message}"
    );
    ended_without_a_worker(&driven);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_cannot_be_created_is_finalized_and_never_started() {
    let driven = drive(&ScriptedInvocation {
        create: Part::new(How::Errs, 5),
        ..ScriptedInvocation::good()
    })
    .await;
    assert_eq!(error_type(&driven), Some("WorkerCreation"));
    assert!(!did(&driven, Effect::OnStart) && did(&driven, Effect::Finalize));
    assert_eq!(driven.report.on_shutdown, Some(CallbackOutcome::Ok));
}

/// The worker's thread is gone, and the worker may have registered itself before.
#[tokio::test(start_paused = true)]
async fn a_worker_whose_thread_panics_while_it_is_created_is_finalized_at_once() {
    let driven = drive(&ScriptedInvocation {
        create: Part::new(How::Panics, 5),
        ..ScriptedInvocation::good()
    })
    .await;
    assert_eq!(error_type(&driven), Some("WorkerFailed"));
    assert!(did(&driven, Effect::Finalize) && !did(&driven, Effect::OnStart));
    assert!(driven.report.total_ms < 1_000, "nobody waits for the deadline");
    assert!(!driven.report.poisoned);
}

#[tokio::test(start_paused = true)]
async fn an_on_start_that_fails_stops_the_worker_before_it_polls() {
    for (how, expected) in
        [(How::Errs, "OnStartFailed"), (How::Panics, "Panicked"), (How::Hangs, "OutOfTime")]
    {
        let driven = drive(&ScriptedInvocation {
            on_start: Part::new(how, 5),
            ..ScriptedInvocation::good()
        })
        .await;
        assert_eq!(error_type(&driven), Some(expected));
        assert!(!did(&driven, Effect::Poll));
        assert!(did(&driven, Effect::StopWorker) && did(&driven, Effect::Finalize));
        assert_eq!(driven.report.first_poll_ms, None);
    }
}

#[tokio::test(start_paused = true)]
async fn polling_goes_on_to_the_stop_time_while_a_task_is_in_flight() {
    let driven =
        drive(&ScriptedInvocation { tasks: vec![100], ..ScriptedInvocation::good() }).await;
    assert!(driven.error.is_none());
    assert_eq!(driven.report.reason, Some(Reason::DeadlineNear));
    assert_eq!(driven.report.first_poll_ms, Some(10 + 200 + 50 + 30));
    // A deadline by wall clock is not on a whole millisecond of the paused one.
    let stopped = driven.trace.draining_since().unwrap_or_default().since_origin();
    assert!(stopped > ms(52_990) && stopped <= ms(53_000), "{stopped:?}");
    assert!(driven.report.total_ms < 53_000 + 300 + 20 + 40 + 60 + 5);
}

/// The last polls begin to end 1.85 s before the stop time, and have ended 1.2 s later here.
#[tokio::test(start_paused = true)]
async fn polling_without_a_task_ends_with_the_last_polls_shortly_before_the_stop_time() {
    let driven = drive(&ScriptedInvocation::good()).await;
    assert!(driven.error.is_none());
    assert_eq!(driven.report.reason, Some(Reason::DeadlineNear));
    let ended = ms(53_000 - 1_850 + 1_200);
    let stopped = driven.trace.draining_since().unwrap_or_default().since_origin();
    assert!(stopped > ended - ms(10) && stopped <= ended, "{stopped:?}");
}

/// So that tasks which `on_start` spawned can end with the worker.
#[tokio::test(start_paused = true)]
async fn the_end_of_polling_cancels_the_token_that_on_start_was_given() {
    let script = ScriptedInvocation { idle: Some(500), stay: 500, ..ScriptedInvocation::good() };
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
async fn an_idle_invocation_ends_early() {
    let script = ScriptedInvocation {
        idle: Some(500),
        tasks: vec![100, 2_000],
        ..ScriptedInvocation::good()
    };
    let driven = drive(&script).await;
    assert_eq!(driven.report.reason, Some(Reason::Idle));
    // The last polls take 1.2 s.
    assert_eq!(driven.report.state_ms.polling, 100 + 2_000 + 500 + 1_200);
    assert!(driven.error.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_invocation_that_is_cancelled_while_polling_ends_early_without_an_error() {
    let driven =
        drive(&ScriptedInvocation { cancelled_at: Some(1_000), ..ScriptedInvocation::good() })
            .await;
    assert_eq!(driven.report.reason, Some(Reason::Cancelled));
    assert!(driven.error.is_none());
    assert!(driven.report.total_ms < 1_500);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ends_by_itself_while_polling_is_an_error() {
    for (how, expected) in [(How::Succeeds, "WorkerStopped"), (How::Errs, "WorkerFailed")] {
        let script = ScriptedInvocation {
            gives_up: Some(Part::new(how, 700)),
            ..ScriptedInvocation::good()
        };
        let driven = drive(&script).await;
        assert_eq!(error_type(&driven), Some(expected));
        assert!(!did(&driven, Effect::StopWorker), "it has stopped already");
        assert!(did(&driven, Effect::Finalize));
    }
}

#[tokio::test(start_paused = true)]
async fn draining_drops_activities_that_do_not_react_and_then_the_worker() {
    let stubborn =
        drive(&ScriptedInvocation { drain: Drain::Stubborn, ..ScriptedInvocation::good() }).await;
    assert!(did(&stubborn, Effect::AbandonActivities) && !did(&stubborn, Effect::AbandonWorker));
    assert!(stubborn.error.is_none(), "activities that were dropped are retried");
    let deaf =
        drive(&ScriptedInvocation { drain: Drain::Deaf, ..ScriptedInvocation::good() }).await;
    assert!(did(&deaf, Effect::AbandonWorker));
    assert_eq!(error_type(&deaf), Some("WorkerNotStopped"));
    assert!(!deaf.report.poisoned, "it could be stopped after all");
}

#[tokio::test(start_paused = true)]
async fn draining_runs_every_hook_whatever_the_others_do() {
    let hooks =
        vec![Part::new(How::Errs, 10), Part::HANGS, Part::new(How::Panics, 10), Part::ok(10)];
    let driven = drive(&ScriptedInvocation { hooks, ..ScriptedInvocation::good() }).await;
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
    let script = ScriptedInvocation {
        on_start: Part::new(How::Errs, 5),
        drain: Drain::Deaf,
        ..ScriptedInvocation::good()
    };
    let slow =
        ScriptedInvocation { drain: Drain::Never, gives_up: None, ..ScriptedInvocation::good() };
    let driven = drive(&script).await;
    assert_eq!(error_type(&driven), Some("OnStartFailed"));
    let never = drive(&slow).await;
    let types: Vec<_> = never.report.errors.iter().map(|it| it.error_type.as_str()).collect();
    assert_eq!(types, ["WorkerNotStopped", "NotSettled"]);
    let error = never.error.map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("; then: "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_healthy_environment_admits_the_next_event_and_a_poisoned_one_refuses_it() {
    let host = Host::new().await;
    let first = host.drive(&ScriptedInvocation::good()).await;
    assert!(!first.report.poisoned);
    let second =
        host.drive(&ScriptedInvocation { drain: Drain::Never, ..ScriptedInvocation::good() }).await;
    judge(&second.trace);
    assert!(second.report.poisoned);
    assert!(second.error.is_some_and(|error| error.is_poisoned()));
    assert!(host.environment.is_poisoned());
    assert_eq!(host.environment.active(), 0);
    let refused = host.admit(&ScriptedInvocation::good()).err();
    assert!(matches!(refused, Some(Fault::Poisoned)), "{refused:?}");
    assert_eq!(host.environment.active(), 0, "a refused invocation does not count as under way");
}
