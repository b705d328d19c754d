//! The rules for user code at the end of an invocation.

use std::time::Duration;

use super::super::{Effect, Input, Moment};
use super::account::check;
use super::ms;
use super::story::{Seen, Story};

pub(super) fn hooks_run_once_each_in_order_before_on_shutdown(story: &Story) -> Result<(), String> {
    let runs: Vec<_> = story
        .done()
        .filter_map(|(at, effect)| match effect {
            Effect::RunHook(number) => Some((at, number)),
            _ => None,
        })
        .collect();
    let numbers: Vec<_> = runs.iter().map(|(_, number)| *number).collect();
    check(numbers.iter().copied().eq(0..numbers.len()), || format!("{numbers:?}"))?;
    let Some(index) = story.lines.iter().position(|it| it.seen == Seen::Did(Effect::OnShutdown))
    else {
        return check(numbers.is_empty(), || "hooks without on_shutdown".to_owned());
    };
    let registered = story.lines[index].hooks;
    check(numbers.len() == registered, || format!("{registered} registered, {numbers:?} run"))
}

pub(super) fn on_shutdown_runs_exactly_once_if_configure_was_entered(
    story: &Story,
) -> Result<(), String> {
    let entered = story.count(|it| it == Effect::Configure);
    let times = story.count(|it| it == Effect::OnShutdown);
    check(times == entered, || format!("{times} times"))
}

/// A callback ends, or is cut short, before the next begins: they share the user's struct.
pub(super) fn one_callback_runs_at_a_time(story: &Story) -> Result<(), String> {
    let mut running: Option<Effect> = None;
    for line in &story.lines {
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

/// Each hook, and `on_shutdown` after them, may take what the earlier ones left but for 0.1 s for
/// each that is still to come, and an equal part if there is less; nothing is cut short earlier, and
/// nothing later.
pub(super) fn callbacks_at_the_end_share_what_is_left(story: &Story) -> Result<(), String> {
    let Some(since) = story.draining_since().filter(|_| story.thawed().is_none()) else {
        return Ok(());
    };
    let by_buffer = since.later(story.allowance().buffer.max(ms(600)) - ms(100));
    let by_deadline = story.window.deadline.map(|deadline| deadline.earlier(ms(100)));
    let by = by_deadline.map_or(by_buffer, |by| by.min(by_buffer));
    let mut begun: Option<(Effect, Moment, Duration)> = None;
    for line in &story.lines {
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
                    let holds = took >= share && took <= share + story.blur;
                    check(holds, || format!("{effect:?} has {share:?} and is cut at {took:?}"))?;
                }
            }
            Seen::Heard(Input::HookEnded(_) | Input::ShutdownEnded) => {
                if let Some((effect, at, share)) = begun.take() {
                    let took = line.at.since(at);
                    let limit = share + story.blur;
                    check(took <= limit, || format!("{effect:?} has {share:?}, took {took:?}"))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
