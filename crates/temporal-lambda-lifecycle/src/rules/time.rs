//! Rules about time: nothing begins too late, nothing takes longer than it may.
//!
//! Numbers stand here as literals on purpose: a changed constant must not change its own rule.

use std::time::Duration;

use super::account::{idle_due, stop_time};
use super::trace::{Seen, Trace};
use super::{check, ms};
use crate::{Effect, Ending, Event, Input, Moment};

/// 50 ms are left for posting the response. An environment that was frozen past its time ends as
/// soon as it thaws: unregistering the worker may take 50 ms, and so may settling.
pub(super) fn it_ends_before_the_response_is_due(trace: &Trace) -> Result<(), String> {
    let (Some(end), Some(deadline)) = (&trace.end, trace.window.deadline) else { return Ok(()) };
    if trace.came_too_late() {
        return check(end.at == trace.window.arrival, || "it waits for nothing".to_owned());
    }
    let due = deadline.earlier(ms(50)).later(trace.blur);
    let due = trace.thawed().map_or(due, |thawed| due.max(thawed.later(ms(100))));
    check(end.at <= due, || format!("{:?} is after {due:?}", end.at))
}

pub(super) fn draining_takes_no_longer_than_the_buffer(trace: &Trace) -> Result<(), String> {
    let (Some(end), Some(since)) = (&trace.end, trace.draining_since()) else { return Ok(()) };
    // A freeze is not the machine's fault.
    let since = trace.thawed().map_or(since, |thawed| since.max(thawed));
    let took = end.at.since(since);
    // The settings before `configure` may leave no room even for the smallest end.
    let limit = trace.allowance().buffer.max(ms(600)) + trace.blur;
    check(took <= limit, || format!("{took:?} is more than {limit:?}"))
}

pub(super) fn nothing_begins_after_the_stop_time(trace: &Trace) -> Result<(), String> {
    let Some(stop) = stop_time(trace) else { return Ok(()) };
    for effect in [Effect::Connect, Effect::CreateWorker, Effect::OnStart, Effect::Poll] {
        let at = trace.first(effect);
        check(at.is_none_or(|at| at < stop), || format!("{effect:?} at {at:?}, after {stop:?}"))?;
    }
    Ok(())
}

pub(super) fn nothing_polls_after_the_stop_time(trace: &Trace) -> Result<(), String> {
    let (Some(stop), Some(poll)) = (stop_time(trace), trace.first(Effect::Poll)) else {
        return Ok(());
    };
    check(poll < stop, || format!("it begins at {poll:?}, to stop at {stop:?}"))?;
    let over = trace.draining_since().unwrap_or_default();
    let last = trace.last_hold().map_or(stop, |hold| last_polls_over(trace, hold));
    let by = stop.max(last).max(trace.thawed().unwrap_or_default()).later(trace.blur);
    check(over <= by, || format!("it goes on to {over:?}, to stop at {stop:?}"))
}

/// When the last polls are not waited for any longer: 3.6 s after they should have ended, and not
/// when there is no more than the time to end without grace.
fn last_polls_over(trace: &Trace, hold: usize) -> Moment {
    let over = trace.lines[hold].at.later(trace.polls_end_within()).later(ms(3_600));
    trace.window.deadline.map_or(over, |deadline| over.min(deadline.earlier(ms(600))))
}

/// Unless it was cancelled, or the worker ended by itself, or the server keeps silent.
pub(super) fn draining_waits_for_the_last_polls(trace: &Trace) -> Result<(), String> {
    let Some(end) = &trace.end else { return Ok(()) };
    if !matches!(end.ending, Some(Ending::Idle | Ending::DeadlineNear)) {
        return Ok(());
    }
    let Some(hold) = trace.last_hold() else { return Err("polls were not held back".to_owned()) };
    let drain = trace.draining_from().unwrap_or(trace.lines.len());
    let ended = trace.lines[hold..drain].iter().any(|it| it.seen == Seen::Heard(Input::PollsEnded));
    let since = trace.draining_since().unwrap_or_default().later(trace.blur);
    let over = last_polls_over(trace, hold);
    check(ended || since >= over, || format!("drains at {since:?}, polls may last to {over:?}"))
}

