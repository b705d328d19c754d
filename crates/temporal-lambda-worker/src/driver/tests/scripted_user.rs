//! The user's side of a scripted invocation: a worker that does as the script says, and the log of effects and
//! inputs that both sides write.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::ms;
use super::scripted_invocation::{
    CONFIGURE, HOOK, How, ON_SHUTDOWN, ON_START, Part, ScriptedInvocation, words,
};
use crate::config::LambdaWorkerConfig;
use crate::error::BoxError;
use crate::hooks::{Shutdown, ShutdownHooks};
use crate::lifecycle::rules::{Failure, Line, Seen};
use crate::lifecycle::{Effect, Input, Moment, State};
use crate::observe::LifecycleMove;
use crate::worker::{LambdaWorker, RunningWorker};

/// What was seen so far. Clones share it.
#[derive(Clone)]
pub(super) struct Log {
    lines: Arc<Mutex<Vec<Line>>>,
    hooks: ShutdownHooks,
    arrived: Instant,
    observed: watch::Receiver<LifecycleMove>,
    states: Arc<Mutex<Vec<(Effect, State)>>>,
    told: Arc<Mutex<Vec<(Effect, Shutdown)>>>,
}

impl Log {
    pub(super) fn new(
        arrived: Instant,
        hooks: ShutdownHooks,
        observed: watch::Receiver<LifecycleMove>,
    ) -> Self {
        Self {
            lines: Arc::default(),
            hooks,
            arrived,
            observed,
            states: Arc::default(),
            told: Arc::default(),
        }
    }

    pub(super) fn see(&self, seen: Seen) {
        let now = Moment::new(Instant::now().saturating_duration_since(self.arrived));
        let line = Line { at: now, hooks: self.hooks.len(), seen };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub(super) fn did(&self, effect: Effect) {
        let state = self.observed.borrow().state;
        self.states.lock().unwrap_or_else(PoisonError::into_inner).push((effect, state));
        self.see(Seen::Did(effect));
    }

    /// The state that observers saw at each effect.
    pub(super) fn states(&self) -> Vec<(Effect, State)> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Logs the argument of a hook or `on_shutdown`.
    fn was_told(&self, effect: Effect, ending: &Shutdown) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.push((effect, ending.clone()));
    }

    pub(super) fn told(&self) -> Vec<(Effect, Shutdown)> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn heard(&self, input: Input<Failure>) {
        self.see(Seen::Heard(input));
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Logs that a piece of code was dropped before it ended.
struct Running<'a>(Option<&'a Log>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(log) = self.0 {
            log.did(Effect::AbortStep);
        }
    }
}

/// Runs a part of the script, and logs how it ends before it returns.
pub(super) async fn drive(
    log: &Log,
    part: Part,
    failure: Failure,
    ended: impl FnOnce(How) -> Input<Failure>,
) -> Result<(), BoxError> {
    let mut running = Running(Some(log));
    if part.after > 0 {
        sleep(ms(part.after)).await;
    }
    if part.how == How::Hangs {
        std::future::pending::<()>().await;
    }
    running.0 = None;
    log.heard(ended(part.how));
    match part.how {
        How::Errs => Err(words(failure).into()),
        // A panic without the panic hook, which would print it.
        How::Panics => std::panic::resume_unwind(Box::new(words(failure))),
        How::Succeeds | How::Hangs => Ok(()),
    }
}

/// The input for a part that may fail: `done`, or the failure.
pub(super) fn or_failed(
    done: Input<Failure>,
    failure: Failure,
) -> impl FnOnce(How) -> Input<Failure> {
    move |how| if how == How::Succeeds { done } else { Input::Failed(failure) }
}

/// The user's worker.
#[derive(Clone)]
pub(super) struct ScriptedUser {
    pub(super) script: Arc<ScriptedInvocation>,
    pub(super) log: Log,
}

#[async_trait]
impl LambdaWorker for ScriptedUser {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        let allowance = self.script.allowance();
        config.worker_options.register_activities(crate::nothing::Nothing);
        config.worker_options.graceful_shutdown_period = Some(allowance.grace);
        config.shutdown_deadline_buffer = Some(allowance.buffer);
        config.idle_timeout = allowance.idle_timeout;
        config.minimum_stay = allowance.minimum_stay;
        self.log.did(Effect::Configure);
        for (number, part) in self.script.hooks.iter().copied().enumerate() {
            let log = self.log.clone();
            let failure = HOOK + u32::try_from(number).unwrap_or_default();
            config.shutdown_hooks.add(format!("hook {number}"), move |ending| async move {
                log.did(Effect::RunHook(number));
                log.was_told(Effect::RunHook(number), &ending);
                drive(&log, part, failure, |_| Input::HookEnded(number)).await
            });
        }
        let done = or_failed(Input::Configured(allowance), CONFIGURE);
        drive(&self.log, self.script.configure, CONFIGURE, done).await
    }

    async fn on_start(&mut self, _: &RunningWorker) -> Result<(), BoxError> {
        self.log.did(Effect::OnStart);
        let done = or_failed(Input::WorkerStarted, ON_START);
        drive(&self.log, self.script.on_start, ON_START, done).await
    }

    async fn on_shutdown(&mut self, ending: &Shutdown) -> Result<(), BoxError> {
        self.log.did(Effect::OnShutdown);
        self.log.was_told(Effect::OnShutdown, ending);
        drive(&self.log, self.script.on_shutdown, ON_SHUTDOWN, |_| Input::ShutdownEnded).await
    }
}
