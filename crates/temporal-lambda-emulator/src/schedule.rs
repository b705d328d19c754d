//! Gives invocations to execution environments: reuse, cold starts, timeouts, ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    config::FunctionConfig,
    environment::{Answer, Completion, Delivery, EnvCore, Exit, Init},
    event::EmulatorEvent,
    invocation::{Invocation, Outcome, round_up_to_ms},
    request::Request,
    shared::{SHUTDOWN_TIME, Shared},
    slots::{Slot, Slots},
};

/// How long a finished invocation waits for its environment to ask for more, so that what the
/// function wrote is on record and the environment is free when the caller hears of it.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the system may take to end a killed process.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct FunctionCore {
    pub(crate) shared: Arc<Shared>,
    pub(crate) name: Arc<str>,
    pub(crate) arn: String,
    /// Shared by all versions of the function, as is the number of the last environment.
    pub(crate) slots: Arc<Slots>,
    pub(crate) numbers: Arc<AtomicUsize>,
    pub(crate) state: Mutex<FunctionState>,
    /// Changes whenever `state` does.
    pub(crate) progress: watch::Sender<()>,
}

#[derive(Debug)]
pub(crate) struct FunctionState {
    /// What new environments are started with. Those with an earlier one get no event any more.
    pub(crate) config: Arc<FunctionConfig>,
    pub(crate) deleted: bool,
    pub(crate) environments: Vec<Arc<EnvCore>>,
    pub(crate) invocations: Vec<Arc<Invocation>>,
    /// Invocations that were accepted and are not finished, retries included.
    pub(crate) unfinished: usize,
}

/// Counts an invocation as unfinished for as long as the guard lives.
pub(crate) struct InFlightGuard(Arc<FunctionCore>);

impl InFlightGuard {
    pub(crate) fn new(function: Arc<FunctionCore>) -> Self {
        function.state.lock().unfinished += 1;
        Self(function)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.state.lock().unfinished -= 1;
        self.0.progress.send_replace(());
    }
}

/// A place in an environment, and the right to use it. Dropping it gives both back.
pub(crate) struct Reservation {
    pub(crate) env: Arc<EnvCore>,
    pub(crate) cold: bool,
    _slot: Slot,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.env.release();
    }
}

impl FunctionState {
    /// Whether the environment may get events: it has the function's code and configuration of now.
    pub(crate) fn serves(&self, env: &EnvCore) -> bool {
        !self.deleted && Arc::ptr_eq(&env.config, &self.config)
    }
}

impl FunctionCore {
    /// A place in the most recently used environment that has one, else in a new one.
    pub(crate) fn reserve(&self, slot: Slot) -> Reservation {
        let mut state = self.state.lock();
        let current = state.environments.iter().filter(|env| state.serves(env));
        let mut warm: Vec<_> = current.collect();
        warm.sort_by_key(|env| std::cmp::Reverse(env.last_used()));
        let found = warm.into_iter().find(|env| env.try_reserve()).cloned();
        self.place(&mut state, found, slot)
    }

    /// A place in a new environment.
    pub(crate) fn reserve_new(&self, slot: Slot) -> Reservation {
        self.place(&mut self.state.lock(), None, slot)
    }

    fn place(
        &self,
        state: &mut FunctionState,
        warm: Option<Arc<EnvCore>>,
        slot: Slot,
    ) -> Reservation {
        let cold = warm.is_none();
        let env = warm.unwrap_or_else(|| {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
            let env = EnvCore::start(
                format!("{}/{number}", self.name).into(),
                self.name.clone(),
                state.config.clone(),
                self.shared.events.clone(),
            );
            env.try_reserve();
            state.environments.push(env.clone());
            self.expire(env.clone());
            env
        });
        if self.shared.closed.is_cancelled() {
            // The emulator was shut down meanwhile and has not seen this environment.
            env.kill();
        }
        Reservation { env, cold, _slot: slot }
    }

    /// Runs one attempt to its end and records it.
    pub(crate) async fn attempt(
        self: &Arc<Self>,
        request: &Request,
        attempt: u32,
        slot: Slot,
    ) -> Arc<Invocation> {
        let reservation = self.reserve(slot);
        let env = reservation.env.clone();
        let log_start = if reservation.cold { 0 } else { env.log_len() };
        let mut record = Invocation {
            request_id: request.id.clone(),
            attempt,
            invocation_type: request.invocation_type,
            environment: env.id.to_string(),
            cold: reservation.cold,
            init: None,
            duration: Duration::ZERO,
            billed: Duration::ZERO,
            deadline: SystemTime::now(),
            time_left_at_response: Duration::ZERO,
            max_memory_kb: None,
            outcome: Outcome::Response(Bytes::new()),
            log: Vec::new(),
        };
        self.run(&env, request, &mut record).await;
        let billed = record.duration + record.init.unwrap_or_default();
        record.billed = round_up_to_ms(billed);

        let settled = tokio::time::timeout(SETTLE_TIMEOUT, env.settled(&request.id)).await;
        record.log = env.log_since(log_start);
        record.max_memory_kb = env.peak_kb();
        if settled.is_ok() {
            self.give_back(reservation, &request.id);
        } else {
            // It answered and did not ask for the next event. Lambda lets it run until the deadline.
            let (function, id, deadline) = (self.clone(), request.id.clone(), record.deadline);
            tokio::spawn(async move {
                let left = deadline.duration_since(SystemTime::now());
                let settled = env.settled(&id);
                if tokio::time::timeout(left.unwrap_or_default(), settled).await.is_err() {
                    end(&env).await;
                }
                function.give_back(reservation, &id);
            });
        }
        self.finish(record)
    }