pub(super) fn an_idle_worker_polls_for_the_idle_timeout_and_the_minimum_stay(
    trace: &Trace,
) -> Result<(), String> {
    let (Some(poll), Some(drain)) = (trace.first(Effect::Poll), trace.draining_since()) else {
        return Ok(());
    };
    let idle = trace.end.as_ref().is_some_and(|end| end.ending == Some(Ending::Idle));
    let Some(due) = idle_due(trace, poll) else {
        return check(!idle, || "it has no idle timeout, or it is busy".to_owned());
    };
    let drain = trace.last_hold().map_or(drain, |hold| trace.lines[hold].at);
    check(!idle || drain >= due, || format!("idle at {drain:?}, not at {due:?}"))?;
    let late = drain > due.later(trace.blur) && trace.thawed().is_none();
    check(!late, || format!("idle at {due:?}, and it polls until {drain:?}"))
}

/// Half of the 0.5 s for finalizing is for activities to react to their cancellation. A grace period
/// that begins after the stop time is so much shorter.
pub(super) fn activities_have_their_grace_and_no_more(trace: &Trace) -> Result<(), String> {
    let Some(since) = trace.draining_since().filter(|_| trace.thawed().is_none()) else {
        return Ok(());
    };
    let grace = trace.allowance().grace;
    let late = stop_time(trace).map_or(ms(0), |stop| since.since(stop));
    let over = (Event::GraceOver, Effect::AbandonActivities, 250);
    for (timer, effect, after) in [over, (Event::CapPassed, Effect::AbandonWorker, 500)] {
        let timed = trace
            .lines
            .windows(2)
            .find(|pair| pair[0].seen == Seen::Timer(timer) && pair[1].seen == Seen::Did(effect));
        if let Some(pair) = timed {
            let took = pair[1].at.since(since);
            let expected = grace.saturating_sub(late) + ms(after);
            let holds = took >= expected && took <= expected + trace.blur;
            check(holds, || format!("{effect:?} after {took:?}, not after {expected:?}"))?;
        }
    }
    let (dropped, given_up) = (Effect::AbandonActivities, Effect::AbandonWorker);
    let in_turn = trace.first(given_up).is_none() || trace.first(dropped).is_some();
    check(in_turn, || "the worker is given up before its activities are dropped".to_owned())
}

/// Each hook, and `on_shutdown` after them, may take what the earlier ones left but for 0.1 s for
/// each that is still to come, and an equal part if there is less; nothing is cut short earlier, and
/// nothing later.
pub(super) fn callbacks_at_the_end_share_what_is_left(trace: &Trace) -> Result<(), String> {
    let Some(since) = trace.draining_since().filter(|_| trace.thawed().is_none()) else {
        return Ok(());
    };
    let by_buffer = since.later(trace.allowance().buffer.max(ms(600)) - ms(100));
    let by_deadline = trace.window.deadline.map(|deadline| deadline.earlier(ms(100)));
    let by = by_deadline.map_or(by_buffer, |by| by.min(by_buffer));
    let mut begun: Option<(Effect, Moment, Duration)> = None;
    for line in &trace.lines {
        match &line.seen {
            Seen::Did(effect @ Effect::RunHook(number)) => {
                let to_come = u32::try_from(line.hooks - number).unwrap_or(0);
                let left = by.since(line.at);
                let share = left.saturating_sub(ms(100) * to_come).max(left / (to_come + 1));
                begun = Some((*effect, line.at, share));
            }
            Seen::Did(Effect::OnShutdown) => {
                begun = Some((Effect::OnShutdown, line.at, by.since(line.at)));
            }
            Seen::Did(Effect::AbortStep) => {
                if let Some((effect, at, share)) = begun.take() {
                    let took = line.at.since(at);
                    let holds = took >= share && took <= share + trace.blur;
                    check(holds, || format!("{effect:?} has {share:?} and is cut at {took:?}"))?;
                }
            }
            Seen::Heard(Input::HookEnded(_) | Input::ShutdownEnded) => {
                if let Some((effect, at, share)) = begun.take() {
                    let took = line.at.since(at);
                    let limit = share + trace.blur;
                    check(took <= limit, || format!("{effect:?} has {share:?}, took {took:?}"))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
