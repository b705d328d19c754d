//! The driver: carries out what the lifecycle machine says, and tells it what happened.
//!
//! It decides nothing. Whatever takes time runs as a task of its own and reports back over one
//! channel; the driver itself only ever waits for that channel, the stop token and the machine's
//! next timeout. It runs on the caller's runtime, where no user code does.

mod callbacks;
mod effects;
pub(crate) mod environment;
mod outcome;
mod queue;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::LambdaWorkerConfig;
use crate::connection::Link;
use crate::driver::environment::{Admission, Environment};
use crate::error::Fault;
use crate::hooks::ShutdownHooks;
use crate::invocation::{Invocation, Scope};
use crate::lifecycle::{Allowance, Cause, Input, Machine, Moment, Refusal, Window};
use crate::observe::{Observed, trace_move};
use crate::report::{CallbackOutcome, HookReport, InvocationReport, LambdaWorkerError};
use crate::temporal::Launched;
use crate::worker::LambdaWorker;
use callbacks::Keeper;

pub(crate) use callbacks::MakeWorker;

/// What tasks tell the driver. Payloads stay here; the machine sees only that they came.
enum Message {
    Configured(Box<LambdaWorkerConfig>),
    Connected(Link),
    Input(Input<Fault>),
    HookEnded(usize, CallbackOutcome),
    LateHookEnded(HookReport),
    ShutdownEnded(CallbackOutcome),
}

/// What the invocation has by now. Each stage owns what the ones before it have proved.
enum Progress {
    /// What `configure` will be given.
    Begun(Box<LambdaWorkerConfig>),
    /// `configure` has it.
    InConfigure,
    Configured(Box<LambdaWorkerConfig>),
    Connected(Box<LambdaWorkerConfig>, Link),
    Launched(Box<LambdaWorkerConfig>, Link, Box<dyn Launched>),
    /// What is the user's was dropped; the worker is there if there was one.
    Settling(Option<Box<dyn Launched>>),
}

impl Progress {
    fn worker(&self) -> Option<&dyn Launched> {
        match self {
            Self::Launched(_, _, worker) | Self::Settling(Some(worker)) => Some(worker.as_ref()),
            _ => None,
        }
    }
}

/// One invocation under way.
pub(crate) struct Driver<W> {
    environment: Arc<Environment>,
    _admission: Admission,
    machine: Machine<Fault>,
    invocation: Invocation,
    keeper: Keeper<W>,
    hooks: ShutdownHooks,
    /// Cancelled from outside, or when polling stops.
    stop: CancellationToken,
    /// Cuts short what runs in the current step.
    abort: CancellationToken,
    /// Knows everything that runs for this invocation.
    running: TaskTracker,
    messages: UnboundedSender<Message>,
    inbox: UnboundedReceiver<Message>,
    /// What `configure` begins with.
    allowance: Allowance,
    progress: Progress,
    report: InvocationReport,
    first_poll: Option<Instant>,
    published: usize,
    /// When polling will end if the worker stays quiet.
    idle_end: watch::Sender<Option<Instant>>,
    emf: bool,
}

impl<W: LambdaWorker> Driver<W> {
    pub(crate) fn new(
        environment: Arc<Environment>,
        admission: Admission,
        worker: MakeWorker<W>,
        config: LambdaWorkerConfig,
        stop: CancellationToken,
    ) -> Self {
        let invocation = config.invocation.clone();
        let emf = config.emf;
        let (messages, inbox) = unbounded_channel();
        let mut machine = if admission.cold { Machine::cold() } else { Machine::warm() };
        if environment.on_shutdown_is_default.load(Ordering::Relaxed) {
            machine.expect_no_on_shutdown();
        }
        let report = outcome::begin(&invocation, &config);
        Self {
            environment,
            _admission: admission,
            machine,
            invocation,
            keeper: Keeper::new(worker),
            hooks: config.shutdown_hooks.clone(),
            stop,
            abort: CancellationToken::new(),
            running: TaskTracker::new(),
            messages,
            inbox,
            allowance: config.allowance(),
            progress: Progress::Begun(Box::new(config)),
            report,
            first_poll: None,
            published: 0,
            idle_end: watch::Sender::new(None),
            emf,
        }
    }

