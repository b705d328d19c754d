//! Time, in numbers: who may take how long.

use super::machines::{effects, machine, polling, silence, to_polling};
use super::{at, defaults, endless, ms, window};
use std::time::Duration;
use temporal_lambda_lifecycle::{
    AFTER_GRACE, Allowance, BUFFER_OVER_GRACE, CALLBACK_RESERVE, Cause, Effect, Ending, Event,
    Input, MIN_WORK_TIME, Machine, POLL_SPARE, REFUSED_FOR, RESPONSE_RESERVE, SHORT_WORK_TIME,
    State, Step, Window, callback_time,
};

#[test]
fn the_numbers_are_the_ones_that_users_are_told() {
    assert_eq!(RESPONSE_RESERVE, ms(100));
    assert_eq!(AFTER_GRACE, ms(500));
    assert_eq!(BUFFER_OVER_GRACE, ms(2_000));
    assert_eq!(MIN_WORK_TIME, ms(1_000));
    assert_eq!(SHORT_WORK_TIME, ms(5_000));
    assert_eq!(CALLBACK_RESERVE, ms(100));
    assert_eq!(POLL_SPARE, ms(300));
    assert_eq!(REFUSED_FOR, ms(3_000));
    assert_eq!(Allowance::least_buffer(ms(5_000)), ms(5_600));
}

/// A minute, the defaults, two hooks, and nothing that ever answers.
#[test]
fn a_minute_in_which_nothing_answers_is_divided_like_this() {
    let mut machine = polling(window(60_000), defaults());
    machine.note_hooks(2);
    let fired = silence(&mut machine);
    let expected = [
        (at(51_000), Event::StopNear),
        // A quiet worker whose polls do not end is stopped 3.6 s after they should have ended.
        (at(56_300), Event::CapPassed),
        (at(58_250), Event::GraceOver),
        (at(58_500), Event::CapPassed),
        // 1.4 s are left; 0.1 s is kept for each that is still to come.
        (at(59_700), Event::HookEnded),
        (at(59_800), Event::HooksEnded),
        (at(59_900), Event::CapPassed),
        (at(59_950), Event::CapPassed),
    ];
    assert_eq!(fired, expected);
    assert_eq!(machine.step(), Step::Poisoned);
    assert_eq!(machine.causes(), [Cause::WorkerNotStopped, Cause::NotSettled]);
    assert_eq!(machine.ending(), Some(Ending::DeadlineNear));
}

#[test]
fn a_worker_that_stops_early_leaves_its_time_to_hooks() {
    let mut machine = polling(window(60_000), defaults());
    machine.note_hooks(1);
    assert!(machine.handle_timeout(at(51_000)).is_some());
    assert!(machine.handle(at(52_900), Input::PollsEnded).is_ok());
    assert!(machine.handle(at(53_100), Input::WorkerStopped).is_ok());
    // 6.7 s are left for the hook; 0.1 s is kept for on_shutdown.
    assert_eq!(machine.next_timeout(), Some(at(59_700)));
    assert!(machine.handle(at(53_200), Input::HookEnded(0)).is_ok());
    assert_eq!(machine.next_timeout(), Some(at(59_800)));
    assert!(machine.handle(at(53_300), Input::ShutdownEnded).is_ok());
    assert_eq!(machine.next_timeout(), Some(at(59_900)), "settling has what is left of the buffer");
    assert!(machine.handle(at(53_310), Input::Settled).is_ok());
    assert_eq!((machine.step(), machine.next_timeout()), (Step::Healthy, None));
    assert!(machine.causes().is_empty());
}

/// A cancelled invocation does not take longer to end because its deadline is far.
#[test]
fn draining_before_the_deadline_takes_no_longer_than_the_buffer() {
    for window in [window(600_000), endless()] {
        let mut machine = polling(window, defaults());
        assert!(machine.handle(at(1_000), Input::Cancelled).is_ok());
        let fired = silence(&mut machine);
        let last = fired.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        let farewell = at(1_000 + 7_000 - 100);
        assert_eq!(last, [at(6_250), at(6_500), farewell, farewell.later(ms(100))]);
    }
}

