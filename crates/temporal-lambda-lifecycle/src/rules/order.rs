//! Rules about order: what has to come before what, and how often.

use super::check;
use super::trace::{Failure, Seen, Trace};
use crate::{Effect, Input};

pub(super) fn it_ends(trace: &Trace) -> Result<(), String> {
    check(trace.end.is_some(), || "it does not".to_owned())
}

fn rank(effect: Effect) -> Option<usize> {
    Some(match effect {
        Effect::Configure => 0,
        Effect::WarnShortWork(_) => 1,
        Effect::Connect => 2,
        Effect::CreateWorker => 3,
        Effect::OnStart => 4,
        Effect::Poll => 5,
        Effect::StopWorker => 6,
        Effect::AbandonActivities => 7,
        Effect::AbandonWorker => 8,
        Effect::Finalize => 9,
        Effect::RunHook(number) => 10 + number,
        Effect::OnShutdown => usize::MAX - 1,
        Effect::Settle => usize::MAX,
        Effect::AbortStep | Effect::HoldPolls | Effect::ResumePolls => return None,
    })
}

/// Everything happens at most once, and nothing that was left behind comes again.
pub(super) fn work_comes_in_the_order_of_an_invocation(trace: &Trace) -> Result<(), String> {
    let ranked: Vec<_> =
        trace.done().filter_map(|(_, effect)| Some((rank(effect)?, effect))).collect();
    for pair in ranked.windows(2) {
        check(pair[0].0 < pair[1].0, || format!("{:?} after {:?}", pair[1].1, pair[0].1))?;
    }
    Ok(())
}

pub(super) fn nothing_begins_before_what_it_needs(trace: &Trace) -> Result<(), String> {
    let mut heard: Vec<&Input<Failure>> = Vec::new();
    for line in &trace.lines {
        match &line.seen {
            Seen::Heard(input) => heard.push(input),
            Seen::Did(effect) => {
                let has = |like: fn(&Input<Failure>) -> bool| heard.iter().any(|input| like(input));
                let ready = match effect {
                    Effect::Connect => has(|it| matches!(it, Input::Configured(_))),
                    Effect::CreateWorker => has(|it| *it == Input::Connected),
                    Effect::OnStart => has(|it| matches!(it, Input::WorkerCreated { .. })),
                    Effect::Poll => has(|it| *it == Input::WorkerStarted),
                    _ => true,
                };
                check(ready, || format!("{effect:?}"))?;
            }
            Seen::Refused(..) | Seen::Timer(_) | Seen::Thawed => {}
        }
    }
    Ok(())
}

pub(super) fn configure_runs_once_unless_the_event_came_too_late(
    trace: &Trace,
) -> Result<(), String> {
    let expected = usize::from(!trace.came_too_late());
    let times = trace.count(|it| it == Effect::Configure);
    check(times == expected, || format!("{times} times"))
}

pub(super) fn on_start_runs_at_most_once_and_only_after_connected(
    trace: &Trace,
) -> Result<(), String> {
    let times = trace.count(|it| it == Effect::OnStart);
    check(times <= 1, || format!("{times} times"))?;
    let connected = trace.heard().find(|(_, input)| **input == Input::Connected);
    let Some(on_start) = trace.first(Effect::OnStart) else { return Ok(()) };
    check(connected.is_some_and(|(at, _)| at <= on_start), || "not connected".to_owned())
}

pub(super) fn polls_are_held_back_and_let_go_on_in_turn(trace: &Trace) -> Result<(), String> {
    let mut polls = false;
    for (_, effect) in trace.done() {
        let expected = match effect {
            Effect::Poll | Effect::ResumePolls => !polls,
            Effect::HoldPolls => polls,
            _ => continue,
        };
        check(expected, || format!("{effect:?}, and polls begin: {polls}"))?;
        polls = effect != Effect::HoldPolls;
    }
    Ok(())
}

