//! Running a scripted invocation with the machine alone: without a driver or a runtime, with a list of the inputs
//! to come.

use crate::lifecycle::rules::{End, Line, Seen, Trace};
use crate::lifecycle::{Effect, Input, Machine, Moment, Step, Window};
use crate::report::CallbackOutcome;

use super::ms;
use super::scripted_invocation::{
    CONFIGURE, CONNECT, CREATE, Drain, HOOK, How, ON_SHUTDOWN, ON_START, Part, ScriptedInvocation,
    WORKER, tick, words,
};
use crate::lifecycle::rules::Failure;

/// The source of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// The code of the current step: it can be cut short.
    Step,
    Worker,
    /// The last polls.
    Polls,
    Outside,
}

/// Inputs to come: when, and from where.
#[derive(Clone, Debug)]
struct Coming {
    at: Moment,
    who: Who,
    inputs: Vec<Input<Failure>>,
    /// Whether they follow at once from the input before.
    at_once: bool,
}

/// What came of a run of the machine.
pub(super) struct MachineRun {
    pub(super) trace: Trace,
    pub(super) hooks: Vec<CallbackOutcome>,
    pub(super) on_shutdown: Option<CallbackOutcome>,
    /// Whether two things happened in the same millisecond, so that either may come first.
    pub(super) tied: bool,
}

struct Simulation<'a> {
    script: &'a ScriptedInvocation,
    machine: Machine<Failure>,
    now: Moment,
    coming: Vec<Coming>,
    registered: usize,
    worker_ended: bool,
    worker_polled: bool,
    outcomes: Vec<CallbackOutcome>,
    on_shutdown: Option<CallbackOutcome>,
    trace: Trace,
    tied: bool,
}

/// Plays `script` in `window`, from a cold start.
pub(super) fn run_machine(script: &ScriptedInvocation, window: Window) -> MachineRun {
    let before = ScriptedInvocation::before();
    let trace = Trace { window, before, lines: Vec::new(), end: None, blur: ms(2) };
    let mut drive = Simulation {
        script,
        machine: Machine::cold(),
        now: window.arrival,
        coming: Vec::new(),
        registered: 0,
        worker_ended: true,
        worker_polled: false,
        outcomes: Vec::new(),
        on_shutdown: None,
        trace,
        tied: false,
    };
    if let Some(at) = script.cancelled_at {
        drive.later(at, Who::Outside, vec![Input::Cancelled]);
    }
    drive.say(Input::Invoked { window, allowance: before });
    for _ in 0..1_000 {
        if drive.machine.step().is_torn_down() {
            let end = End {
                at: drive.now,
                healthy: drive.machine.step() == Step::Healthy,
                ending: drive.machine.ending(),
                causes: drive.machine.causes().to_vec(),
            };
            drive.trace.end = Some(end);
            let Simulation { trace, outcomes: hooks, on_shutdown, tied, .. } = drive;
            return MachineRun { trace, hooks, on_shutdown, tied };
        }
        drive.go_on();
    }
    panic!("it does not end: {script:?}\n{}", drive.trace);
}

