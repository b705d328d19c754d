//! The lifecycle machine: inputs in, effects out, `now` an argument.
//!
//! Use it in this order: hand it an input with [`Machine::handle`] (or, when
//! [`Machine::next_timeout`] has come, call [`Machine::handle_timeout`]), then carry out what
//! [`Machine::poll_effect`] returns until it returns `None`, then wait for the next input or the
//! next timeout.
//!
//! Here stands what the machine knows, what it takes an input for, and which timer it waits for;
//! what a move brings with it stands in `moves.rs`.

mod moves;

use std::collections::VecDeque;
use std::time::Duration;

use super::budget::{Allowance, MIN_WORK_TIME, Moment, POLL_SPARE, REFUSED_FOR, Window};
use super::messages::{Cause, Effect, Ending, Input, Refusal, Transition};
use super::table::{Cell, Condition, look_up, read};
use super::{Event, State, Step};

/// The lifecycle of one invocation.
#[derive(Clone, Debug)]
pub struct Machine<F> {
    step: Step,
    window: Window,
    allowance: Allowance,
    hooks: usize,
    next_hook: usize,
    ending: Option<Ending>,
    causes: Vec<Cause<F>>,
    on_shutdown_is_expected: bool,
    polling_since: Moment,
    polls_end_within: Duration,
    /// `None`: a task is in flight, since `busy_since`.
    quiet_since: Option<Moment>,
    busy_since: Moment,
    quiescing_since: Moment,
    polls_ended: bool,
    draining_since: Moment,
    grace_over: bool,
    cap: Option<Moment>,
    effects: VecDeque<Effect>,
    moves: Vec<Transition>,
}

impl<F> Machine<F> {
    /// The machine of an invocation in an environment that served none before (`ColdStart`).
    pub fn cold() -> Self {
        Self::at(Step::ColdStart)
    }

    /// The machine of an invocation in an environment that served one before and is healthy.
    pub fn warm() -> Self {
        Self::at(Step::Healthy)
    }

    fn at(step: Step) -> Self {
        let allowance = Allowance {
            grace: Duration::ZERO,
            buffer: Duration::ZERO,
            idle_timeout: None,
            minimum_stay: Duration::ZERO,
        };
        let window = Window { arrival: Moment::default(), deadline: None };
        Self {
            step,
            window,
            allowance,
            hooks: 0,
            next_hook: 0,
            ending: None,
            causes: Vec::new(),
            on_shutdown_is_expected: true,
            polling_since: Moment::default(),
            polls_end_within: Duration::ZERO,
            quiet_since: None,
            busy_since: Moment::default(),
            quiescing_since: Moment::default(),
            polls_ended: false,
            draining_since: Moment::default(),
            grace_over: false,
            cap: None,
            effects: VecDeque::new(),
            moves: Vec::new(),
        }
    }

    /// Where the invocation stands, in detail.
    pub fn step(&self) -> Step {
        self.step
    }

    /// Where the invocation stands.
    pub fn state(&self) -> State {
        self.step.state()
    }

    /// Why polling ends, or the invocation went into draining without; `None` before.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// What went wrong, the first thing first. Empty: nothing.
    pub fn causes(&self) -> &[Cause<F>] {
        &self.causes
    }

    /// Takes what went wrong out of the machine, the first thing first.
    pub fn into_causes(self) -> Vec<Cause<F>> {
        self.causes
    }

    /// Every move so far, in order. Events that were only noted are not among them.
    pub fn moves(&self) -> &[Transition] {
        &self.moves
    }

    /// Notes how many shutdown hooks are registered. Hooks can be registered until `configure`
    /// has ended, however it ended, so tell the machine before each input.
    pub fn note_hooks(&mut self, registered: usize) {
        self.hooks = registered;
    }

    /// Says that `on_shutdown` does nothing, so that no time is kept for it.
    pub fn expect_no_on_shutdown(&mut self) {
        self.on_shutdown_is_expected = false;
    }

    /// The next thing to do, or `None` if there is nothing to do now.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When polling stops, if there is a deadline. It moves only with the settings that
    /// `configure` left, never with the time that a step took.
    pub fn stop_at(&self) -> Option<Moment> {
        self.window.stop_at(&self.allowance)
    }

    /// When the worker will have been idle for long enough if it stays quiet; `None` if it is busy,
    /// does not poll, or has no idle timeout.
    pub fn idle_at(&self) -> Option<Moment> {
        if self.step == Step::Polling { self.idle_since_quiet() } else { None }
    }

    /// Takes an input.
    ///
    /// # Errors
    /// [`Refusal::NoOp`] if the input is late or says nothing new, [`Refusal::Illegal`] if it
    /// cannot happen here. The machine is unchanged after both.
    pub fn handle(&mut self, now: Moment, input: Input<F>) -> Result<Transition, Refusal> {
        let said = input.event();
        let event = read(self.step, said, |condition| self.holds(now, &input, condition))
            .ok_or(Refusal::NoOp { step: self.step, event: said })?;
        let to = self.target(event)?;
        self.note(now, input);
        Ok(self.go(now, event, to))
    }