    /// Drives the invocation to its end.
    pub(crate) async fn drive(mut self) -> Result<InvocationReport, LambdaWorkerError> {
        let window = Window {
            arrival: self.moment(self.invocation.arrived()),
            deadline: self.invocation.due().map(|due| self.moment(due)),
        };
        self.tell(Input::Invoked { window, allowance: self.allowance });
        let stop = self.stop.clone();
        let mut stopped = false;
        while !self.machine.step().is_torn_down() {
            let timeout = self.machine.next_timeout().and_then(|at| self.instant(at));
            let timer = async {
                match timeout {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // In order: what has happened counts before the time that has passed, so that a
            // thawed environment does not give up on what ended long ago. Time cannot be put off
            // for good: only tasks that come and go are without number, and once the time for
            // work is over the machine takes the news of one for just that.
            tokio::select! {
                biased;
                Some(message) = self.inbox.recv() => self.hear(message),
                () = stop.cancelled(), if !stopped => {
                    stopped = true;
                    self.tell(Input::Cancelled);
                }
                () = timer => {
                    // Whoever is ready, too, has a chance to say so first.
                    tokio::task::yield_now().await;
                    if let Ok(message) = self.inbox.try_recv() {
                        self.hear(message);
                        continue;
                    }
                    let now = self.now();
                    self.machine.note_hooks(self.hooks.len());
                    self.machine.handle_timeout(now);
                    self.follow();
                }
            }
        }
        self.conclude()
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Configured(config) => {
                let allowance = config.allowance();
                outcome::describe(&mut self.report, &config);
                self.emf = config.emf;
                match self.progress {
                    // The invocation turned to its end meanwhile.
                    Progress::Settling(_) => self.drop_on_user_threads(config),
                    _ => self.progress = Progress::Configured(config),
                }
                self.tell(Input::Configured(allowance));
            }
            Message::Connected(link) => {
                self.report.connection = Some(link.how);
                self.advance(|progress| match progress {
                    Progress::Configured(config) => Progress::Connected(config, link),
                    other => other,
                });
                self.tell(Input::Connected);
            }
            Message::Input(input) => self.tell(input),
            Message::HookEnded(number, outcome) => {
                if let Some(hook) = self.report.hooks.get_mut(number) {
                    hook.outcome = outcome;
                }
                self.tell(Input::HookEnded(number));
            }
            Message::LateHookEnded(hook) => self.report.hooks.push(hook),
            Message::ShutdownEnded(outcome) => {
                self.report.on_shutdown = Some(outcome);
                self.tell(Input::ShutdownEnded);
            }
        }
    }

    fn tell(&mut self, input: Input<Fault>) {
        let now = self.now();
        self.machine.note_hooks(self.hooks.len());
        if let Err(Refusal::Illegal { step, event }) = self.machine.handle(now, input) {
            // Cannot happen; but if it does, a lost event is better than a lost invocation.
            tracing::error!(
                ?step,
                ?event,
                "the lifecycle refused an event: please report this bug"
            );
            #[cfg(test)]
            panic!("{event:?} in {step:?}");
        }
        self.follow();
    }

    fn advance(&mut self, next: impl FnOnce(Progress) -> Progress) {
        let progress = std::mem::replace(&mut self.progress, Progress::InConfigure);
        self.progress = next(progress);
    }

    /// Carries out everything that the machine wants done.
    fn follow(&mut self) {
        let idle_end = self.machine.idle_at().and_then(|at| self.instant(at));
        self.idle_end.send_replace(idle_end);
        while let Some(effect) = self.machine.poll_effect() {
            self.perform(effect);
        }
        self.publish();
    }

    /// The report as of now.
    fn report_so_far(&self) -> InvocationReport {
        let mut report = self.report.clone();
        if let Some(worker) = self.progress.worker() {
            let worker = worker.report();
            report.tasks = worker.tasks;
            report.failed_workflow_tasks = worker.failed_workflow_tasks;
            report.server_trouble = worker.server_trouble;
            report.diagnoses = worker.diagnoses;
        }
        report.first_poll_ms =
            self.first_poll.map(|at| outcome::millis(at - self.invocation.arrived()));
        outcome::measure(&mut report, &self.machine, self.now(), &self.invocation);
        report
    }

    fn conclude(self) -> Result<InvocationReport, LambdaWorkerError> {
        let report = self.report_so_far();
        if report.poisoned {
            self.environment.poison();
        }
        let mut causes = self.machine.into_causes();
        let not_stopped = |cause: &Cause<Fault>| matches!(cause, Cause::WorkerNotStopped);
        let given_up = causes.iter().any(not_stopped) && !report.poisoned;
        let fault = self.progress.worker().and_then(|worker| worker.server_fault(given_up));
        if let Some(fault) = fault {
            // Nothing blocks the thread of such a worker: it waited for the server.
            causes.retain(|cause| !(given_up && not_stopped(cause)));
            if causes.is_empty() {
                causes.push(Cause::Reported(fault));
            }
        }
        let figures = self.environment.telemetry.figures.filter(|_| self.emf);
        outcome::conclude(report, causes, figures)
    }

    /// Tells observers about the moves since the last time.
    fn publish(&mut self) {
        for transition in &self.machine.moves()[self.published..] {
            let elapsed = transition.at.since(self.moment(self.invocation.arrived()));
            let left = self.invocation.remaining_time();
            trace_move(&self.invocation.request_id, transition, elapsed, left);
            self.environment.observers.publish(Observed {
                request_id: self.invocation.request_id.clone(),
                state: transition.to.state(),
                step: transition.to,
                elapsed,
            });
        }
        self.published = self.machine.moves().len();
    }

    /// What everything of this invocation runs in.
    pub(crate) fn scope(&self) -> Scope {
        self.invocation.scope().clone()
    }

    fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    // Moments count from the arrival of the event.
    fn moment(&self, at: Instant) -> Moment {
        Moment::new(at.saturating_duration_since(self.invocation.arrived()))
    }

    /// `None`: so far off that no clock can hold it, so it never comes.
    fn instant(&self, at: Moment) -> Option<Instant> {
        self.invocation.arrived().checked_add(at.since_origin())
    }
}
