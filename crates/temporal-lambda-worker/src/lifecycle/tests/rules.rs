//! The invariants of the lifecycle, by name. They are written from the design, know nothing of
//! the table, and look at a [`Story`] only, so that they judge the machine and the driver alike.
//!
//! Numbers stand here as literals on purpose: a changed constant must not change its own judge.

use super::super::{Effect, Ending, Event, Input, Moment};
use super::account::{account, check, idle_due, stop_time};
use super::callback_rules::{
    callbacks_at_the_end_share_what_is_left, hooks_run_once_each_in_order_before_on_shutdown,
    on_shutdown_runs_exactly_once_if_configure_was_entered, one_callback_runs_at_a_time,
};
use super::ms;
use super::story::{Blame, Seen, Story};

/// A rule: what it found wrong.
pub(crate) type Rule = fn(&Story) -> Result<(), String>;

macro_rules! rules {
    ($($name:ident),* $(,)?) => {
        /// Every rule, with its name.
        pub(crate) const RULES: &[(&str, Rule)] = &[$((stringify!($name), $name)),*];
    };
}

rules! {
    it_ends,
    it_ends_before_the_response_is_due,
    draining_takes_no_longer_than_the_buffer,
    work_comes_in_the_order_of_an_invocation,
    nothing_begins_before_what_it_needs,
    configure_runs_once_unless_the_event_came_too_late,
    on_start_runs_at_most_once_and_only_after_connected,
    nothing_begins_after_the_stop_time,
    nothing_polls_after_the_stop_time,
    polls_are_held_back_and_let_go_on_in_turn,
    draining_waits_for_the_last_polls,
    an_idle_worker_polls_for_the_idle_timeout_and_the_minimum_stay,
    activities_have_their_grace_and_no_more,
    every_created_worker_is_finalized,
    activities_of_a_worker_that_ended_by_itself_are_dropped,
    a_worker_is_finalized_when_it_has_ended_or_is_given_up,
    hooks_run_once_each_in_order_before_on_shutdown,
    on_shutdown_runs_exactly_once_if_configure_was_entered,
    one_callback_runs_at_a_time,
    callbacks_at_the_end_share_what_is_left,
    what_failed_is_reported_in_its_order,
    the_reason_is_what_ended_it,
    it_is_healthy_exactly_if_everything_settled,
}

/// Holds a story against every rule.
pub(crate) fn judge(story: &Story) {
    for (name, rule) in RULES {
        if let Err(why) = rule(story) {
            panic!("{name}: {why}\n{story}");
        }
    }
}

fn it_ends(story: &Story) -> Result<(), String> {
    check(story.end.is_some(), || "it does not".to_owned())
}

/// 50 ms are left for posting the response. An environment that was frozen past its time ends as
/// soon as it thaws: unregistering the worker may take 50 ms, and so may settling.
fn it_ends_before_the_response_is_due(story: &Story) -> Result<(), String> {
    let (Some(end), Some(deadline)) = (&story.end, story.window.deadline) else { return Ok(()) };
    if story.came_too_late() {
        return check(end.at == story.window.arrival, || "it waits for nothing".to_owned());
    }
    let due = deadline.earlier(ms(50)).later(story.blur);
    let due = story.thawed().map_or(due, |thawed| due.max(thawed.later(ms(100))));
    check(end.at <= due, || format!("{:?} is after {due:?}", end.at))
}

