//! What a move from one step to the next brings with it: what is kept, what is to be done, and how
//! long that may take.

use std::time::Duration;

use super::super::budget::{FINALIZE_CAP, Moment, RESPONSE_RESERVE, SHORT_WORK_TIME};
use super::super::messages::{Cause, Effect, Ending, Input, Transition};
use super::super::{Event, State, Step};
use super::Machine;

impl<F> Machine<F> {
    /// Keeps what the input brings.
    pub(super) fn note(&mut self, input: Input<F>) {
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
        self.cap = Some(self.allowance.worker_gone_by(self.draining_since).min(least));
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
            Some(deadline) if now < deadline => cap.min(deadline.earlier(half)),
            // Past the deadline there is nothing left to be in time for; but what has only not had
            // its turn, since all stood still, must not be taken for stuck.
            _ => cap,
        });
        self.effects.push_back(Effect::Settle);
    }
}