#[test]
fn work_time_of_a_second_is_refused_and_a_little_more_is_warned_about() {
    for (lasts, taken, warned) in [
        (7_999, false, None),
        (8_000, false, None),
        (8_001, true, Some(1_001)),
        (11_999, true, Some(4_999)),
        (12_000, true, None),
        (12_001, true, None),
    ] {
        let mut machine = machine(window(lasts), defaults(), &[Input::Configured(defaults())]);
        assert_eq!(machine.step() == Step::Connecting, taken, "{lasts} ms");
        if !taken {
            assert_eq!(machine.state(), State::Draining);
            assert_eq!(machine.ending(), Some(Ending::Failed));
            let (remaining, buffer) = (ms(lasts), ms(7_000));
            assert_eq!(machine.causes(), [Cause::TooLittleTime { remaining, buffer }]);
        }
        let mut again = Machine::cold();
        let window = window(lasts);
        let _ = again.handle(
            at(0),
            Input::<temporal_lambda_lifecycle::rules::Failure>::Invoked {
                window,
                allowance: defaults(),
            },
        );
        let _ = again.handle(at(0), Input::Configured(defaults()));
        let warning = effects(&mut again).into_iter().find_map(|effect| match effect {
            Effect::WarnShortWork(work) => Some(work),
            _ => None,
        });
        assert_eq!(warning, warned.map(ms), "{lasts} ms");
        machine.note_hooks(0);
    }
}

#[test]
fn an_event_with_a_tenth_of_a_second_left_is_too_late() {
    for (lasts, late) in [(0, true), (100, true), (101, false)] {
        assert_eq!(window(lasts).is_spent(), late, "{lasts} ms");
        let machine = machine(window(lasts), defaults(), &[]);
        assert_eq!(machine.state() == State::TornDown, late);
        if late {
            assert_eq!(machine.causes(), [Cause::Late { remaining: ms(lasts) }]);
        }
    }
    assert!(!endless().is_spent());
}

#[test]
fn configure_has_until_polling_would_stop_or_half_of_what_there_is() {
    let until = |lasts, allowance| window(lasts).configure_until(&allowance);
    assert_eq!(until(60_000, defaults()), Some(at(53_000)));
    assert_eq!(until(8_001, defaults()), Some(at(1_001)));
    assert_eq!(until(8_000, defaults()), Some(at(4_000)));
    assert_eq!(until(3_000, defaults()), Some(at(1_500)));
    assert_eq!(endless().configure_until(&defaults()), None);
}

/// Settings that would be refused after `configure` must not cost the response before it.
#[test]
fn a_configure_that_hangs_is_cut_in_time_whatever_the_settings() {
    let none = Allowance { grace: ms(0), buffer: ms(0), idle_timeout: None, minimum_stay: ms(0) };
    assert_eq!(window(10_000).configure_until(&none), Some(at(9_400)));
    let mut machine = machine(window(10_000), none, &[]);
    let fired = silence(&mut machine);
    let expected = [
        (at(9_400), Event::DeadlineNear),
        (at(9_900), Event::CapPassed),
        (at(9_950), Event::CapPassed),
    ];
    assert_eq!(fired, expected);
}

/// Whatever was cut short has what is left of the buffer to be gone, and 50 ms at least, but not the
/// last 50 ms before the deadline. When that is past there is nothing left to be in time for.
#[test]
fn settling_takes_none_of_the_time_for_the_response_unless_that_is_over() {
    let cases = [(6_900, 7_000), (8_000, 8_050), (9_900, 9_950), (9_930, 9_950), (9_999, 9_950)];
    for (now, until) in cases.into_iter().chain([(10_000, 10_050), (30_000, 30_050)]) {
        let mut machine = machine(window(10_000), defaults(), &[Input::Failed(1)]);
        assert_eq!((machine.step(), machine.next_timeout()), (Step::Farewell, Some(at(6_900))));
        let fired = machine.handle_timeout(at(now));
        assert_eq!(fired.map(|it| it.to), Some(Step::Settling));
        assert_eq!(machine.next_timeout(), Some(at(until)), "at {now} ms");
    }
}

#[test]
fn a_callback_may_use_all_that_is_left_but_a_tenth_of_a_second_for_each_to_come() {
    assert_eq!(callback_time(ms(1_400), 0), ms(1_400));
    assert_eq!(callback_time(ms(1_400), 2), ms(1_200));
    assert_eq!(callback_time(ms(200), 3), ms(50), "equal shares where there is less");
    assert!(callback_time(Duration::MAX, usize::MAX) < Duration::MAX, "nothing overflows");
}