fn draining_takes_no_longer_than_the_buffer(story: &Story) -> Result<(), String> {
    let (Some(end), Some(since)) = (&story.end, story.draining_since()) else { return Ok(()) };
    // A freeze is not the machine's fault.
    let since = story.thawed().map_or(since, |thawed| since.max(thawed));
    let took = end.at.since(since);
    // The settings before `configure` may leave no room even for the smallest end.
    let limit = story.allowance().buffer.max(ms(600)) + story.blur;
    check(took <= limit, || format!("{took:?} is more than {limit:?}"))
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
fn work_comes_in_the_order_of_an_invocation(story: &Story) -> Result<(), String> {
    let ranked: Vec<_> =
        story.done().filter_map(|(_, effect)| Some((rank(effect)?, effect))).collect();
    for pair in ranked.windows(2) {
        check(pair[0].0 < pair[1].0, || format!("{:?} after {:?}", pair[1].1, pair[0].1))?;
    }
    Ok(())
}

fn nothing_begins_before_what_it_needs(story: &Story) -> Result<(), String> {
    let mut heard: Vec<&Input<Blame>> = Vec::new();
    for line in &story.lines {
        match &line.seen {
            Seen::Heard(input) => heard.push(input),
            Seen::Did(effect) => {
                let has = |like: fn(&Input<Blame>) -> bool| heard.iter().any(|input| like(input));
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

fn configure_runs_once_unless_the_event_came_too_late(story: &Story) -> Result<(), String> {
    let expected = usize::from(!story.came_too_late());
    let times = story.count(|it| it == Effect::Configure);
    check(times == expected, || format!("{times} times"))
}

fn on_start_runs_at_most_once_and_only_after_connected(story: &Story) -> Result<(), String> {
    let times = story.count(|it| it == Effect::OnStart);
    check(times <= 1, || format!("{times} times"))?;
    let connected = story.heard().find(|(_, input)| **input == Input::Connected);
    let Some(on_start) = story.first(Effect::OnStart) else { return Ok(()) };
    check(connected.is_some_and(|(at, _)| at <= on_start), || "not connected".to_owned())
}

fn nothing_begins_after_the_stop_time(story: &Story) -> Result<(), String> {
    let Some(stop) = stop_time(story) else { return Ok(()) };
    for effect in [Effect::Connect, Effect::CreateWorker, Effect::OnStart, Effect::Poll] {
        let at = story.first(effect);
        check(at.is_none_or(|at| at < stop), || format!("{effect:?} at {at:?}, after {stop:?}"))?;
    }
    Ok(())
}

fn nothing_polls_after_the_stop_time(story: &Story) -> Result<(), String> {
    let (Some(stop), Some(poll)) = (stop_time(story), story.first(Effect::Poll)) else {
        return Ok(());
    };
    check(poll < stop, || format!("it begins at {poll:?}, to stop at {stop:?}"))?;
    let over = story.draining_since().unwrap_or_default();
    let last = story.last_hold().map_or(stop, |hold| last_polls_over(story, hold));
    let by = stop.max(last).max(story.thawed().unwrap_or_default()).later(story.blur);
    check(over <= by, || format!("it goes on to {over:?}, to stop at {stop:?}"))
}

/// When the last polls are not waited for any longer: 0.6 s after they should have ended, and not
/// when there is no more than the time to end without grace.
fn last_polls_over(story: &Story, hold: usize) -> Moment {
    let over = story.lines[hold].at.later(story.polls_end_within()).later(ms(600));
    story.window.deadline.map_or(over, |deadline| over.min(deadline.earlier(ms(600))))
}

fn polls_are_held_back_and_let_go_on_in_turn(story: &Story) -> Result<(), String> {
    let mut polls = false;
    for (_, effect) in story.done() {
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

/// Unless it was cancelled, or the worker ended by itself, or the server keeps silent.
fn draining_waits_for_the_last_polls(story: &Story) -> Result<(), String> {
    let Some(end) = &story.end else { return Ok(()) };
    if !matches!(end.ending, Some(Ending::Idle | Ending::DeadlineNear)) {
        return Ok(());
    }
    let Some(hold) = story.last_hold() else { return Err("polls were not held back".to_owned()) };
    let drain = story.draining_from().unwrap_or(story.lines.len());
    let ended = story.lines[hold..drain].iter().any(|it| it.seen == Seen::Heard(Input::PollsEnded));
    let since = story.draining_since().unwrap_or_default().later(story.blur);
    let over = last_polls_over(story, hold);
    check(ended || since >= over, || format!("drains at {since:?}, polls may last to {over:?}"))
}

fn an_idle_worker_polls_for_the_idle_timeout_and_the_minimum_stay(
    story: &Story,
) -> Result<(), String> {
    let (Some(poll), Some(drain)) = (story.first(Effect::Poll), story.draining_since()) else {
        return Ok(());
    };
    let idle = story.end.as_ref().is_some_and(|end| end.ending == Some(Ending::Idle));
    let Some(due) = idle_due(story, poll) else {
        return check(!idle, || "it has no idle timeout, or it is busy".to_owned());
    };
    let drain = story.last_hold().map_or(drain, |hold| story.lines[hold].at);
    check(!idle || drain >= due, || format!("idle at {drain:?}, not at {due:?}"))?;
    let late = drain > due.later(story.blur) && story.thawed().is_none();
    check(!late, || format!("idle at {due:?}, and it polls until {drain:?}"))
}

/// Half of the 0.5 s after the grace period is for activities to react to their cancellation. A grace period
/// that begins after the stop time is so much shorter.
fn activities_have_their_grace_and_no_more(story: &Story) -> Result<(), String> {
    let Some(since) = story.draining_since().filter(|_| story.thawed().is_none()) else {
        return Ok(());
    };
    let grace = story.allowance().grace;
    let late = stop_time(story).map_or(ms(0), |stop| since.since(stop));
    let over = (Event::GraceOver, Effect::AbandonActivities, 250);
    for (timer, effect, after) in [over, (Event::CapPassed, Effect::AbandonWorker, 500)] {
        let timed = story
            .lines
            .windows(2)
            .find(|pair| pair[0].seen == Seen::Timer(timer) && pair[1].seen == Seen::Did(effect));
        if let Some(pair) = timed {
            let took = pair[1].at.since(since);
            let expected = grace.saturating_sub(late) + ms(after);
            let holds = took >= expected && took <= expected + story.blur;
            check(holds, || format!("{effect:?} after {took:?}, not after {expected:?}"))?;
        }
    }
    let (dropped, given_up) = (Effect::AbandonActivities, Effect::AbandonWorker);
    let in_turn = story.first(given_up).is_none() || story.first(dropped).is_some();
    check(in_turn, || "the worker is given up before its activities are dropped".to_owned())
}

/// And so is one whose creation failed: it may have come half-way.
fn every_created_worker_is_finalized(story: &Story) -> Result<(), String> {
    let created = story.count(|it| it == Effect::CreateWorker);
    let finalized = story.count(|it| it == Effect::Finalize);
    check(finalized == created, || format!("created {created} times, finalized {finalized} times"))
}

/// Whatever ended it, activities may be left behind.
fn activities_of_a_worker_that_ended_by_itself_are_dropped(story: &Story) -> Result<(), String> {
    let mut working = false;
    for line in &story.lines {
        match &line.seen {
            Seen::Did(Effect::Poll) => working = true,
            Seen::Did(Effect::StopWorker) => working = false,
            Seen::Heard(Input::WorkerStopped | Input::WorkerFailed(_)) if working => {
                let dropped = story.first(Effect::AbandonActivities) == Some(line.at);
                return check(dropped, || "they are not".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

fn a_worker_is_finalized_when_it_has_ended_or_is_given_up(story: &Story) -> Result<(), String> {
    let Some(index) = story.lines.iter().position(|it| it.seen == Seen::Did(Effect::Finalize))
    else {
        return Ok(());
    };
    let gone = story.lines[..index].iter().any(|line| match line.seen {
        Seen::Heard(Input::WorkerStopped | Input::WorkerFailed(_) | Input::Failed(_)) => true,
        Seen::Did(effect) => effect == Effect::AbandonWorker,
        _ => false,
    });
    check(gone, || "it is still there".to_owned())
}

fn what_failed_is_reported_in_its_order(story: &Story) -> Result<(), String> {
    let Some(end) = &story.end else { return Ok(()) };
    let (expected, _) = account(story);
    check(end.causes == expected, || format!("{:?}, not {expected:?}", end.causes))
}

fn the_reason_is_what_ended_it(story: &Story) -> Result<(), String> {
    let Some(end) = &story.end else { return Ok(()) };
    let (_, expected) = account(story);
    check(end.ending == expected, || format!("{:?}, not {expected:?}", end.ending))
}

fn it_is_healthy_exactly_if_everything_settled(story: &Story) -> Result<(), String> {
    let Some(end) = &story.end else { return Ok(()) };
    let settled = story.heard().any(|(_, input)| *input == Input::Settled);
    let expected = settled || story.came_too_late();
    check(end.healthy == expected, || format!("settled: {settled}"))
}
