//! Running a scenario, and what came of it.

use std::fmt;

use temporal_lambda_lifecycle::rules::{Seen, Trace as Record};
use temporal_lambda_lifecycle::simulation::{Setup, Simulation};
use temporal_lambda_lifecycle::{Effect, Input, Machine, Moment, Refusal, Transition};

use super::scenario::{Failure, Happening, Scenario};

/// What a lifecycle did in a [`Scenario`].
#[derive(Clone, Debug)]
pub struct Trace {
    /// The scenario.
    pub scenario: Scenario,
    /// What the lifecycle wanted done, and when, in order.
    pub effects: Vec<(Moment, Effect)>,
    /// What it refused.
    pub refusals: Vec<Refusal>,
    /// When it was over.
    pub ended: Moment,
    /// The machine as it was then: its moves, its causes, how it ended.
    pub machine: Machine<Failure>,
    record: Record,
}

impl Scenario {
    /// Runs the lifecycle through it, to its end. Timers fire on time.
    pub fn run(&self) -> Trace {
        let machine = if self.cold { Machine::cold() } else { Machine::warm() };
        let setup = Setup {
            window: self.window,
            before: self.before,
            after: self.after,
            polls_end_within: self.polls_end_within,
            hooks: self.hooks,
        };
        let mut simulation = Simulation::new(machine, setup);
        for (after, happening) in &self.happenings {
            let until = simulation.now.later(*after);
            simulation.wait_until(until);
            if simulation.trace.end.is_none() {
                happen(&mut simulation, *happening);
            }
        }
        while simulation.trace.end.is_none() {
            match simulation.machine.next_timeout() {
                Some(_) => simulation.fire(),
                // Nothing but a cancellation ends an invocation without a deadline.
                None => simulation.say(Input::Cancelled),
            }
        }
        let Simulation { machine, now, trace: record, .. } = simulation;
        let refused = record.lines.iter().filter_map(|line| match &line.seen {
            Seen::Refused(_, refusal) => Some(*refusal),
            _ => None,
        });
        Trace {
            scenario: self.clone(),
            effects: record.done().collect(),
            refusals: refused.collect(),
            ended: record.end.as_ref().map_or(now, |end| end.at),
            machine,
            record,
        }
    }
}

fn happen(simulation: &mut Simulation, happening: Happening) {
    match happening {
        Happening::Done => simulation.answer(),
        Happening::Failed(failure) => simulation.fail(failure),
        Happening::TaskStarted if simulation.is_polling() => simulation.say(Input::Busy),
        Happening::TasksEnded if simulation.is_polling() => simulation.say(Input::Quiet),
        Happening::TaskStarted | Happening::TasksEnded => {}
        Happening::Cancelled => simulation.say(Input::Cancelled),
    }
}

impl Trace {
    /// How often this was wanted.
    pub fn count(&self, effect: Effect) -> usize {
        self.record.count(|it| it == effect)
    }

    /// When this was wanted first.
    pub fn first(&self, effect: Effect) -> Option<Moment> {
        self.record.first(effect)
    }

    /// The moves between steps, in order.
    pub fn moves(&self) -> &[Transition] {
        self.machine.moves()
    }
}

/// The scenario, then a line for everything that was said to the lifecycle (`<-`), every timer (`..`) and
/// everything that was wanted (`->`), with its time.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}\n{}", self.scenario, self.record)
    }
}
