//! What is refused, how, and that a refusal leaves no trace.

use super::edges::{Stand, input};
use super::{defaults, endless, ms, window};
use temporal_lambda_lifecycle::table::{Cell, look_up};
use temporal_lambda_lifecycle::{Event, Input, Refusal, State, Step};

/// Everything that anybody can say, in every step: the refusal names step and event, and nothing
/// has changed.
#[test]
fn everything_that_can_be_said_is_taken_or_refused_with_its_reason() {
    for step in Step::all() {
        for event in Event::all() {
            let Some(input) = input(event) else { continue };
            let mut stand = Stand::in_step(step);
            let before = format!("{:?}", stand.machine);
            // The first hook's end, while it runs, is the end of the last only if there is one.
            let event = match event {
                Event::HooksEnded if step == Step::Hooks => Event::HookEnded,
                Event::HooksEnded => Event::HookEnded,
                // Nothing is in flight while quiescing, the shortest way there.
                Event::PollsEnded if step == Step::Quiescing => Event::Quiesced,
                Event::Quiesced if step != Step::Quiescing => Event::PollsEnded,
                event => event,
            };
            let other_hook = step == Step::Hooks && input == Input::HookEnded(1);
            match (stand.machine.handle(stand.now, input), look_up(step, event)) {
                (Ok(transition), Cell::To(to)) => {
                    assert_eq!((transition.from, transition.event), (step, event));
                    assert_eq!(transition.to, to);
                    continue;
                }
                (Err(refusal), Cell::NoOp) => assert_eq!(refusal, Refusal::NoOp { step, event }),
                (Err(refusal), Cell::Illegal) => {
                    assert_eq!(refusal, Refusal::Illegal { step, event });
                }
                // Only the hook that runs can end.
                (Err(refusal), Cell::To(_)) if other_hook => {
                    assert_eq!(refusal, Refusal::NoOp { step, event });
                }
                (result, cell) => panic!("{event:?} in {step:?}: {result:?}, not {cell:?}"),
            }
            assert_eq!(format!("{:?}", stand.machine), before, "{event:?} in {step:?}");
            assert!(stand.effects().is_empty());
        }
    }
}

/// The state in which an event is at home, and the last one; it may come late after that.
fn home(event: Event) -> Option<(State, State)> {
    match event {
        Event::Configured | Event::Connected => Some((State::Configuring, State::Configuring)),
        Event::WorkerCreated | Event::WorkerStarted => Some((State::Connected, State::Connected)),
        Event::Failed => Some((State::Configuring, State::Connected)),
        Event::Busy
        | Event::Quiet
        | Event::Idle
        | Event::StopNear
        | Event::Resumed
        | Event::PollsEnded
        | Event::Quiesced => Some((State::Polling, State::Polling)),
        Event::DeadlineNear | Event::Cancelled => Some((State::Configuring, State::Polling)),
        Event::WorkerStopped | Event::WorkerFailed => Some((State::Connected, State::Draining)),
        Event::GraceOver
        | Event::HookEnded
        | Event::HooksEnded
        | Event::ShutdownEnded
        | Event::Settled => Some((State::Draining, State::Draining)),
        // An invocation begins where none is under way; a cap belongs to its step.
        Event::Invoked | Event::InvokedTooLate | Event::CapPassed => None,
    }
}

/// What is late is harmless; what is early is a bug.
#[test]
fn early_events_are_illegal_and_late_ones_are_no_ops() {
    for event in Event::all() {
        let Some((first, last)) = home(event) else { continue };
        for step in Step::all() {
            let cell = look_up(step, event);
            let state = step.state();
            if state < first {
                // A cancellation may come before there is anything to cancel.
                let harmless = event == Event::Cancelled;
                let expected = if harmless { Cell::NoOp } else { Cell::Illegal };
                assert_eq!(cell, expected, "{event:?} in {step:?} is early");
            } else if state > last.max(State::Polling) {
                assert_eq!(cell, Cell::NoOp, "{event:?} in {step:?} is late");
            } else if state > last {
                assert_eq!(cell, Cell::Illegal, "{event:?} in {step:?}: who would say that?");
            }
        }
    }
}

#[test]
fn an_invocation_begins_only_where_none_is_under_way() {
    for step in Step::all() {
        let begins = matches!(step, Step::ColdStart | Step::Healthy);
        for event in [Event::Invoked, Event::InvokedTooLate] {
            let cell = look_up(step, event);
            assert_eq!(matches!(cell, Cell::To(_)), begins, "{event:?} in {step:?}");
            assert!(begins || cell == Cell::Illegal, "{event:?} in {step:?}");
        }
    }
}

#[test]
fn a_hook_that_does_not_run_cannot_end() {
    let mut stand = Stand::in_step(Step::Hooks);
    for number in [1, 2, usize::MAX] {
        let refused = stand.machine.handle(stand.now, Input::HookEnded(number));
        let (step, event) = (Step::Hooks, Event::HookEnded);
        assert_eq!(refused, Err(Refusal::NoOp { step, event }), "hook {number}");
    }
    assert!(stand.machine.handle(stand.now, Input::HookEnded(0)).is_ok());
    // It has ended already.
    assert!(stand.machine.handle(stand.now, Input::HookEnded(0)).is_err());
    assert!(stand.machine.handle(stand.now, Input::HookEnded(1)).is_ok());
    assert_eq!(stand.machine.step(), Step::Farewell);
}

/// A second event during an invocation is refused whatever it brings.
#[test]
fn a_second_event_is_illegal_and_does_not_touch_the_first() {
    let mut stand = Stand::in_step(Step::Polling);
    let stop = stand.machine.stop_at();
    for window in [window(1_000_000), window(50), endless()] {
        let second = Input::Invoked { window, allowance: defaults() };
        let refused = stand.machine.handle(stand.now.later(ms(5)), second);
        assert!(matches!(refused, Err(Refusal::Illegal { step: Step::Polling, .. })));
        assert_eq!(stand.machine.stop_at(), stop);
    }
}
