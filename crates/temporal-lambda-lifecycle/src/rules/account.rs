//! What a trace has to say in the end: what failed, in order, and why it ended. Worked out from
//! what was seen, without the machine.

use std::time::Duration;

use super::trace::{Failure, Seen, Trace};
use super::{check, ms};
use crate::{Cause, Effect, Ending, Input, Moment, Step};

/// The stop time: absolute, from the deadline and the buffer alone.
pub(super) fn stop_time(trace: &Trace) -> Option<Moment> {
    Some(trace.window.deadline?.earlier(trace.allowance().buffer))
}

/// When the last polls begin to end, of a worker that polls from `poll` on: 0.3 s more than they
/// need before the stop time, but not in the first four fifths of the time for polling.
pub(super) fn stop_near(trace: &Trace, poll: Moment) -> Option<Moment> {
    let stop = stop_time(trace)?;
    let needed = trace.polls_end_within() + ms(300);
    Some(stop.earlier(needed.min(stop.since(poll) / 5)))
}

/// When a worker that polls from `poll` on is idle, by what it last said before polls were held
/// back for the last time, or before draining.
pub(super) fn idle_due(trace: &Trace, poll: Moment) -> Option<Moment> {
    let allowance = trace.allowance();
    let mut quiet = Some(poll);
    let drain = trace.draining_from().unwrap_or(trace.lines.len());
    for line in &trace.lines[..trace.last_hold().unwrap_or(drain)] {
        match line.seen {
            Seen::Heard(Input::Busy) => quiet = None,
            Seen::Heard(Input::Quiet) => quiet = Some(line.at),
            _ => {}
        }
    }
    Some(quiet?.later(allowance.idle_timeout?).max(poll.later(allowance.minimum_stay)))
}

/// Too little is work time, from arrival to the stop time, of 1 s or less.
fn too_little(trace: &Trace, buffer: Duration) -> Option<Cause<Failure>> {
    let remaining = trace.window.deadline?.since(trace.window.arrival);
    let work = remaining.saturating_sub(buffer);
    (work <= ms(1_000)).then_some(Cause::TooLittleTime { remaining, buffer })
}

/// Why a worker stopped polling that nobody had stopped: why its polls were held back; or because
/// a task came when there was no time to poll on.
fn time_is_up(trace: &Trace) -> Ending {
    let poll = trace.first(Effect::Poll).unwrap_or_default();
    let near = stop_near(trace, poll);
    let held = trace.last_hold().unwrap_or(trace.lines.len());
    let drain = trace.draining_from().unwrap_or(trace.lines.len());
    let came_late = trace.lines[held..drain].iter().any(|line| {
        line.seen == Seen::Heard(Input::Busy) && near.is_some_and(|near| near <= line.at)
    });
    match (idle_due(trace, poll), near) {
        _ if came_late => Ending::DeadlineNear,
        (Some(idle), Some(near)) if idle >= near => Ending::DeadlineNear,
        (Some(_), _) => Ending::Idle,
        (None, _) => Ending::DeadlineNear,
    }
}

/// What must be reported, in order, and why draining began.
pub(super) fn account(trace: &Trace) -> (Vec<Cause<Failure>>, Option<Ending>) {
    if trace.came_too_late() {
        let remaining = trace.window.deadline.unwrap_or_default().since(trace.window.arrival);
        return (vec![Cause::Late { remaining }], None);
    }
    let (mut causes, mut ending) = (Vec::new(), None);
    let (mut during, mut stopping) = (Step::Configuring, false);
    let drain = trace.draining_from().unwrap_or(trace.lines.len());
    for (index, line) in trace.lines.iter().enumerate() {
        if index == drain && ending.is_none() {
            // Nobody said anything, so it was time.
            ending = Some(if during == Step::Polling {
                time_is_up(trace)
            } else {
                causes.push(Cause::OutOfTime { during });
                Ending::Failed
            });
        }
        match &line.seen {
            Seen::Did(Effect::Connect) => during = Step::Connecting,
            Seen::Did(Effect::CreateWorker) => during = Step::Creating,
            Seen::Did(Effect::OnStart) => during = Step::Starting,
            Seen::Did(Effect::Poll) => during = Step::Polling,
            Seen::Did(Effect::StopWorker) => stopping = true,
            Seen::Did(Effect::AbandonWorker) => causes.push(Cause::WorkerNotStopped),
            Seen::Heard(Input::Configured(allowance)) => {
                if let Some(cause) = too_little(trace, allowance.buffer) {
                    causes.push(cause);
                    ending = Some(Ending::Failed);
                }
            }
            Seen::Heard(Input::Failed(blame) | Input::WorkerFailed(blame)) => {
                causes.push(Cause::Reported(*blame));
                ending = ending.or(Some(Ending::Failed));
            }
            Seen::Heard(Input::WorkerStopped) if !stopping => {
                causes.push(Cause::WorkerStopped);
                ending = ending.or(Some(Ending::Failed));
            }
            Seen::Heard(Input::Cancelled) => ending = ending.or(Some(Ending::Cancelled)),
            _ => {}
        }
    }
    if trace.end.as_ref().is_some_and(|end| !end.healthy) {
        causes.push(Cause::NotSettled);
    }
    (causes, ending)
}

pub(super) fn what_failed_is_reported_in_its_order(trace: &Trace) -> Result<(), String> {
    let Some(end) = &trace.end else { return Ok(()) };
    let (expected, _) = account(trace);
    check(end.causes == expected, || format!("{:?}, not {expected:?}", end.causes))
}

pub(super) fn the_reason_is_what_ended_it(trace: &Trace) -> Result<(), String> {
    let Some(end) = &trace.end else { return Ok(()) };
    let (_, expected) = account(trace);
    check(end.ending == expected, || format!("{:?}, not {expected:?}", end.ending))
}

pub(super) fn it_is_healthy_exactly_if_everything_settled(trace: &Trace) -> Result<(), String> {
    let Some(end) = &trace.end else { return Ok(()) };
    let settled = trace.heard().any(|(_, input)| *input == Input::Settled);
    let expected = settled || trace.came_too_late();
    check(end.healthy == expected, || format!("settled: {settled}"))
}
