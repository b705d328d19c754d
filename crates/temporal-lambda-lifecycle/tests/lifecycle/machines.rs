//! Machines that stand where a test wants them.

use super::ms;
use temporal_lambda_lifecycle::rules::Failure;
use temporal_lambda_lifecycle::{Allowance, Effect, Event, Input, Machine, Moment, Window};

/// A machine of an invocation that has this window and these settings, before and after
/// `configure`, in the step that the `inputs` lead to.
pub(crate) fn machine(
    window: Window,
    allowance: Allowance,
    inputs: &[Input<Failure>],
) -> Machine<Failure> {
    let mut machine = Machine::cold();
    assert!(machine.handle(window.arrival, Input::Invoked { window, allowance }).is_ok());
    for input in inputs {
        assert!(machine.handle(window.arrival, input.clone()).is_ok(), "{input:?}");
    }
    effects(&mut machine);
    machine
}

/// What leads to polling. With 0.3 s more, polls are held back 2 s before the stop time.
pub(crate) fn to_polling(allowance: Allowance) -> [Input<Failure>; 4] {
    let (configured, created) =
        (Input::Configured(allowance), Input::WorkerCreated { polls_end_within: ms(1_700) });
    [configured, Input::Connected, created, Input::WorkerStarted]
}

pub(crate) fn polling(window: Window, allowance: Allowance) -> Machine<Failure> {
    machine(window, allowance, &to_polling(allowance))
}

pub(crate) fn effects(machine: &mut Machine<Failure>) -> Vec<Effect> {
    std::iter::from_fn(|| machine.poll_effect()).collect()
}

/// Lets every timer fire at its time; what fired, and when, to the end.
pub(crate) fn silence(machine: &mut Machine<Failure>) -> Vec<(Moment, Event)> {
    let mut fired = Vec::new();
    while let Some(due) = machine.next_timeout() {
        match machine.handle_timeout(due) {
            Some(transition) => fired.push((due, transition.event)),
            None => panic!("{due:?} is due and does nothing"),
        }
    }
    fired
}
