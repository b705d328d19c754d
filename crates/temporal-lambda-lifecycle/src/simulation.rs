//! The machine without a driver: time passes, timers fire when they are due, what the machine wants done is
//! answered or fails as a test says, and all of it is written into a [`Trace`].

use std::fmt;
use std::time::Duration;

use crate::rules::{End, Failure, Line, Seen, Trace};
use crate::{Allowance, Effect, Input, Machine, Moment, Step, Window};

/// More timers than any invocation has.
const MOST_TIMERS: usize = 500;

/// What is known of an invocation before it begins.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Its time.
    pub window: Window,
    /// The settings before `configure`.
    pub before: Allowance,
    /// The settings that `configure` leaves.
    pub after: Allowance,
    /// How long the worker's polls may take to end.
    pub polls_end_within: Duration,
    /// How many shutdown hooks are registered.
    pub hooks: usize,
}

/// One invocation of a machine.
pub struct Simulation {
    /// The machine.
    pub machine: Machine<Failure>,
    /// What time it is.
    pub now: Moment,
    /// How many shutdown hooks are registered.
    pub hooks: usize,
    /// What was seen so far. After the end nothing is added.
    pub trace: Trace,
    /// What was begun last and has not ended.
    pub waiting: Option<Effect>,
    after: Allowance,
    polls_end_within: Duration,
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.trace)
    }
}

impl Simulation {
    /// The invocation at the arrival of its event, which the machine has been told.
    pub fn new(machine: Machine<Failure>, setup: Setup) -> Self {
        let Setup { window, before, after, polls_end_within, hooks } = setup;
        let trace = Trace { window, before, lines: Vec::new(), end: None, blur: Duration::ZERO };
        let now = window.arrival;
        let mut this = Self { machine, now, hooks, trace, waiting: None, after, polls_end_within };
        this.say(Input::Invoked { window, allowance: before });
        this
    }

    /// Whether the worker polls, or its last polls are under way.
    pub fn is_polling(&self) -> bool {
        matches!(self.waiting, Some(Effect::Poll | Effect::HoldPolls | Effect::ResumePolls))
    }

    /// What the machine waits for happens. While it polls it waits for nothing.
    pub fn answer(&mut self) {
        let input = match self.waiting {
            Some(Effect::Configure) => Input::Configured(self.after),
            Some(Effect::Connect) => Input::Connected,
            Some(Effect::CreateWorker) => {
                Input::WorkerCreated { polls_end_within: self.polls_end_within }
            }
            Some(Effect::OnStart) => Input::WorkerStarted,
            Some(Effect::HoldPolls) => Input::PollsEnded,
            Some(Effect::StopWorker | Effect::AbandonActivities) => Input::WorkerStopped,
            Some(Effect::RunHook(number)) => Input::HookEnded(number),
            Some(Effect::OnShutdown) => Input::ShutdownEnded,
            Some(Effect::Settle) => Input::Settled,
            Some(
                Effect::Poll
                | Effect::ResumePolls
                | Effect::AbandonWorker
                | Effect::Finalize
                | Effect::AbortStep
                | Effect::WarnShortWork(_),
            )
            | None => return,
        };
        self.say(input);
    }

    /// What the machine waits for fails. While it polls, the worker does. What cannot fail is answered.
    pub fn fail(&mut self, failure: Failure) {
        match self.waiting {
            Some(Effect::Configure | Effect::Connect | Effect::CreateWorker | Effect::OnStart) => {
                self.say(Input::Failed(failure));
            }
            Some(
                Effect::Poll
                | Effect::HoldPolls
                | Effect::ResumePolls
                | Effect::StopWorker
                | Effect::AbandonActivities,
            ) => self.say(Input::WorkerFailed(failure)),
            _ => self.answer(),
        }
    }

    /// Lets time pass; every timer fires when it is due.
    ///
    /// # Panics
    /// When a timer fires for ever.
    pub fn wait_until(&mut self, until: Moment) {
        for _ in 0..MOST_TIMERS {
            match self.machine.next_timeout() {
                Some(due) if due <= until => self.fire(),
                _ => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("a timer fires for ever:\n{}", self.trace);
    }

    /// Lets time pass until the next timer, and fires it.
    ///
    /// # Panics
    /// When no timer is set, or the one that is due does nothing.
    pub fn fire(&mut self) {
        let Some(due) = self.machine.next_timeout() else {
            panic!("nothing is left to wait for:\n{}", self.trace);
        };
        self.now = self.now.max(due);
        self.machine.note_hooks(self.hooks);
        let Some(transition) = self.machine.handle_timeout(self.now) else {
            panic!("a timer is due and does nothing:\n{}", self.trace);
        };
        self.see(Seen::Timer(transition.event));
        self.follow();
    }

    /// Says something to the machine, whether it fits or not, and takes down what it then wants done.
    pub fn say(&mut self, input: Input<Failure>) {
        self.machine.note_hooks(self.hooks);
        match self.machine.handle(self.now, input.clone()) {
            Ok(_) => self.see(Seen::Heard(input)),
            Err(refusal) => self.see(Seen::Refused(input, refusal)),
        }
        self.follow();
    }

    /// Writes a line into the trace.
    pub fn see(&mut self, seen: Seen) {
        if self.trace.end.is_none() {
            self.trace.lines.push(Line { at: self.now, hooks: self.hooks, seen });
        }
    }

    fn follow(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            // Nobody answers these.
            let unanswered = matches!(
                effect,
                Effect::AbandonWorker
                    | Effect::Finalize
                    | Effect::AbortStep
                    | Effect::WarnShortWork(_)
            );
            if !unanswered {
                self.waiting = Some(effect);
            }
            self.see(Seen::Did(effect));
        }
        if self.machine.step().is_torn_down() && self.trace.end.is_none() {
            self.trace.end = Some(End {
                at: self.now,
                healthy: self.machine.step() == Step::Healthy,
                ending: self.machine.ending(),
                causes: self.machine.causes().to_vec(),
            });
        }
    }
}
