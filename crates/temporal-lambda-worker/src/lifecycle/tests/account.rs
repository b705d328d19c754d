//! What a story has to say in the end: what failed, in order, and why it ended. Worked out from
//! what was seen, without the machine.

use std::time::Duration;

use super::super::{Cause, Effect, Ending, Input, Moment, Step};
use super::ms;
use super::story::{Blame, Seen, Story};

/// The stop time: absolute, from the deadline and the buffer alone.
pub(super) fn stop_time(story: &Story) -> Option<Moment> {
    Some(story.window.deadline?.earlier(story.allowance().buffer))
}

/// When the last polls begin to end, of a worker that polls from `poll` on: 0.3 s more than they
/// need before the stop time, but not in the first four fifths of the time for polling.
pub(super) fn stop_near(story: &Story, poll: Moment) -> Option<Moment> {
    let stop = stop_time(story)?;
    let needed = story.polls_end_within() + ms(300);
    Some(stop.earlier(needed.min(stop.since(poll) / 5)))
}

/// When a worker that polls from `poll` on is idle, by what it last said before polls were held
/// back for the last time, or before draining.
pub(super) fn idle_due(story: &Story, poll: Moment) -> Option<Moment> {
    let allowance = story.allowance();
    let mut quiet = Some(poll);
    let drain = story.draining_from().unwrap_or(story.lines.len());
    for line in &story.lines[..story.last_hold().unwrap_or(drain)] {
        match line.seen {
            Seen::Heard(Input::Busy) => quiet = None,
            Seen::Heard(Input::Quiet) => quiet = Some(line.at),
            _ => {}
        }
    }
    Some(quiet?.later(allowance.idle_timeout?).max(poll.later(allowance.minimum_stay)))
}

/// Too little is work time, from arrival to the stop time, of 1 s or less.
fn too_little(story: &Story, buffer: Duration) -> Option<Cause<Blame>> {
    let remaining = story.window.deadline?.since(story.window.arrival);
    let work = remaining.saturating_sub(buffer);
    (work <= ms(1_000)).then_some(Cause::TooLittleTime { remaining, buffer })
}

/// Why a worker stopped polling that nobody had stopped: why its polls were held back; or because
/// a task came when there was no time to poll on.
fn time_is_up(story: &Story) -> Ending {
    let poll = story.first(Effect::Poll).unwrap_or_default();
    let near = stop_near(story, poll);
    let held = story.last_hold().unwrap_or(story.lines.len());
    let drain = story.draining_from().unwrap_or(story.lines.len());
    let came_late = story.lines[held..drain].iter().any(|line| {
        line.seen == Seen::Heard(Input::Busy) && near.is_some_and(|near| near <= line.at)
    });
    match (idle_due(story, poll), near) {
        _ if came_late => Ending::DeadlineNear,
        (Some(idle), Some(near)) if idle >= near => Ending::DeadlineNear,
        (Some(_), _) => Ending::Idle,
        (None, _) => Ending::DeadlineNear,
    }
}

/// What must be reported, in order, and why draining began.
pub(super) fn account(story: &Story) -> (Vec<Cause<Blame>>, Option<Ending>) {
    if story.came_too_late() {
        let remaining = story.window.deadline.unwrap_or_default().since(story.window.arrival);
        return (vec![Cause::Late { remaining }], None);
    }
    let (mut causes, mut ending) = (Vec::new(), None);
    let (mut during, mut stopping) = (Step::Configuring, false);
    let drain = story.draining_from().unwrap_or(story.lines.len());
    for (index, line) in story.lines.iter().enumerate() {
        if index == drain && ending.is_none() {
            // Nobody said anything, so it was time.
            ending = Some(if during == Step::Polling {
                time_is_up(story)
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
                if let Some(cause) = too_little(story, allowance.buffer) {
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
    if story.end.as_ref().is_some_and(|end| !end.healthy) {
        causes.push(Cause::NotSettled);
    }
    (causes, ending)
}

/// What a rule says of something that should hold.
pub(super) fn check(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
