//! When polling stops, and that nothing but the deadline and the settings decides it.

use super::machines::{effects, machine, polling, to_polling};
use super::{at, defaults, endless, ms, window};
use temporal_lambda_lifecycle::{
    Allowance, Cause, Effect, Ending, Event, Input, Machine, Refusal, State, Step, Window,
};

/// No step's length moves the stop time, and no timer is counted from the end of a step.
#[test]
fn the_stop_time_is_absolute() {
    let mut slow = Machine::cold();
    let window = Window { arrival: at(5_000), deadline: Some(at(65_000)) };
    assert!(slow.handle(at(5_000), Input::Invoked { window, allowance: defaults() }).is_ok());
    for (index, input) in to_polling(defaults()).into_iter().enumerate() {
        assert_eq!(slow.next_timeout(), Some(at(58_000)), "before {input:?}");
        let now = at(5_000 + 11_000 * (1 + index as u64));
        assert!(slow.handle(now, input).is_ok());
        assert_eq!(slow.stop_at(), Some(at(58_000)));
    }
    // Polling began at 49 s, so 9 s are left for it; a fifth of that is less than the last polls need.
    assert_eq!(slow.next_timeout(), Some(at(56_200)));
}

/// What comes at the stop time or later, heard before the timer, leads no further.
#[test]
fn what_comes_after_the_stop_time_leads_no_further() {
    let steps = [Step::Configuring, Step::Connecting, Step::Creating, Step::Starting];
    for (done, during) in steps.into_iter().enumerate() {
        for late in [at(53_000), at(53_001), at(90_000)] {
            let inputs = to_polling(defaults());
            let mut machine = machine(window(60_000), defaults(), &inputs[..done]);
            assert_eq!(machine.step(), during);
            let transition = machine.handle(late, inputs[done].clone());
            assert_eq!(transition.map(|it| it.event), Ok(Event::DeadlineNear));
            assert_eq!(machine.state(), State::Draining);
            assert_eq!(machine.causes(), [Cause::OutOfTime { during }]);
            assert!(!effects(&mut machine).contains(&Effect::Poll));
        }
        let inputs = to_polling(defaults());
        let mut machine = machine(window(60_000), defaults(), &inputs[..done]);
        assert!(machine.handle(at(52_999), inputs[done].clone()).is_ok());
        assert_ne!(machine.state(), State::Draining, "just in time");
    }
}

/// A driver hears what is said before it looks at the time, so news that never ends must not put
/// off the end.
#[test]
fn tasks_that_come_and_go_cannot_put_off_the_stop_time() {
    for news in [Input::Busy, Input::Quiet] {
        let mut machine = polling(window(60_000), defaults());
        let in_time = machine.handle(at(50_999), news.clone());
        assert_eq!(in_time.map(|it| it.to), Ok(Step::Polling));
        let late = machine.handle(at(51_000), news);
        assert_eq!(late.map(|it| it.event), Ok(Event::StopNear));
        assert_eq!(machine.ending(), Some(Ending::DeadlineNear));
        assert!(machine.causes().is_empty());
        assert_eq!(effects(&mut machine), [Effect::HoldPolls]);
        // And then they cannot put off the drain.
        assert!(machine.handle(at(52_000), Input::Busy).is_ok());
        assert!(machine.handle(at(52_900), Input::PollsEnded).is_ok());
        assert_eq!(machine.next_timeout(), Some(at(53_000)));
        assert_eq!(machine.handle_timeout(at(53_000)).map(|it| it.to), Some(Step::Stopping));
        assert_eq!(effects(&mut machine), [Effect::StopWorker]);
    }
}

/// A poll that began shortly before may bring a task; there is time to work on it, and to poll on.
#[test]
fn a_task_of_the_last_polls_leads_back_to_polling_while_there_is_time() {
    let idle = Allowance { idle_timeout: Some(ms(400)), ..defaults() };
    let mut machine = polling(window(60_000), idle);
    assert_eq!(machine.handle_timeout(at(1_000)).map(|it| it.event), Some(Event::Idle));
    assert_eq!(machine.ending(), Some(Ending::Idle));
    assert!(machine.handle(at(1_500), Input::Busy).is_ok());
    assert_eq!(machine.next_timeout(), Some(at(1_500)), "at once");
    assert_eq!(machine.handle_timeout(at(1_501)).map(|it| it.event), Some(Event::Resumed));
    assert_eq!(effects(&mut machine), [Effect::HoldPolls, Effect::ResumePolls]);
    assert_eq!((machine.step(), machine.ending()), (Step::Polling, None));
    // The news that the polls had ended may still come; it is about the time before.
    let late = machine.handle(at(1_502), Input::PollsEnded);
    assert!(matches!(late, Err(Refusal::NoOp { .. })));
    assert!(machine.handle(at(2_000), Input::Quiet).is_ok());
    assert_eq!(machine.next_timeout(), Some(at(2_400)));
}

/// Where polls end quickly, polling goes on until shortly before the stop time; in short windows for
/// four fifths of the time at least.
#[test]
fn the_last_polls_begin_to_end_so_early_that_they_have_ended_at_the_stop_time() {
    let near = |lasts, polls_end| {
        window(lasts).stop_near(&defaults(), at(0), ms(polls_end)).map(|at| at.since_origin())
    };
    assert_eq!(near(60_000, 200), Some(ms(52_500)));
    assert_eq!(near(60_000, 1_550), Some(ms(51_150)));
    assert_eq!(near(9_000, 1_550), Some(ms(1_600)));
    assert_eq!(endless().stop_near(&defaults(), at(0), ms(1_550)), None);
}

/// A stop that comes late takes its time from the grace period, not from hooks and `on_shutdown`.
#[test]
fn a_drain_that_begins_late_shortens_the_grace_period() {
    for (since, grace_over, gone) in [
        (50_000, 55_250, 55_500),
        (53_000, 58_250, 58_500),
        (55_000, 58_250, 58_500),
        (58_500, 58_750, 59_000),
    ] {
        let mut machine = polling(window(60_000), defaults());
        assert!(machine.handle(at(since), Input::Cancelled).is_ok());
        assert_eq!(machine.next_timeout(), Some(at(grace_over)), "since {since}");
        assert!(machine.handle_timeout(at(grace_over)).is_some());
        assert_eq!(machine.next_timeout(), Some(at(gone)), "since {since}");
    }
}