/// And so is one whose creation failed: it may have come half-way.
pub(super) fn every_created_worker_is_finalized(trace: &Trace) -> Result<(), String> {
    let created = trace.count(|it| it == Effect::CreateWorker);
    let finalized = trace.count(|it| it == Effect::Finalize);
    check(finalized == created, || format!("created {created} times, finalized {finalized} times"))
}

/// Whatever ended it, activities may be left behind.
pub(super) fn activities_of_a_worker_that_ended_by_itself_are_dropped(
    trace: &Trace,
) -> Result<(), String> {
    let mut working = false;
    for line in &trace.lines {
        match &line.seen {
            Seen::Did(Effect::Poll) => working = true,
            Seen::Did(Effect::StopWorker) => working = false,
            Seen::Heard(Input::WorkerStopped | Input::WorkerFailed(_)) if working => {
                let dropped = trace.first(Effect::AbandonActivities) == Some(line.at);
                return check(dropped, || "they are not".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn a_worker_is_finalized_when_it_has_ended_or_is_given_up(
    trace: &Trace,
) -> Result<(), String> {
    let Some(index) = trace.lines.iter().position(|it| it.seen == Seen::Did(Effect::Finalize))
    else {
        return Ok(());
    };
    let gone = trace.lines[..index].iter().any(|line| match line.seen {
        Seen::Heard(Input::WorkerStopped | Input::WorkerFailed(_) | Input::Failed(_)) => true,
        Seen::Did(effect) => effect == Effect::AbandonWorker,
        _ => false,
    });
    check(gone, || "it is still there".to_owned())
}

pub(super) fn hooks_run_once_each_in_order_before_on_shutdown(trace: &Trace) -> Result<(), String> {
    let runs: Vec<_> = trace
        .done()
        .filter_map(|(at, effect)| match effect {
            Effect::RunHook(number) => Some((at, number)),
            _ => None,
        })
        .collect();
    let numbers: Vec<_> = runs.iter().map(|(_, number)| *number).collect();
    check(numbers.iter().copied().eq(0..numbers.len()), || format!("{numbers:?}"))?;
    let Some(index) = trace.lines.iter().position(|it| it.seen == Seen::Did(Effect::OnShutdown))
    else {
        return check(numbers.is_empty(), || "hooks without on_shutdown".to_owned());
    };
    let registered = trace.lines[index].hooks;
    check(numbers.len() == registered, || format!("{registered} registered, {numbers:?} run"))
}

pub(super) fn on_shutdown_runs_exactly_once_if_configure_was_entered(
    trace: &Trace,
) -> Result<(), String> {
    let entered = trace.count(|it| it == Effect::Configure);
    let times = trace.count(|it| it == Effect::OnShutdown);
    check(times == entered, || format!("{times} times"))
}

/// A callback ends, or is cut short, before the next begins: they share the user's struct.
pub(super) fn one_callback_runs_at_a_time(trace: &Trace) -> Result<(), String> {
    let mut running: Option<Effect> = None;
    for line in &trace.lines {
        match &line.seen {
            Seen::Did(
                effect @ (Effect::Configure
                | Effect::OnStart
                | Effect::RunHook(_)
                | Effect::OnShutdown),
            ) => {
                check(running.is_none(), || format!("{effect:?} during {running:?}"))?;
                running = Some(*effect);
            }
            Seen::Did(Effect::AbortStep) => running = None,
            Seen::Heard(input) => {
                let ended = match running {
                    Some(Effect::Configure) => {
                        matches!(input, Input::Configured(_) | Input::Failed(_))
                    }
                    Some(Effect::OnStart) => {
                        matches!(input, Input::WorkerStarted | Input::Failed(_))
                    }
                    Some(Effect::RunHook(number)) => *input == Input::HookEnded(number),
                    Some(Effect::OnShutdown) => *input == Input::ShutdownEnded,
                    _ => false,
                };
                if ended {
                    running = None;
                }
            }
            Seen::Did(_) | Seen::Refused(..) | Seen::Timer(_) | Seen::Thawed => {}
        }
    }
    check(running.is_none(), || format!("{running:?} was left running"))
}