impl Simulation<'_> {
    /// Gives the machine the next inputs, or fires the next timer.
    fn go_on(&mut self) {
        let timer = self.machine.next_timeout().map(|at| Moment::new(tick(at.since_origin())));
        let timer = timer.map(|at| at.max(self.now));
        let next = (0..self.coming.len()).min_by_key(|index| self.coming[*index].at);
        let at = next.map(|index| self.coming[index].at);
        self.tied |= at.is_some() && at == timer;
        let together = || self.coming.iter().filter(|it| Some(it.at) == at);
        self.tied |= together().count() > 1 && together().any(|it| !it.at_once);
        match (next, timer) {
            (Some(index), timer) if timer.is_none_or(|timer| self.coming[index].at <= timer) => {
                let coming = self.coming.remove(index);
                self.now = coming.at;
                for input in coming.inputs {
                    self.say(input);
                }
            }
            (_, Some(timer)) => {
                self.now = timer;
                self.machine.note_hooks(self.registered);
                let fired = self.machine.handle_timeout(timer);
                assert!(fired.is_some(), "a timer is due and does nothing\n{}", self.trace);
                self.follow();
            }
            _ => panic!("nothing is left to wait for: {:?}\n{}", self.script, self.trace),
        }
    }

    fn later(&mut self, after: u64, who: Who, inputs: Vec<Input<Failure>>) {
        let at = self.now.later(ms(after));
        self.coming.push(Coming { at, who, inputs, at_once: after == 0 });
    }

    fn say(&mut self, input: Input<Failure>) {
        match &input {
            Input::WorkerStopped | Input::WorkerFailed(_) => {
                self.worker_ended = true;
                self.coming.retain(|it| it.who != Who::Polls);
            }
            Input::HookEnded(number) => {
                self.outcomes[*number] = outcome(self.script.hooks[*number], *number);
            }
            Input::ShutdownEnded => {
                self.on_shutdown = Some(outcome(self.script.on_shutdown, usize::MAX));
            }
            _ => {}
        }
        self.machine.note_hooks(self.registered);
        if self.machine.handle(self.now, input.clone()).is_ok() {
            self.see(Seen::Heard(input));
        }
        self.follow();
    }

    fn see(&mut self, seen: Seen) {
        self.trace.lines.push(Line { at: self.now, hooks: self.registered, seen });
    }

    fn follow(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            self.see(Seen::Did(effect));
            self.begin(effect);
        }
    }

    /// Plans the inputs that follow from an effect.
    fn begin(&mut self, effect: Effect) {
        let script = self.script;
        match effect {
            Effect::Configure => {
                self.registered = script.hooks.len();
                let done = Input::Configured(script.allowance());
                self.part(script.configure, vec![done], CONFIGURE);
            }
            Effect::Connect => self.part(script.connect, vec![Input::Connected], CONNECT),
            Effect::CreateWorker => self.create(),
            Effect::OnStart => self.part(script.on_start, vec![Input::WorkerStarted], ON_START),
            Effect::Poll => self.work(),
            Effect::AbortStep => self.coming.retain(|it| it.who != Who::Step),
            Effect::StopWorker => self.stop(),
            Effect::AbandonActivities => match script.drain {
                Drain::Stops(_) | Drain::Stubborn => self.worker_ends(0, Input::WorkerStopped),
                Drain::Fails(_) => self.worker_ends(0, Input::WorkerFailed(WORKER)),
                Drain::Deaf | Drain::Never => {}
            },
            Effect::AbandonWorker => {
                if script.drain != Drain::Never || !self.worker_polled {
                    self.worker_ends(0, Input::WorkerStopped);
                }
            }
            Effect::HoldPolls => {
                if let Some(after) = script.polls_end {
                    self.later(after, Who::Polls, vec![Input::PollsEnded]);
                }
            }
            Effect::ResumePolls => self.coming.retain(|it| it.who != Who::Polls),
            Effect::RunHook(number) => {
                self.outcomes.push(CallbackOutcome::TimedOut);
                self.callback(script.hooks[number], Input::HookEnded(number));
            }
            Effect::OnShutdown => {
                self.on_shutdown = Some(CallbackOutcome::TimedOut);
                self.callback(script.on_shutdown, Input::ShutdownEnded);
            }
            Effect::Settle => {
                self.coming.retain(|it| it.who != Who::Step);
                if self.worker_ended {
                    self.later(0, Who::Step, vec![Input::Settled]);
                }
            }
            Effect::Finalize | Effect::WarnShortWork(_) => {}
        }
    }

    /// Code that can fail the invocation.
    fn part(&mut self, part: Part, done: Vec<Input<Failure>>, failure: Failure) {
        match part.how {
            How::Succeeds => self.later(part.after, Who::Step, done),
            How::Errs | How::Panics => {
                self.later(part.after, Who::Step, vec![Input::Failed(failure)]);
            }
            How::Hangs => {}
        }
    }

    /// Code that cannot fail the invocation.
    fn callback(&mut self, part: Part, ended: Input<Failure>) {
        if part.how != How::Hangs {
            self.later(part.after, Who::Step, vec![ended]);
        }
    }

    fn create(&mut self) {
        self.worker_ended = false;
        let after = self.script.create.after;
        let inputs = match self.script.create.how {
            How::Succeeds => {
                vec![Input::WorkerCreated { polls_end_within: ms(self.script.polls_end_within) }]
            }
            How::Errs => vec![Input::Failed(CREATE), Input::WorkerStopped],
            How::Panics => vec![Input::WorkerFailed(CREATE)],
            How::Hangs => return,
        };
        self.later(after, Who::Worker, inputs);
    }

    fn work(&mut self) {
        self.worker_polled = true;
        let mut after = 0;
        for (index, gap) in self.script.tasks.iter().enumerate() {
            after += gap;
            let input = if index % 2 == 0 { Input::Busy } else { Input::Quiet };
            self.later(after, Who::Worker, vec![input]);
        }
        if let Some(part) = self.script.gives_up {
            let input = match part.how {
                How::Succeeds => Input::WorkerStopped,
                How::Errs | How::Panics => Input::WorkerFailed(WORKER),
                How::Hangs => return,
            };
            self.later(after + part.after, Who::Worker, vec![input]);
        }
    }

    fn stop(&mut self) {
        self.coming.retain(|it| it.who != Who::Polls);
        if !self.worker_ended {
            self.coming.retain(|it| it.who != Who::Worker);
        }
        // A worker that never polled has nothing to drain.
        if !self.worker_polled {
            return self.worker_ends(0, Input::WorkerStopped);
        }
        match self.script.drain {
            Drain::Stops(after) => self.worker_ends(after, Input::WorkerStopped),
            Drain::Fails(after) => self.worker_ends(after, Input::WorkerFailed(WORKER)),
            Drain::Stubborn | Drain::Deaf | Drain::Never => {}
        }
    }

    fn worker_ends(&mut self, after: u64, input: Input<Failure>) {
        if !self.worker_ended {
            self.coming.retain(|it| it.who != Who::Worker);
            self.worker_ended = after == 0;
            self.later(after, Who::Worker, vec![input]);
        }
    }
}

/// The outcome of a hook or `on_shutdown` that ends by itself.
fn outcome(part: Part, number: usize) -> CallbackOutcome {
    let failure = u32::try_from(number).map_or(ON_SHUTDOWN, |number| HOOK + number);
    match part.how {
        How::Succeeds => CallbackOutcome::Ok,
        How::Errs => CallbackOutcome::Failed { message: words(failure) },
        How::Panics => CallbackOutcome::Panicked { message: words(failure) },
        How::Hangs => CallbackOutcome::TimedOut,
    }
}
