//! The lifecycle machine: inputs in, effects out, `now` an argument.
//!
//! Use it in this order: hand it an input with [`Machine::handle`] (or, when
//! [`Machine::next_timeout`] has come, call [`Machine::handle_timeout`]), then carry out what
//! [`Machine::poll_effect`] returns until it returns `None`, then wait for the next input or the
//! next timeout.

use std::collections::VecDeque;
use std::time::Duration;

use super::budget::{Allowance, FINALIZE_CAP, MIN_WORK_TIME, Moment, SHORT_WORK_TIME, Window};
use super::table::{Cell, look_up};
use super::{Event, RESPONSE_RESERVE, State, Step};

/// What the driver tells the machine. `F` is whatever the driver calls a failure; the machine
/// keeps failures in order and never looks into them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<F> {
    /// Lambda handed over an event.
    Invoked {
        /// The invocation's time.
        window: Window,
        /// The settings known before `configure`.
        allowance: Allowance,
    },
    /// `configure` returned; this is what it left.
    Configured(Allowance),
    /// There is a connection.
    Connected,
    /// The worker exists.
    WorkerCreated,
    /// `on_start` returned.
    WorkerStarted,
    /// The current step failed.
    Failed(F),
    /// A task is in flight where there was none.
    Busy,
    /// The last task in flight has ended.
    Quiet,
    /// The invocation is cancelled.
    Cancelled,
    /// The worker ended without an error.
    WorkerStopped,
    /// The worker ended with an error.
    WorkerFailed(F),
    /// The worker is unregistered.
    Finalized,
    /// The hook with this number ended, well or not.
    HookEnded(usize),
    /// `on_shutdown` ended, well or not.
    ShutdownEnded,
    /// Nothing of this invocation runs any more.
    Settled,
}

/// What the driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Run the user's `configure`.
    Configure,
    /// Connect to Temporal.
    Connect,
    /// Create the worker.
    CreateWorker,
    /// Run the user's `on_start`.
    OnStart,
    /// Let the worker poll.
    Poll,
    /// Cut short what runs in the step that was left: drop its future.
    AbortStep,
    /// Stop polling and begin to drain.
    StopWorker,
    /// Drop the activities that did not react to their cancellation.
    AbandonActivities,
    /// Drop the worker, ended or not.
    AbandonWorker,
    /// Unregister the worker from its connection.
    Finalize,
    /// Run the shutdown hook with this number.
    RunHook(usize),
    /// Run the user's `on_shutdown`.
    OnShutdown,
    /// Say when nothing of this invocation runs any more.
    Settle,
    /// Warn that there is this little time for work.
    WarnShortWork(Duration),
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause<F> {
    /// The driver's own failure.
    Reported(F),
    /// The event came when nothing fits any more.
    Late {
        /// From the arrival of the event to the deadline.
        remaining: Duration,
    },
    /// The function's time does not hold the buffer and more than [`MIN_WORK_TIME`].
    TooLittleTime {
        /// From the arrival of the event to the deadline.
        remaining: Duration,
        /// The shutdown deadline buffer.
        buffer: Duration,
    },
    /// The time for work was over before the worker polled.
    OutOfTime {
        /// What was going on.
        during: Step,
    },
    /// The worker ended though nobody had asked it to.
    WorkerStopped,
    /// The worker did not end within its cap.
    WorkerNotStopped,
    /// Something of the invocation still ran when its response was due.
    NotSettled,
}

/// Why an invocation went into [`State::Draining`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The time for work was over.
    DeadlineNear,
    /// Nothing was in flight for the idle timeout.
    Idle,
    /// Cancelled, or its future dropped.
    Cancelled,
    /// Something failed; the first [`Cause`] says what.
    Failed,
}

/// One move of the lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// The step before.
    pub from: Step,
    /// What happened.
    pub event: Event,
    /// The step after; the same as before if the event was only noted.
    pub to: Step,
    /// When.
    pub at: Moment,
}

