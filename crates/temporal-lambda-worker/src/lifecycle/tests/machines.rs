//! Machines that stand where a test wants them.

use super::super::{Allowance, Effect, Event, Input, Machine, Moment, Window};
use super::ms;
use super::story::Blame;

/// A machine of an invocation that has this window and these settings, before and after
/// `configure`, in the step that the `inputs` lead to.
pub(super) fn machine(
    window: Window,
    allowance: Allowance,
    inputs: &[Input<Blame>],
) -> Machine<Blame> {
    let mut machine = Machine::cold();
    assert!(machine.handle(window.arrival, Input::Invoked { window, allowance }).is_ok());
    for input in inputs {
        assert!(machine.handle(window.arrival, input.clone()).is_ok(), "{input:?}");
    }
    effects(&mut machine);
    machine
}

/// What leads to polling. With 0.3 s more, polls are held back 2 s before the stop time.
pub(super) fn to_polling(allowance: Allowance) -> [Input<Blame>; 4] {
    let (configured, created) =
        (Input::Configured(allowance), Input::WorkerCreated { polls_end_within: ms(1_700) });
    [configured, Input::Connected, created, Input::WorkerStarted]
}

pub(super) fn polling(window: Window, allowance: Allowance) -> Machine<Blame> {
    machine(window, allowance, &to_polling(allowance))
}

pub(super) fn effects(machine: &mut Machine<Blame>) -> Vec<Effect> {
    std::iter::from_fn(|| machine.poll_effect()).collect()
}

/// Lets every timer fire at its time; what fired, and when, to the end.
pub(super) fn silence(machine: &mut Machine<Blame>) -> Vec<(Moment, Event)> {
    let mut fired = Vec::new();
    while let Some(due) = machine.next_timeout() {
        match machine.handle_timeout(due) {
            Some(transition) => fired.push((due, transition.event)),
            None => panic!("{due:?} is due and does nothing"),
        }
    }
    fired
}