/// Nothing is kept for an `on_shutdown` that does nothing.
#[test]
fn the_last_hook_has_all_that_is_left_if_no_on_shutdown_is_expected() {
    for (expected, until) in [(true, 59_799), (false, 59_899)] {
        let mut machine = machine(window(60_000), defaults(), &[]);
        machine.note_hooks(1);
        if !expected {
            machine.expect_no_on_shutdown();
        }
        assert!(machine.handle(at(52_999), Input::Failed(1)).is_ok());
        assert_eq!(machine.next_timeout(), Some(at(until)));
    }
}

#[test]
fn idleness_is_counted_from_the_last_task_and_not_before_the_minimum_stay() {
    let idle = Allowance { idle_timeout: Some(ms(400)), ..defaults() };
    let mut machine = polling(window(60_000), idle);
    assert_eq!(machine.next_timeout(), Some(at(1_000)), "the minimum stay");
    assert!(machine.handle(at(100), Input::Busy).is_ok());
    assert_eq!(machine.next_timeout(), Some(at(51_000)), "a busy worker is not idle");
    assert!(machine.handle(at(300), Input::Quiet).is_ok());
    assert_eq!(machine.next_timeout(), Some(at(1_000)), "still the minimum stay");
    assert!(machine.handle(at(400), Input::Busy).is_ok());
    assert!(machine.handle(at(2_000), Input::Quiet).is_ok());
    assert_eq!(machine.next_timeout(), Some(at(2_400)));
    assert_eq!(machine.handle_timeout(at(2_399)), None);
    assert_eq!(machine.handle_timeout(at(2_400)).map(|it| it.event), Some(Event::Idle));
    assert_eq!(machine.ending(), Some(Ending::Idle));
}

#[test]
fn at_the_same_moment_the_deadline_counts_and_not_idleness() {
    let idle = Allowance { idle_timeout: Some(ms(51_000)), ..defaults() };
    let mut machine = polling(window(60_000), idle);
    let fired = machine.handle_timeout(at(51_000));
    assert_eq!(fired.map(|it| it.event), Some(Event::StopNear));
}

#[test]
fn without_a_deadline_nothing_is_cut_short_until_it_is_cancelled() {
    let mut machine = machine(endless(), defaults(), &[]);
    for input in to_polling(defaults()) {
        assert_eq!(machine.next_timeout(), None, "before {input:?}");
        assert!(machine.handle(at(1_000_000_000), input).is_ok());
    }
    assert_eq!((machine.next_timeout(), machine.stop_at()), (None, None));
    assert!(machine.causes().is_empty());
}

/// The same machine may serve the next invocation; nothing of the last one is left in it.
#[test]
fn a_machine_that_has_served_an_invocation_remembers_nothing_of_it() {
    let mut machine = polling(window(60_000), defaults());
    machine.note_hooks(2);
    assert!(machine.handle(at(1_000), Input::WorkerFailed(1)).is_ok());
    let inputs = [Input::HookEnded(0), Input::HookEnded(1), Input::ShutdownEnded, Input::Settled];
    for input in inputs {
        assert!(machine.handle(at(1_000), input).is_ok());
    }
    effects(&mut machine);
    let window = Window { arrival: at(2_000), deadline: Some(at(62_000)) };
    assert!(machine.handle(at(2_000), Input::Invoked { window, allowance: defaults() }).is_ok());
    assert!(machine.causes().is_empty());
    assert_eq!((machine.ending(), machine.moves().len()), (None, 1));
    effects(&mut machine);
    assert!(machine.handle(at(2_000), Input::Cancelled).is_ok());
    assert_eq!(effects(&mut machine), [Effect::AbortStep, Effect::RunHook(0)]);
}

#[test]
fn no_setting_overflows() {
    let longest = Duration::MAX;
    let huge = Allowance {
        grace: longest,
        buffer: longest,
        idle_timeout: Some(longest),
        minimum_stay: longest,
    };
    for window in [window(60_000), endless()] {
        for allowance in [huge, Allowance { buffer: ms(7_000), ..huge }] {
            let mut one = machine(window, allowance, &[Input::Configured(allowance)]);
            let created = Input::WorkerCreated { polls_end_within: longest };
            for input in [Input::Connected, created, Input::WorkerStarted] {
                let _ = one.handle(at(1), input);
            }
            let _ = one.handle(at(1_000), Input::Cancelled);
            silence(&mut one);
            assert!(one.step().is_torn_down());
        }
    }
    assert_eq!(Allowance::least_buffer(longest), longest);
}
