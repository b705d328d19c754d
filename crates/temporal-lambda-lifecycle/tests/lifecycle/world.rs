//! Scenarios: what happens to a machine in one invocation, in order, and how it is brought to its end.

use std::fmt;

use super::ms;
use temporal_lambda_lifecycle::rules::{Failure, Seen};
use temporal_lambda_lifecycle::simulation::{Setup, Simulation};
use temporal_lambda_lifecycle::{Allowance, Effect, Input, Machine, Moment, Window};

/// One thing that happens to the machine.
#[derive(Clone, PartialEq)]
pub(crate) enum Act {
    /// What it waits for happens.
    Answer,
    /// What it waits for fails.
    Fail,
    /// So many milliseconds pass; timers fire when they are due.
    Wait(u64),
    /// So many milliseconds pass, and nothing moves.
    Freeze(u64),
    /// Somebody registers a hook.
    AddHook,
    /// Somebody says this, whether it fits or not.
    Say(Input<Failure>),
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer => f.write_str("Answer"),
            Self::Fail => f.write_str("Fail"),
            Self::Wait(millis) => write!(f, "Wait({millis} ms)"),
            Self::Freeze(millis) => write!(f, "Freeze({millis} ms)"),
            Self::AddHook => f.write_str("AddHook"),
            Self::Say(Input::Invoked { .. }) => f.write_str("Say(Invoked)"),
            Self::Say(Input::Configured(_)) => f.write_str("Say(Configured)"),
            Self::Say(input) => write!(f, "Say({input:?})"),
        }
    }
}

/// How an invocation is brought to its end when the acts are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Everything that is begun ends well, each after so many milliseconds.
    Answering(u64),
    /// Nothing answers any more: only timers are left.
    Silence,
}

/// An invocation and what happens to it. Its `Debug` is a list that a person can read.
#[derive(Clone, PartialEq)]
pub(crate) struct Scenario {
    /// From arrival to deadline, in milliseconds; `None`: no deadline.
    pub(crate) lasts: Option<u64>,
    pub(crate) before: Allowance,
    pub(crate) after: Allowance,
    /// How long the worker's polls may take to end, in milliseconds.
    pub(crate) polls_end: u64,
    pub(crate) hooks: usize,
    pub(crate) acts: Vec<Act>,
    pub(crate) finish: Finish,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |it: &Allowance| {
            format!(
                "grace {:?}, buffer {:?}, idle {:?}, stay {:?}",
                it.grace, it.buffer, it.idle_timeout, it.minimum_stay
            )
        };
        writeln!(f, "an invocation of {:?} ms, {} hooks", self.lasts, self.hooks)?;
        writeln!(f, "  polls end within {} ms", self.polls_end)?;
        writeln!(f, "  before configure: {}", shown(&self.before))?;
        writeln!(f, "  after configure:  {}", shown(&self.after))?;
        for act in &self.acts {
            writeln!(f, "  {act:?}")?;
        }
        write!(f, "  then {:?}", self.finish)
    }
}

/// When the event of a scenario arrives: not at the origin, so that the two cannot be confused.
pub(crate) const ARRIVAL: Moment = super::at(100_000);
/// More answers and timers than any invocation has.
const MOST_STEPS: usize = 500;

/// A machine in a scenario.
pub(crate) struct World {
    pub(crate) simulation: Simulation,
    busy: bool,
    failures: Failure,
}

impl World {
    /// The world at the arrival of an event.
    pub(crate) fn new(machine: Machine<Failure>, scenario: &Scenario) -> Self {
        let deadline = scenario.lasts.map(|lasts| ARRIVAL.later(ms(lasts)));
        let setup = Setup {
            window: Window { arrival: ARRIVAL, deadline },
            before: scenario.before,
            after: scenario.after,
            polls_end_within: ms(scenario.polls_end),
            hooks: scenario.hooks,
        };
        Self { simulation: Simulation::new(machine, setup), busy: false, failures: 0 }
    }

    /// Plays a scenario to its end.
    pub(crate) fn play(machine: Machine<Failure>, scenario: &Scenario) -> Self {
        let mut this = Self::new(machine, scenario);
        for act in &scenario.acts {
            this.act(act);
        }
        this.finish(scenario.finish);
        this
    }

    /// Lets something happen. After the end nothing does: what follows is another trace.
    pub(crate) fn act(&mut self, act: &Act) {
        let it = &mut self.simulation;
        if it.trace.end.is_some() {
            return;
        }
        match act {
            Act::Answer => self.answer(),
            Act::Fail => {
                self.failures += 1;
                it.fail(self.failures);
            }
            Act::Wait(millis) => it.wait_until(it.now.later(ms(*millis))),
            Act::Freeze(millis) => {
                it.now = it.now.later(ms(*millis));
                if it.machine.next_timeout().is_some_and(|due| due < it.now) {
                    it.see(Seen::Thawed);
                }
            }
            Act::AddHook => it.hooks += 1,
            Act::Say(input) => it.say(input.clone()),
        }
    }

    /// Brings the invocation to its end.
    pub(crate) fn finish(&mut self, how: Finish) {
        if self.simulation.trace.window.deadline.is_none() {
            self.simulation.say(Input::Cancelled);
        }
        let mut polls_ended = false;
        for _ in 0..MOST_STEPS {
            let it = &mut self.simulation;
            if it.machine.step().is_torn_down() {
                return;
            }
            match how {
                Finish::Answering(after) => {
                    it.wait_until(it.now.later(ms(after)));
                    // A worker that is left in peace works until it is told to stop. Its last polls
                    // end once; while a task is under way, that changes nothing.
                    let held = it.waiting == Some(Effect::HoldPolls);
                    if matches!(it.waiting, Some(Effect::Poll | Effect::ResumePolls))
                        || std::mem::replace(&mut polls_ended, held) && held
                    {
                        it.fire();
                    } else {
                        self.answer();
                    }
                }
                Finish::Silence => it.fire(),
            }
        }
        panic!("it does not end:\n{}", self.simulation.trace);
    }

    /// What is waited for happens. While the worker polls, a task begins, or the one in flight ends.
    fn answer(&mut self) {
        let it = &mut self.simulation;
        let begins = matches!(it.waiting, Some(Effect::Poll | Effect::ResumePolls)) && !self.busy;
        let ends = it.is_polling() && self.busy;
        self.busy = begins;
        if begins {
            it.say(Input::Busy);
        } else if ends {
            it.say(Input::Quiet);
        } else {
            it.answer();
        }
    }
}