/// Why the machine did not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The event comes late or says nothing new: harmless.
    NoOp {
        /// Where the machine stands.
        step: Step,
        /// What it was told.
        event: Event,
    },
    /// The event cannot happen here: a bug of the driver.
    Illegal {
        /// Where the machine stands.
        step: Step,
        /// What it was told.
        event: Event,
    },
}

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
    polling_since: Moment,
    quiet_since: Option<Moment>,
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
            polling_since: Moment::default(),
            quiet_since: None,
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

    /// Why the invocation went into draining; `None` before.
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

    /// The next thing to do, or `None` if there is nothing to do now.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When polling stops, if there is a deadline. It moves only with the settings that
    /// `configure` left, never with the time that a step took.
    pub fn stop_at(&self) -> Option<Moment> {
        self.window.stop_at(&self.allowance)
    }

    /// Takes an input.
    ///
    /// # Errors
    /// [`Refusal::NoOp`] if the input is late or says nothing new, [`Refusal::Illegal`] if it
    /// cannot happen here. The machine is unchanged after both.
    pub fn handle(&mut self, now: Moment, input: Input<F>) -> Result<Transition, Refusal> {
        let event = match &input {
            Input::Invoked { window, .. } if window.is_spent() => Event::InvokedTooLate,
            Input::Invoked { .. } => Event::Invoked,
            Input::Configured(allowance) if self.is_too_little(allowance) => Event::Failed,
            // What comes when the time for work is over leads no further, even if it is heard
            // before the timer: a thawed environment must not begin to poll.
            Input::Configured(it) if self.is_over(now, Step::Configuring, it) => {
                Event::DeadlineNear
            }
            Input::Connected if self.is_over(now, Step::Connecting, &self.allowance) => {
                Event::DeadlineNear
            }
            Input::WorkerCreated if self.is_over(now, Step::Creating, &self.allowance) => {
                Event::DeadlineNear
            }
            Input::WorkerStarted if self.is_over(now, Step::Starting, &self.allowance) => {
                Event::DeadlineNear
            }
            // And news of tasks without end must not keep the timer from being heard.
            Input::Busy | Input::Quiet if self.is_over(now, Step::Polling, &self.allowance) => {
                Event::DeadlineNear
            }
            Input::Configured(_) => Event::Configured,
            Input::Connected => Event::Connected,
            Input::WorkerCreated => Event::WorkerCreated,
            Input::WorkerStarted => Event::WorkerStarted,
            Input::Failed(_) => Event::Failed,
            Input::Busy => Event::Busy,
            Input::Quiet => Event::Quiet,
            Input::Cancelled => Event::Cancelled,
            Input::WorkerStopped => Event::WorkerStopped,
            Input::WorkerFailed(_) => Event::WorkerFailed,
            Input::Finalized => Event::Finalized,
            Input::HookEnded(hook) => self.hook_ended(*hook)?,
            Input::ShutdownEnded => Event::ShutdownEnded,
            Input::Settled => Event::Settled,
        };
        let to = self.target(event)?;
        self.note(input);
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

    fn hook_ended(&self, hook: usize) -> Result<Event, Refusal> {
        if self.step == Step::Hooks && hook != self.next_hook {
            return Err(Refusal::NoOp { step: self.step, event: Event::HookEnded });
        }
        Ok(self.hook_event())
    }

    fn hook_event(&self) -> Event {
        if self.step == Step::Hooks && self.next_hook + 1 >= self.hooks {
            Event::HooksEnded
        } else {
            Event::HookEnded
        }
    }

    fn is_too_little(&self, allowance: &Allowance) -> bool {
        self.step == Step::Configuring
            && self.window.work_time(allowance).is_some_and(|time| time <= MIN_WORK_TIME)
    }

    /// Whether `step` is the current one and the time for work is over.
    fn is_over(&self, now: Moment, step: Step, allowance: &Allowance) -> bool {
        self.step == step && self.window.stop_at(allowance).is_some_and(|stop| stop <= now)
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
                let stop = self.stop_at().map(deadline_near);
                let idle = self.idle_at().map(|at| (at, Event::Idle));
                match (stop, idle) {
                    (Some(stop), Some(idle)) => Some(if idle.0 < stop.0 { idle } else { stop }),
                    (stop, idle) => stop.or(idle),
                }
            }
            Step::Stopping => {
                let by = self.farewell_by();
                if self.grace_over {
                    let at = self.allowance.worker_gone_by(self.draining_since).min(by);
                    Some((at, Event::CapPassed))
                } else {
                    let at = self.allowance.grace_over(self.draining_since).min(by);
                    Some((at, Event::GraceOver))
                }
            }
            Step::Finalizing | Step::Farewell | Step::Settling => {
                self.cap.map(|at| (at, Event::CapPassed))
            }
            Step::Hooks => self.cap.map(|at| (at, self.hook_event())),
        }
    }

    fn idle_at(&self) -> Option<Moment> {
        let quiet = self.quiet_since?.later(self.allowance.idle_timeout?);
        Some(quiet.max(self.polling_since.later(self.allowance.minimum_stay)))
    }

    fn farewell_by(&self) -> Moment {
        self.window.farewell_by(&self.allowance, self.draining_since)
    }

    /// Keeps what the input brings.
    fn note(&mut self, input: Input<F>) {
        match input {
            Input::Invoked { window, allowance } => {
                let late = window.is_spent();
                // A machine that has served an invocation remembers nothing of it.
                let (hooks, effects) = (self.hooks, std::mem::take(&mut self.effects));
                *self = Self { window, allowance, hooks, effects, ..Self::at(self.step) };
                if late {
                    let remaining = self.remaining();
                    self.causes.push(Cause::Late { remaining });
                }
            }
            Input::Configured(allowance) => {
                let too_little = self.is_too_little(&allowance);
                self.allowance = allowance;
                if too_little {
                    let (remaining, buffer) = (self.remaining(), allowance.buffer);
                    self.causes.push(Cause::TooLittleTime { remaining, buffer });
                } else if let Some(work) = self.window.work_time(&allowance)
                    && work < SHORT_WORK_TIME
                {
                    self.effects.push_back(Effect::WarnShortWork(work));
                }
            }
            Input::Failed(failure) | Input::WorkerFailed(failure) => {
                self.causes.push(Cause::Reported(failure));
            }
            Input::WorkerStopped if self.step != Step::Stopping => {
                self.causes.push(Cause::WorkerStopped);
            }
            Input::Connected
            | Input::WorkerCreated
            | Input::WorkerStarted
            | Input::Busy
            | Input::Quiet
            | Input::Cancelled
            | Input::WorkerStopped
            | Input::Finalized
            | Input::HookEnded(_)
            | Input::ShutdownEnded
            | Input::Settled => {}
        }
    }

    fn remaining(&self) -> Duration {
        self.window.deadline.map_or(Duration::ZERO, |deadline| deadline.since(self.window.arrival))
    }

    /// The only door: every change of step goes through here.
    fn go(&mut self, now: Moment, event: Event, to: Step) -> Transition {
        let from = self.step;
        self.step = to;
        if to.state() == State::Draining && from.state() != State::Draining {
            self.begin_draining(now, event, from);
        }
        match to {
            Step::ColdStart | Step::Healthy => {}
            Step::Configuring => self.effects.push_back(Effect::Configure),
            Step::Connecting => self.effects.push_back(Effect::Connect),
            Step::Creating => self.effects.push_back(Effect::CreateWorker),
            Step::Starting => self.effects.push_back(Effect::OnStart),
            Step::Polling => self.poll(now, event),
            Step::Stopping => self.stop(event),
            Step::Finalizing => self.finalize(now, event),
            Step::Hooks => self.run_hooks(now, from),
            Step::Farewell => self.say_farewell(),
            Step::Settling => self.settle(now, event),
            Step::Poisoned => self.causes.push(Cause::NotSettled),
        }
        let transition = Transition { from, event, to, at: now };
        if from != to {
            self.moves.push(transition);
        }
        if to == Step::Hooks && self.next_hook >= self.hooks {
            self.go(now, Event::HooksEnded, Step::Farewell);
        }
        transition
    }

    fn begin_draining(&mut self, now: Moment, event: Event, from: Step) {
        self.draining_since = now;
        self.ending = Some(match event {
            Event::DeadlineNear => Ending::DeadlineNear,
            Event::Idle => Ending::Idle,
            Event::Cancelled => Ending::Cancelled,
            _ => Ending::Failed,
        });
        if event == Event::DeadlineNear && from != Step::Polling {
            self.ending = Some(Ending::Failed);
            self.causes.push(Cause::OutOfTime { during: from });
        }
        if event != Event::Failed && from != Step::Polling {
            self.effects.push_back(Effect::AbortStep);
        }
    }

    fn poll(&mut self, now: Moment, event: Event) {
        match event {
            Event::Busy => self.quiet_since = None,
            Event::Quiet => self.quiet_since = Some(now),
            _ => {
                self.polling_since = now;
                self.quiet_since = Some(now);
                self.effects.push_back(Effect::Poll);
            }
        }
    }

    fn stop(&mut self, event: Event) {
        if event == Event::GraceOver {
            self.grace_over = true;
            self.effects.push_back(Effect::AbandonActivities);
        } else {
            self.effects.push_back(Effect::StopWorker);
        }
    }

    fn finalize(&mut self, now: Moment, event: Event) {
        if event == Event::CapPassed {
            self.causes.push(Cause::WorkerNotStopped);
            self.effects.push_back(Effect::AbandonWorker);
        }
        // Unregistering touches memory only; the cap is for a thread that does not get to it.
        let least = now.later(FINALIZE_CAP / 10);
        self.cap = Some(self.allowance.worker_gone_by(self.draining_since).min(least).max(now));
        self.effects.push_back(Effect::Finalize);
    }

    fn run_hooks(&mut self, now: Moment, from: Step) {
        if from == Step::Hooks {
            self.next_hook += 1;
        }
        if self.next_hook < self.hooks {
            // Every callback still to come, `on_shutdown` included, has an equal share of what is
            // left, so that one that hangs cannot starve the next.
            let callbacks = u32::try_from(self.hooks - self.next_hook + 1).unwrap_or(u32::MAX);
            let share = self.farewell_by().since(now) / callbacks;
            self.cap = Some(now.later(share));
            self.effects.push_back(Effect::RunHook(self.next_hook));
        }
    }

    fn say_farewell(&mut self) {
        self.cap = Some(self.farewell_by());
        self.effects.push_back(Effect::OnShutdown);
    }

    fn settle(&mut self, now: Moment, event: Event) {
        if event == Event::CapPassed {
            self.effects.push_back(Effect::AbortStep);
        }
        // Half of the response's reserve: what was cut short ends within microseconds, or never.
        let half = RESPONSE_RESERVE / 2;
        let cap = now.later(half);
        self.cap = Some(match self.window.deadline {
            Some(deadline) => cap.min(deadline.earlier(half)).max(now),
            None => cap,
        });
        self.effects.push_back(Effect::Settle);
    }
}