    /// The next moment at which [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn next_timeout(&self) -> Option<Moment> {
        self.next_timer().map(|(at, _)| at)
    }

    /// Tells the machine that time has passed. `None` if no timer is due at `now`.
    pub fn handle_timeout(&mut self, now: Moment) -> Option<Transition> {
        let (at, event) = self.next_timer()?;
        if now < at {
            return None;
        }
        if event == Event::HookEnded || event == Event::HooksEnded {
            self.effects.push_back(Effect::AbortStep);
        }
        let to = self.target(event).ok()?;
        Some(self.go(now, event, to))
    }

    fn target(&self, event: Event) -> Result<Step, Refusal> {
        match look_up(self.step, event) {
            Cell::To(step) => Ok(step),
            Cell::NoOp => Err(Refusal::NoOp { step: self.step, event }),
            Cell::Illegal => Err(Refusal::Illegal { step: self.step, event }),
        }
    }

    /// Whether this holds when `input` is heard.
    fn holds(&self, now: Moment, input: &Input<F>, condition: Condition) -> bool {
        let is_over = |allowance| self.window.stop_at(allowance).is_some_and(|stop| stop <= now);
        match (condition, input) {
            (Condition::WindowIsSpent, Input::Invoked { window, .. }) => window.is_spent(),
            (Condition::WorkTimeIsTooShort, Input::Configured(allowance)) => {
                self.is_too_little(allowance)
            }
            (Condition::WorkTimeIsOver, Input::Configured(allowance)) => is_over(allowance),
            (Condition::WorkTimeIsOver, _) => is_over(&self.allowance),
            (Condition::StopIsNear, _) => self.stop_near().is_some_and(|at| at <= now),
            (Condition::NoPollIsUnderWay, _) => self.polls_ended,
            (Condition::NoTaskIsInFlight, _) => self.quiet_since.is_some(),
            (Condition::AnotherHookRuns, Input::HookEnded(hook)) => *hook != self.next_hook,
            (Condition::NoHookIsLeft, _) => self.next_hook + 1 >= self.hooks,
            (
                Condition::WindowIsSpent
                | Condition::WorkTimeIsTooShort
                | Condition::AnotherHookRuns,
                _,
            ) => false,
        }
    }

    fn is_too_little(&self, allowance: &Allowance) -> bool {
        self.window.work_time(allowance).is_some_and(|time| time <= MIN_WORK_TIME)
    }

    /// The end of the hook that runs, when its time is over.
    fn hook_event(&self) -> Event {
        if self.next_hook + 1 >= self.hooks { Event::HooksEnded } else { Event::HookEnded }
    }

    /// The timer of the current step: every step that waits has one, if there is a deadline or
    /// the step has a cap of its own.
    fn next_timer(&self) -> Option<(Moment, Event)> {
        let deadline_near = |at: Moment| (at, Event::DeadlineNear);
        match self.step {
            Step::ColdStart | Step::Healthy | Step::Poisoned => None,
            Step::Configuring => self.window.configure_until(&self.allowance).map(deadline_near),
            Step::Connecting | Step::Creating | Step::Starting => self.stop_at().map(deadline_near),
            Step::Polling => {
                let stop = self.stop_near().map(|at| (at, Event::StopNear));
                let idle = self.idle_since_quiet().map(|at| (at, Event::Idle));
                match (stop, idle) {
                    (Some(stop), Some(idle)) => Some(if idle.0 < stop.0 { idle } else { stop }),
                    (stop, idle) => stop.or(idle),
                }
            }
            Step::Quiescing => self.quiescing_timer(),
            Step::Stopping => {
                let by = self.farewell_by();
                if self.grace_over {
                    let at = self.window.worker_gone_by(&self.allowance, self.draining_since);
                    Some((at.min(by), Event::CapPassed))
                } else {
                    let at = self.window.grace_over(&self.allowance, self.draining_since);
                    Some((at.min(by), Event::GraceOver))
                }
            }
            Step::Farewell | Step::Settling => self.cap.map(|at| (at, Event::CapPassed)),
            Step::Hooks => self.cap.map(|at| (at, self.hook_event())),
        }
    }

    /// What ends the wait for the last polls.
    fn quiescing_timer(&self) -> Option<(Moment, Event)> {
        let spare = 2 * POLL_SPARE + REFUSED_FOR;
        let cap = self.quiescing_since.later(self.polls_end_within.saturating_add(spare));
        let cap = (cap.min(self.window.drain_by().unwrap_or(cap)), Event::CapPassed);
        if self.quiet_since.is_some() {
            return Some(cap);
        }
        let in_time = self.stop_near().is_none_or(|near| self.busy_since < near);
        if in_time && self.busy_since >= self.quiescing_since {
            return Some((self.busy_since, Event::Resumed));
        }
        let stop = self.stop_at().map(|at| (at, Event::DeadlineNear));
        if self.polls_ended { stop } else { stop.map(|stop| (stop.0.max(cap.0), Event::CapPassed)) }
    }

    /// When polling gives way to quiescing.
    fn stop_near(&self) -> Option<Moment> {
        self.window.stop_near(&self.allowance, self.polling_since, self.polls_end_within)
    }

    fn idle_since_quiet(&self) -> Option<Moment> {
        let quiet = self.quiet_since?.later(self.allowance.idle_timeout?);
        Some(quiet.max(self.polling_since.later(self.allowance.minimum_stay)))
    }

    fn farewell_by(&self) -> Moment {
        self.window.farewell_by(&self.allowance, self.draining_since)
    }
}
