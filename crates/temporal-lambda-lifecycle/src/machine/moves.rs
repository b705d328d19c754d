//! What a move from one step to the next brings with it: what is kept, what is to be done, and how
//! long that may take.

use std::time::Duration;

use super::super::budget::{Moment, SHORT_WORK_TIME, callback_time};
use super::super::messages::{Cause, Effect, Ending, Input, Transition};
use super::super::{Event, State, Step};
use super::Machine;

impl<F> Machine<F> {
    /// Keeps what the input brings.
    pub(super) fn note(&mut self, now: Moment, input: Input<F>) {
        match input {
            Input::Invoked { window, allowance } => {
                let late = window.is_spent();
                // A machine that has served an invocation remembers nothing of it.
                let (hooks, effects) = (self.hooks, std::mem::take(&mut self.effects));
                let on_shutdown_is_expected = self.on_shutdown_is_expected;
                *self = Self {
                    window,
                    allowance,
                    hooks,
                    on_shutdown_is_expected,
                    effects,
                    ..Self::at(self.step)
                };
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
            Input::WorkerCreated { polls_end_within } => self.polls_end_within = polls_end_within,
            Input::Busy => {
                self.quiet_since = None;
                if self.step == Step::Quiescing {
                    self.busy_since = now;
                    if self.stop_near().is_some_and(|at| at <= now) {
                        self.ending = Some(Ending::DeadlineNear);
                    }
                }
            }
            Input::Quiet => self.quiet_since = Some(now),
            Input::PollsEnded => self.polls_ended = true,
            Input::Connected
            | Input::WorkerStarted
            | Input::Cancelled
            | Input::WorkerStopped
            | Input::HookEnded(_)
            | Input::ShutdownEnded
            | Input::Settled => {}
        }
    }

    fn remaining(&self) -> Duration {
        self.window.deadline.map_or(Duration::ZERO, |deadline| deadline.since(self.window.arrival))
    }

    /// The only door: every change of step goes through here.
    pub(super) fn go(&mut self, now: Moment, event: Event, to: Step) -> Transition {
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
            Step::Polling => self.poll(now, from),
            Step::Quiescing => self.quiesce(now, event, from),
            Step::Stopping => self.stop(event),
            Step::Hooks => self.run_hooks(now, event, from),
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
        self.forget_polling();
        let failed = matches!(event, Event::Failed | Event::WorkerStopped | Event::WorkerFailed);
        // From quiescing, the reason is what polling ended for.
        if event == Event::Cancelled {
            self.ending = Some(Ending::Cancelled);
        } else if failed || from != Step::Quiescing {
            self.ending = Some(Ending::Failed);
        }
        if event == Event::DeadlineNear && from != Step::Quiescing {
            self.causes.push(Cause::OutOfTime { during: from });
        }
        if event != Event::Failed && from.state() != State::Polling {
            self.effects.push_back(Effect::AbortStep);
        }
    }

    /// What was of use for polling only.
    fn forget_polling(&mut self) {
        self.polling_since = Moment::default();
        self.quiescing_since = Moment::default();
        self.busy_since = Moment::default();
        self.quiet_since = None;
        self.polls_ended = false;
    }

    fn poll(&mut self, now: Moment, from: Step) {
        match from {
            Step::Starting => {
                self.polling_since = now;
                self.quiet_since = Some(now);
                self.effects.push_back(Effect::Poll);
            }
            Step::Quiescing => {
                self.ending = None;
                self.quiescing_since = Moment::default();
                self.busy_since = Moment::default();
                self.polls_ended = false;
                self.effects.push_back(Effect::ResumePolls);
            }
            // A task came or went.
            _ => {}
        }
    }

    fn quiesce(&mut self, now: Moment, event: Event, from: Step) {
        if from == Step::Polling {
            self.quiescing_since = now;
            self.polls_ended = false;
            let idle = event == Event::Idle;
            self.ending = Some(if idle { Ending::Idle } else { Ending::DeadlineNear });
            self.effects.push_back(Effect::HoldPolls);
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

    fn run_hooks(&mut self, now: Moment, event: Event, from: Step) {
        match from {
            Step::Hooks => self.next_hook += 1,
            // There is no worker yet.
            Step::Configuring | Step::Connecting => {}
            _ => self.end_worker(event, from),
        }
        if self.next_hook < self.hooks {
            let to_come =
                self.hooks - self.next_hook - 1 + usize::from(self.on_shutdown_is_expected);
            let time = callback_time(self.farewell_by().since(now), to_come);
            self.cap = Some(now.later(time));
            self.effects.push_back(Effect::RunHook(self.next_hook));
        }
    }

    fn end_worker(&mut self, event: Event, from: Step) {
        // A worker that ended by itself leaves its activities behind.
        let drained = from == Step::Stopping && event == Event::WorkerStopped;
        if matches!(event, Event::WorkerStopped | Event::WorkerFailed)
            && !drained
            && !self.grace_over
        {
            self.effects.push_back(Effect::AbandonActivities);
        }
        if event == Event::CapPassed {
            self.causes.push(Cause::WorkerNotStopped);
            self.effects.push_back(Effect::AbandonWorker);
        }
        self.effects.push_back(Effect::Finalize);
    }

    fn say_farewell(&mut self) {
        self.cap = Some(self.farewell_by());
        self.effects.push_back(Effect::OnShutdown);
    }

    fn settle(&mut self, now: Moment, event: Event) {
        if event == Event::CapPassed {
            self.effects.push_back(Effect::AbortStep);
        }
        self.cap = Some(self.window.settle_by(&self.allowance, self.draining_since, now));
        self.effects.push_back(Effect::Settle);
    }
}
