//! A world for the machine to live in: it answers effects, or does not; lets time pass, or
//! freezes; says what cannot be. It writes down the [`Trace`].

use std::fmt;

use super::ms;
use temporal_lambda_lifecycle::rules::{End, Failure, Line, Seen, Trace};
use temporal_lambda_lifecycle::{Allowance, Effect, Input, Machine, Moment, Step, Window};

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
        let brief = |it: &Allowance| {
            format!(
                "grace {:?}, buffer {:?}, idle {:?}, stay {:?}",
                it.grace, it.buffer, it.idle_timeout, it.minimum_stay
            )
        };
        writeln!(f, "an invocation of {:?} ms, {} hooks", self.lasts, self.hooks)?;
        writeln!(f, "  polls end within {} ms", self.polls_end)?;
        writeln!(f, "  before configure: {}", brief(&self.before))?;
        writeln!(f, "  after configure:  {}", brief(&self.after))?;
        for act in &self.acts {
            writeln!(f, "  {act:?}")?;
        }
        write!(f, "  then {:?}", self.finish)
    }
}

/// When the event of a scenario arrives: not at the origin, so that the two cannot be confused.
pub(crate) const ARRIVAL: Moment = super::at(100_000);
/// More timers than any invocation has.
const FOR_EVER: usize = 500;

/// A machine, the time, and what was seen.
pub(crate) struct World {
    pub(crate) machine: Machine<Failure>,
    pub(crate) now: Moment,
    pub(crate) hooks: usize,
    pub(crate) trace: Trace,
    after: Allowance,
    polls_end: u64,
    busy: bool,
    failures: Failure,
    /// What was begun last and has not ended.
    waiting: Option<Effect>,
}

impl World {
    /// The world at the arrival of an event.
    pub(crate) fn new(machine: Machine<Failure>, scenario: &Scenario) -> Self {
        let deadline = scenario.lasts.map(|lasts| ARRIVAL.later(ms(lasts)));
        let window = Window { arrival: ARRIVAL, deadline };
        let before = scenario.before;
        let mut this = Self {
            machine,
            now: ARRIVAL,
            hooks: scenario.hooks,
            trace: Trace { window, before, lines: Vec::new(), end: None, blur: ms(0) },
            after: scenario.after,
            polls_end: scenario.polls_end,
            busy: false,
            failures: 0,
            waiting: None,
        };
        this.say(Input::Invoked { window, allowance: scenario.before });
        this
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
        if self.trace.end.is_some() {
            return;
        }
        match act {
            Act::Answer => self.answer(),
            Act::Fail => self.fail(),
            Act::Wait(millis) => self.wait_until(self.now.later(ms(*millis))),
            Act::Freeze(millis) => {
                self.now = self.now.later(ms(*millis));
                if self.machine.next_timeout().is_some_and(|due| due < self.now) {
                    self.see(Seen::Thawed);
                }
            }
            Act::AddHook => self.hooks += 1,
            Act::Say(input) => self.say(input.clone()),
        }
    }

    /// Brings the invocation to its end.
    pub(crate) fn finish(&mut self, how: Finish) {
        if self.trace.window.deadline.is_none() {
            self.say(Input::Cancelled);
        }
        let mut polls_ended = false;
        for _ in 0..FOR_EVER {
            if self.machine.step().is_torn_down() {
                return;
            }
            match how {
                Finish::Answering(after) => {
                    self.wait_until(self.now.later(ms(after)));
                    // A worker that is left in peace works until it is told to stop. Its last polls
                    // end once; while a task is under way, that changes nothing.
                    let held = self.waiting == Some(Effect::HoldPolls);
                    if matches!(self.waiting, Some(Effect::Poll | Effect::ResumePolls))
                        || std::mem::replace(&mut polls_ended, held) && held
                    {
                        self.fire();
                    } else {
                        self.answer();
                    }
                }
                Finish::Silence => self.fire(),
            }
        }
        panic!("it does not end:\n{}", self.trace);
    }

    /// Lets time pass, with every timer at its time.
    pub(crate) fn wait_until(&mut self, until: Moment) {
        for _ in 0..FOR_EVER {
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
    fn fire(&mut self) {
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

    fn answer(&mut self) {
        let input = match self.waiting {
            Some(Effect::Configure) => Input::Configured(self.after),
            Some(Effect::Connect) => Input::Connected,
            Some(Effect::CreateWorker) => {
                Input::WorkerCreated { polls_end_within: ms(self.polls_end) }
            }
            Some(Effect::OnStart) => Input::WorkerStarted,
            Some(Effect::Poll | Effect::ResumePolls | Effect::HoldPolls) if self.busy => {
                Input::Quiet
            }
            Some(Effect::Poll | Effect::ResumePolls) => Input::Busy,
            Some(Effect::HoldPolls) => Input::PollsEnded,
            Some(Effect::StopWorker | Effect::AbandonActivities) => Input::WorkerStopped,
            Some(Effect::RunHook(number)) => Input::HookEnded(number),
            Some(Effect::OnShutdown) => Input::ShutdownEnded,
            Some(Effect::Settle) => Input::Settled,
            Some(
                Effect::AbandonWorker
                | Effect::Finalize
                | Effect::AbortStep
                | Effect::WarnShortWork(_),
            )
            | None => return,
        };
        self.busy = input == Input::Busy;
        self.say(input);
    }

    fn fail(&mut self) {
        self.failures += 1;
        match self.waiting {
            Some(Effect::Configure | Effect::Connect | Effect::CreateWorker | Effect::OnStart) => {
                self.say(Input::Failed(self.failures))
            }
            Some(
                Effect::Poll
                | Effect::HoldPolls
                | Effect::ResumePolls
                | Effect::StopWorker
                | Effect::AbandonActivities,
            ) => {
                self.say(Input::WorkerFailed(self.failures));
            }
            _ => self.answer(),
        }
    }

    /// Says something to the machine, and does what it then wants done.
    pub(crate) fn say(&mut self, input: Input<Failure>) {
        self.machine.note_hooks(self.hooks);
        match self.machine.handle(self.now, input.clone()) {
            Ok(_) => self.see(Seen::Heard(input)),
            Err(refusal) => self.see(Seen::Refused(input, refusal)),
        }
        self.follow();
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

    fn see(&mut self, seen: Seen) {
        // What comes after the end is no part of the trace.
        if self.trace.end.is_none() {
            self.trace.lines.push(Line { at: self.now, hooks: self.hooks, seen });
        }
    }
}
