//! Running a scenario: the machine, the time, and what answers the machine.

use std::fmt;
use std::time::Duration;

use temporal_lambda_lifecycle::{Effect, Input, Machine, Moment, Refusal, Transition};

use super::scenario::{Failure, Happening, Scenario};

/// What a lifecycle did in a [`Scenario`].
#[derive(Clone, Debug)]
pub struct Trace {
    /// The scenario.
    pub scenario: Scenario,
    /// What the lifecycle wanted done, and when, in order.
    pub effects: Vec<(Moment, Effect)>,
    /// After how many moves each of them was wanted.
    moves_before: Vec<usize>,
    /// What it refused.
    pub refusals: Vec<Refusal>,
    /// When it was over.
    pub ended: Moment,
    /// The machine as it was then: its moves, its causes, how it ended.
    pub machine: Machine<Failure>,
}

impl Scenario {
    /// Runs the lifecycle through it, to its end. Timers fire on time.
    pub fn run(&self) -> Trace {
        let mut run = Run::new(self);
        let (window, allowance) = (self.window, self.before);
        run.say(Input::Invoked { window, allowance });
        for (after, happening) in &self.happenings {
            run.wait(*after);
            run.happen(*happening);
        }
        run.wait_for_the_end();
        Trace {
            scenario: self.clone(),
            effects: run.effects,
            moves_before: run.moves_before,
            refusals: run.refusals,
            ended: run.now,
            machine: run.machine,
        }
    }
}

impl Trace {
    /// How often this was wanted.
    pub fn count(&self, effect: Effect) -> usize {
        self.effects.iter().filter(|(_, it)| *it == effect).count()
    }

    /// When this was wanted first.
    pub fn first(&self, effect: Effect) -> Option<Moment> {
        self.effects.iter().find(|(_, it)| *it == effect).map(|(at, _)| *at)
    }

    /// The moves between steps, in order.
    pub fn moves(&self) -> &[Transition] {
        self.machine.moves()
    }
}

/// A line for every move and for everything that was wanted, in order.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrival = self.scenario.window.arrival;
        let millis = |at: Moment| at.since(arrival).as_millis();
        writeln!(f, "{:?}", self.scenario)?;
        let mut effects = self.effects.iter().zip(&self.moves_before).peekable();
        for (index, it) in self.moves().iter().enumerate() {
            while let Some(((at, effect), _)) = effects.next_if(|(_, moves)| **moves <= index) {
                writeln!(f, "{:>8} ms  {effect:?}", millis(*at))?;
            }
            let (from, to, event) = (it.from.name(), it.to.name(), it.event.name());
            writeln!(f, "{:>8} ms  {from} -> {to} ({event})", millis(it.at))?;
        }
        for ((at, effect), _) in effects {
            writeln!(f, "{:>8} ms  {effect:?}", millis(*at))?;
        }
        write!(f, "{:>8} ms  over: {:?}", millis(self.ended), self.machine.causes())
    }
}

struct Run<'a> {
    scenario: &'a Scenario,
    now: Moment,
    machine: Machine<Failure>,
    /// What the machine waits for.
    waiting: Option<Effect>,
    effects: Vec<(Moment, Effect)>,
    moves_before: Vec<usize>,
    refusals: Vec<Refusal>,
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            now: scenario.window.arrival,
            machine: if scenario.cold { Machine::cold() } else { Machine::warm() },
            waiting: None,
            effects: Vec::new(),
            moves_before: Vec::new(),
            refusals: Vec::new(),
        }
    }

    fn is_over(&self) -> bool {
        self.machine.step().is_torn_down()
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now.later(time);
        while !self.is_over()
            && let Some(due) = self.machine.next_timeout()
            && due <= until
        {
            self.fire(due);
        }
        if !self.is_over() {
            self.now = until;
        }
    }

    fn wait_for_the_end(&mut self) {
        while !self.is_over() {
            match self.machine.next_timeout() {
                Some(due) => self.fire(due),
                // Nothing but a cancellation ends an invocation without a deadline.
                None => self.say(Input::Cancelled),
            }
        }
    }

    fn fire(&mut self, due: Moment) {
        self.now = self.now.max(due);
        self.note_hooks();
        self.machine.handle_timeout(self.now);
        self.follow();
    }

    fn happen(&mut self, happening: Happening) {
        if self.is_over() {
            return;
        }
        let polling =
            matches!(self.waiting, Some(Effect::Poll | Effect::HoldPolls | Effect::ResumePolls));
        match happening {
            Happening::Done => self.done(),
            Happening::Failed(failure) => match self.waiting {
                Some(
                    Effect::Configure | Effect::Connect | Effect::CreateWorker | Effect::OnStart,
                ) => self.say(Input::Failed(failure)),
                Some(
                    Effect::Poll
                    | Effect::HoldPolls
                    | Effect::ResumePolls
                    | Effect::StopWorker
                    | Effect::AbandonActivities,
                ) => {
                    self.say(Input::WorkerFailed(failure));
                }
                _ => self.done(),
            },
            Happening::TaskStarted if polling => self.say(Input::Busy),
            Happening::TasksEnded if polling => self.say(Input::Quiet),
            Happening::TaskStarted | Happening::TasksEnded => {}
            Happening::Cancelled => self.say(Input::Cancelled),
        }
    }

    fn done(&mut self) {
        let input = match self.waiting {
            Some(Effect::Configure) => Input::Configured(self.scenario.after),
            Some(Effect::Connect) => Input::Connected,
            Some(Effect::CreateWorker) => {
                Input::WorkerCreated { polls_end_within: self.scenario.polls_end_within }
            }
            Some(Effect::OnStart) => Input::WorkerStarted,
            Some(Effect::StopWorker | Effect::AbandonActivities) => Input::WorkerStopped,
            Some(Effect::HoldPolls) => Input::PollsEnded,
            Some(Effect::RunHook(number)) => Input::HookEnded(number),
            Some(Effect::OnShutdown) => Input::ShutdownEnded,
            Some(Effect::Settle) => Input::Settled,
            // A worker polls until it is told to stop.
            Some(Effect::Poll | Effect::ResumePolls) | None => return,
            Some(effect) => unreachable!("nobody waits for {effect:?}"),
        };
        self.say(input);
    }

    fn say(&mut self, input: Input<Failure>) {
        self.note_hooks();
        if let Err(refusal) = self.machine.handle(self.now, input) {
            self.refusals.push(refusal);
        }
        self.follow();
    }

    /// The hooks are there as soon as `configure` was entered.
    fn note_hooks(&mut self) {
        let configured = self.effects.iter().any(|(_, it)| *it == Effect::Configure);
        self.machine.note_hooks(if configured { self.scenario.hooks } else { 0 });
    }

    fn follow(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            // Nobody answers these.
            let unanswered = matches!(
                effect,
                Effect::AbortStep
                    | Effect::AbandonWorker
                    | Effect::Finalize
                    | Effect::WarnShortWork(_)
            );
            if !unanswered {
                self.waiting = Some(effect);
            }
            self.effects.push((self.now, effect));
            self.moves_before.push(self.machine.moves().len());
        }
    }
}
