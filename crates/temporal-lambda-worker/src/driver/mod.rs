//! The driver: carries out the effects of the lifecycle machine, and tells the machine what happened.
//!
//! The machine makes every decision. What takes time runs as a task of its own and reports over one
//! channel; the driver waits for that channel, the stop token and the machine's next timeout, and for nothing
//! else. It runs on the caller's runtime, where no user code runs.

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
use crate::observe::{LifecycleMove, trace_move};
use crate::report::{CallbackOutcome, HookReport, InvocationReport, LambdaWorkerError};
use crate::temporal::Launched;
use crate::worker::LambdaWorker;
use callbacks::Keeper;

pub(crate) use callbacks::MakeWorker;
pub(crate) use outcome::conclude;

/// Messages from tasks to the driver. Their contents stay in the driver; the machine gets inputs without them.
enum Message {
    Configured(Box<LambdaWorkerConfig>),
    Connected(Link),
    Input(Input<Fault>),
    HookEnded(usize, CallbackOutcome),
    LateHookEnded(HookReport),
    ShutdownEnded(CallbackOutcome),
}

/// How far the invocation has come. Each stage owns what the stages before it have produced.
enum Progress {
    /// Before `configure`, with the configuration that it will get.
    Begun(Box<LambdaWorkerConfig>),
    /// `configure` has the configuration.
    InConfigure,
    Configured(Box<LambdaWorkerConfig>),
    Connected(Box<LambdaWorkerConfig>, Link),
    Launched(Box<LambdaWorkerConfig>, Link, Box<dyn Launched>),
    /// The user's values were dropped; the worker is kept if there was one.
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
    /// The token that callbacks get: cancelled from outside, or when polling stops.
    stop: CancellationToken,
    /// Cuts short the code that runs in the current step.
    abort: CancellationToken,
    /// Tracks every task of this invocation.
    running: TaskTracker,
    messages: UnboundedSender<Message>,
    inbox: UnboundedReceiver<Message>,
    /// The interface to telemetry that the configuration gets.
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
            // In this order: messages come before timeouts, so that a thawed environment does not give up
            // on work that ended while it was frozen. Messages cannot postpone timeouts for ever: only those
            // about tasks have no limit, and after the stop time the machine treats such a message as the
            // timeout.
            tokio::select! {
                biased;
                Some(message) = self.inbox.recv() => self.hear(message),
                () = stop.cancelled(), if !stopped => {
                    stopped = true;
                    self.tell(Input::Cancelled);
                }
                () = timer => {
                    // Tasks that are ready, too, can send their messages first.
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
                    // The end of the invocation has begun meanwhile.
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
            // Only a bug in this crate leads here. Ignoring the input keeps the invocation alive.
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

    /// Carries out every effect that the machine asks for.
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
            // This worker does not block its thread: it was waiting for the server.
            causes.retain(|cause| !(given_up && not_stopped(cause)));
            if causes.is_empty() {
                causes.push(Cause::Reported(fault));
            }
        }
        let figures = self.environment.telemetry.figures.filter(|_| self.emf);
        conclude(report, causes.into_iter().map(outcome::fault).collect(), figures)
    }

    /// Tells observers about the moves since the last time.
    fn publish(&mut self) {
        for transition in &self.machine.moves()[self.published..] {
            let elapsed = transition.at.since(self.moment(self.invocation.arrived()));
            let left = self.invocation.remaining_time();
            trace_move(&self.invocation.request_id, transition, elapsed, left);
            self.environment.observers.publish(LifecycleMove {
                request_id: self.invocation.request_id.clone(),
                state: transition.to.state(),
                step: transition.to,
                elapsed,
            });
        }
        self.published = self.machine.moves().len();
    }

    /// The tracing span and context in which everything of this invocation runs.
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

    /// `None`: the moment is too far off for the clock, so it never comes.
    fn instant(&self, at: Moment) -> Option<Instant> {
        self.invocation.arrived().checked_add(at.since_origin())
    }
}