    fn give_back(&self, reservation: Reservation, request_id: &str) {
        let env = reservation.env.clone();
        env.forget(request_id);
        if self.state.lock().serves(&env) && env.config.freezes() {
            // A failure means that it is gone, and then there is nothing to freeze.
            let _ = env.freeze();
        }
        drop(reservation);
        self.take_down_outdated();
    }

    fn finish(&self, record: Invocation) -> Arc<Invocation> {
        let invocation = Arc::new(record);
        self.state.lock().invocations.push(invocation.clone());
        self.progress.send_replace(());
        self.shared.announce(EmulatorEvent::Finished {
            function: self.name.clone(),
            invocation: invocation.clone(),
        });
        invocation
    }

    async fn run(&self, env: &Arc<EnvCore>, request: &Request, record: &mut Invocation) {
        match env.init().await {
            Init::Ready(init) => record.init = record.cold.then_some(init),
            Init::Failed { error_type, message, after } => {
                end(env).await;
                record.init = Some(after);
                record.deadline = SystemTime::now();
                record.outcome =
                    Outcome::InitFailed { error_type, message, log_tail: env.log_tail() };
                return;
            }
        }
        // A failure means that it ended just now, which is found out below.
        let _ = env.thaw();
        let delivered = Instant::now();
        env.deliver(Delivery {
            request_id: request.id.clone(),
            invocation_id: Uuid::new_v4().to_string(),
            payload: request.payload.clone(),
            invoked_arn: request.invoked_arn.clone(),
            trace_id: request.trace_id.clone(),
            deadline: SystemTime::UNIX_EPOCH,
        });
        let timeout = env.config.timeout;
        let handed_out = tokio::time::timeout(timeout, env.handed_out(&request.id)).await;
        let (started, ended) = match handed_out {
            Ok(Ok((started, deadline))) => {
                record.deadline = deadline;
                let until = tokio::time::Instant::from_std(started + timeout);
                let completion = tokio::time::timeout_at(until, env.completion(&request.id)).await;
                (started, completion)
            }
            Ok(Err(exit)) => (delivered, Ok(Err(exit))),
            Err(elapsed) => (delivered, Err(elapsed)),
        };
        record.duration = started.elapsed();
        record.outcome = match ended {
            Ok(Ok(completion)) => {
                record.duration = completion.at.saturating_duration_since(started);
                let left = record.deadline.duration_since(completion.at_wall);
                record.time_left_at_response = left.unwrap_or_default();
                answered(completion)
            }
            Ok(Err(Exit { code, signal })) => {
                Outcome::Crashed { code, signal, log_tail: env.log_tail() }
            }
            Err(_) => {
                end(env).await;
                Outcome::TimedOut { after: timeout }
            }
        };
    }
}

impl FunctionCore {
    /// Changes the function's state, and takes down what may get no event any more.
    pub(crate) fn change(&self, change: impl FnOnce(&mut FunctionState)) {
        change(&mut self.state.lock());
        self.take_down_outdated();
    }

    fn take_down_outdated(&self) {
        let state = self.state.lock();
        let outdated = state.environments.iter().filter(|env| !state.serves(env));
        for env in outdated.filter(|env| env.retire(|_| true)) {
            let env = env.clone();
            self.shared.runtime.spawn(async move { spin_down(&env).await });
        }
    }

    /// Takes the environment down when it was idle for as long as an idle one is kept.
    fn expire(&self, env: Arc<EnvCore>) {
        let keep = self.shared.idle_expiry;
        self.shared.runtime.spawn(async move {
            loop {
                let wait = keep.saturating_sub(env.last_used().elapsed());
                let wait = wait.max(Duration::from_millis(1));
                if tokio::time::timeout(wait, env.gone.cancelled()).await.is_ok() {
                    return;
                }
                if env.retire(|last_used| last_used.elapsed() >= keep) {
                    return spin_down(&env).await;
                }
            }
        });
    }
}

/// Ends an idle environment as Lambda does: one with an extension is asked and has half a second.
async fn spin_down(env: &EnvCore) {
    if env.has_extensions() {
        env.terminate();
        if tokio::time::timeout(SHUTDOWN_TIME, env.gone.cancelled()).await.is_ok() {
            return;
        }
    }
    end(env).await;
}

fn answered(completion: Completion) -> Outcome {
    match completion.answer {
        Answer::Response(body) => Outcome::Response(body),
        Answer::Error { error_type, message, body } => {
            Outcome::FunctionError { error_type, message, body }
        }
    }
}

/// Kills the environment and waits until it is gone.
pub(crate) async fn end(env: &EnvCore) {
    env.kill();
    if tokio::time::timeout(KILL_TIMEOUT, env.gone.cancelled()).await.is_err() {
        tracing::warn!(environment = %env.id, "a killed execution environment did not end");
    }
}
