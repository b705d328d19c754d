//! Strategies for property tests of the lifecycle's rules, for [`proptest`](mod@proptest).
//!
//! The lifecycle of `temporal-lambda-worker` is a pure machine, so what a worker relies on can be
//! asked of thousands of invocations in a second: draw a [`Scenario`], [`play`](Scenario::play) it,
//! look at the [`Performance`].
//!
//! ```
//! use proptest::prelude::*;
//! use temporal_lambda_testkit::lifecycle::scenarios;
//! use temporal_lambda_worker::lifecycle::Effect;
//!
//! proptest! {
//!     // In a test: #[test]
//!     fn a_worker_never_starts_twice(scenario in scenarios()) {
//!         let performance = scenario.play();
//!         prop_assert!(performance.count(Effect::OnStart) <= 1, "{performance}");
//!     }
//! }
//! # a_worker_never_starts_twice();
//! ```
//!
//! A scenario that fails shrinks to the shortest one that still does, and a [`Performance`] prints
//! as a list of what happened, line by line.
//!
//! For tests of single steps there are the parts: [`windows`], [`allowances`], [`inputs`],
//! [`input_sequences`].

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use proptest::prelude::*;
use proptest::{collection, option};
use temporal_lambda_worker::lifecycle::{
    Allowance, Effect, Input, Machine, Moment, Refusal, Transition, Window,
};

/// A failure: a number, by which a test tells one from another.
pub type Failure = u32;

/// Something that happens in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// What the lifecycle waits for comes about: `configure` returns, the connection is made, no poll
    /// is under way any more, the worker has drained, a hook ends.
    Done,
    /// What the lifecycle waits for fails. While polling, the worker ends with an error. What
    /// cannot fail is done instead.
    Failed(Failure),
    /// A task is in flight. Only while polling; else nothing.
    TaskStarted,
    /// No task is in flight any more. Only while polling; else nothing.
    TasksEnded,
    /// The invocation is cancelled.
    Cancelled,
}

/// One invocation that a property test plays.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its time.
    pub window: Window,
    /// The settings that it begins with.
    pub before: Allowance,
    /// The settings that `configure` leaves.
    pub after: Allowance,
    /// How long the worker's polls may take to end.
    pub polls_end_within: Duration,
    /// How many shutdown hooks `configure` adds.
    pub hooks: usize,
    /// Whether it is the environment's first invocation.
    pub cold: bool,
    /// What happens, each with the time since the one before it. After the last one nothing
    /// happens any more; only time passes. Without a deadline it is then cancelled.
    pub happenings: Vec<(Duration, Happening)>,
}

/// What a lifecycle did in a [`Scenario`].
#[derive(Clone, Debug)]
pub struct Performance {
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

/// Any time up to 15 minutes, Lambda's longest; often seconds.
pub fn times() -> impl Strategy<Value = Duration> + Clone {
    prop_oneof![
        4 => (0_u64..10_000).prop_map(Duration::from_millis),
        1 => (0_u64..900_000).prop_map(Duration::from_millis),
    ]
}

/// Any window: it arrives at any moment, and has any time; one in eight has no deadline.
pub fn windows() -> impl Strategy<Value = Window> + Clone {
    (times(), option::weighted(0.875, times())).prop_map(|(arrival, lasts)| {
        let arrival = Moment::new(arrival);
        Window { arrival, deadline: lasts.map(|time| arrival.later(time)) }
    })
}

/// Any settings that `configure` may leave: the buffer holds the grace period and what follows it.
/// Half of them have an idle timeout.
pub fn allowances() -> impl Strategy<Value = Allowance> + Clone {
    let small = || (0_u64..5_000).prop_map(Duration::from_millis);
    (small(), small(), option::of(small()), small()).prop_map(
        |(grace, spare, idle_timeout, minimum_stay)| Allowance {
            grace,
            buffer: Allowance::least_buffer(grace) + spare,
            idle_timeout,
            minimum_stay,
        },
    )
}

/// How long a worker's polls may take to end: as on a server that ends them, and as on one that does
/// not.
fn polls_end_within() -> impl Strategy<Value = Duration> + Clone {
    prop_oneof![Just(Duration::from_millis(200)), Just(Duration::from_millis(1_550))]
}

/// Any input, sensible at the moment or not. Most of them are refused in most steps.
pub fn inputs() -> impl Strategy<Value = Input<Failure>> + Clone {
    let failure = || any::<Failure>();
    prop_oneof![
        (windows(), allowances())
            .prop_map(|(window, allowance)| Input::Invoked { window, allowance }),
        allowances().prop_map(Input::Configured),
        Just(Input::Connected),
        polls_end_within().prop_map(|polls_end_within| Input::WorkerCreated { polls_end_within }),
        Just(Input::WorkerStarted),
        failure().prop_map(Input::Failed),
        Just(Input::Busy),
        Just(Input::Quiet),
        Just(Input::PollsEnded),
        Just(Input::Cancelled),
        Just(Input::WorkerStopped),
        failure().prop_map(Input::WorkerFailed),
        (0_usize..4).prop_map(Input::HookEnded),
        Just(Input::ShutdownEnded),
        Just(Input::Settled),
    ]
}

/// So many of any [`inputs`], each with the time since the one before it. Good for what must hold
/// whatever a driver says; to see an invocation go far, use [`scenarios`].
pub fn input_sequences(
    length: Range<usize>,
) -> impl Strategy<Value = Vec<(Duration, Input<Failure>)>> + Clone {
    collection::vec((times(), inputs()), length)
}

/// Any happening; most often all goes well.
pub fn happenings() -> impl Strategy<Value = Happening> + Clone {
    prop_oneof![
        12 => Just(Happening::Done),
        2 => Just(Happening::TaskStarted),
        2 => Just(Happening::TasksEnded),
        2 => any::<Failure>().prop_map(Happening::Failed),
        1 => Just(Happening::Cancelled),
    ]
}

/// Any invocation, with up to three hooks and up to 20 happenings at most 2 s apart.
pub fn scenarios() -> impl Strategy<Value = Scenario> + Clone {
    let apart = (0_u64..2_000).prop_map(Duration::from_millis);
    let happenings = collection::vec((apart, happenings()), 0..20);
    let settings = (allowances(), allowances(), polls_end_within());
    (windows(), settings, 0_usize..4, any::<bool>(), happenings).prop_map(
        |(window, (before, after, polls_end_within), hooks, cold, happenings)| Scenario {
            window,
            before,
            after,
            polls_end_within,
            hooks,
            cold,
            happenings,
        },
    )
}

impl Scenario {
    /// Plays it to its end. Timers fire on time.
    pub fn play(&self) -> Performance {
        let mut stage = Stage::new(self);
        let (window, allowance) = (self.window, self.before);
        stage.say(Input::Invoked { window, allowance });
        for (after, happening) in &self.happenings {
            stage.wait(*after);
            stage.happen(*happening);
        }
        stage.wait_for_the_end();
        Performance {
            scenario: self.clone(),
            effects: stage.effects,
            moves_before: stage.moves_before,
            refusals: stage.refusals,
            ended: stage.now,
            machine: stage.machine,
        }
    }
}

impl Performance {
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
impl fmt::Display for Performance {
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

struct Stage<'a> {
    scenario: &'a Scenario,
    now: Moment,
    machine: Machine<Failure>,
    /// What the machine waits for.
    waiting: Option<Effect>,
    effects: Vec<(Moment, Effect)>,
    moves_before: Vec<usize>,
    refusals: Vec<Refusal>,
}

impl<'a> Stage<'a> {
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
