//! A function of the emulator: invoke it, watch it, look at what it did.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::{Semaphore, broadcast, watch};

use super::{
    config::FunctionConfig,
    environment::{EnvCore, Environment, Init},
    error::EmulatorError,
    event::EmulatorEvent,
    invocation::{Invocation, InvocationType},
    schedule::{FunctionCore, FunctionState, InFlightGuard, Request, end},
    shared::{ACCOUNT, REGION, Shared},
};
use crate::sync::lock;

/// A handle to a function. Clones are the same function.
#[derive(Clone)]
pub struct Function {
    core: Arc<FunctionCore>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("config", &self.core.config).finish_non_exhaustive()
    }
}

impl Function {
    pub(super) fn new(config: FunctionConfig, shared: Arc<Shared>) -> Self {
        let slots = config.concurrency.saturating_mul(config.environment_concurrency);
        let slots = Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS)));
        Self {
            core: Arc::new(FunctionCore {
                name: config.name.as_str().into(),
                arn: arn(&config.name).into(),
                slots,
                shared,
                state: std::sync::Mutex::new(FunctionState::default()),
                progress: watch::Sender::new(()),
                config: Arc::new(config),
            }),
        }
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// `arn:aws:lambda:us-east-1:000000000000:function:<name>`.
    pub fn arn(&self) -> &str {
        &self.core.arn
    }

    /// How it is configured.
    pub fn config(&self) -> &FunctionConfig {
        &self.core.config
    }

    /// Invokes it and waits for the end (`RequestResponse`).
    ///
    /// What the function does wrong is in the invocation's
    /// [`outcome`](Invocation::outcome). Not undone by dropping the future: the invocation runs on.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::Throttled`] when all concurrent invocations are running,
    /// [`EmulatorError::ShutDown`] when the emulator is gone.
    pub async fn invoke(&self, payload: impl Into<Bytes>) -> Result<Invocation, EmulatorError> {
        let core = self.core.clone();
        self.refuse_when_closed()?;
        let permit = core.slots.clone().try_acquire_owned();
        let permit = permit.map_err(|_| self.throttled())?;
        let request = Request::new(payload.into(), InvocationType::RequestResponse);
        self.announce(&request);
        let in_flight = InFlightGuard::new(core.clone());
        let running = core.shared.runtime.clone().spawn(async move {
            let invocation = core.attempt(&request, 1, permit).await;
            drop(in_flight);
            invocation
        });
        let invocation = running.await.map_err(|_| EmulatorError::ShutDown)?;
        Ok(Arc::unwrap_or_clone(invocation))
    }

    /// Queues an invocation (`Event`): its request ID. Failures are tried again, up to
    /// [`FunctionConfig::max_retry_attempts`] times.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::ShutDown`] when the emulator is gone.
    pub fn invoke_event(&self, payload: impl Into<Bytes>) -> Result<String, EmulatorError> {
        self.refuse_when_closed()?;
        let request = Request::new(payload.into(), InvocationType::Event);
        let id = request.id.clone();
        self.announce(&request);
        let in_flight = InFlightGuard::new(self.core.clone());
        let run = self.core.clone().run_queued(request, in_flight);
        self.core.shared.runtime.spawn(run);
        Ok(id)
    }

    /// Starts `environments` new environments, as provisioned concurrency does: they are through
    /// init (and frozen) when this returns. Cancel safe: what was started stays.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::Throttled`] beyond the function's concurrency,
    /// [`EmulatorError::InvalidConfig`] with what the first one said that failed to start. Those that
    /// did start are there all the same.
    pub async fn provision(&self, environments: usize) -> Result<(), EmulatorError> {
        self.refuse_when_closed()?;
        let permits = (0..environments)
            .map(|_| self.core.slots.clone().try_acquire_owned())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| self.throttled())?;
        let reservations: Vec<_> =
            permits.into_iter().map(|permit| self.core.reserve_new(permit)).collect();
        let mut first_failure = None;
        for reservation in &reservations {
            if let Init::Failed { error_type, message, .. } = reservation.env.init().await {
                end(&reservation.env).await;
                let log = reservation.env.log_tail();
                let reason = format!("its init failed, {error_type}: {message}\n{log}");
                first_failure.get_or_insert(reason);
            } else if self.core.config.freezes() {
                // A failure means that it ended since; the next invocation will start another.
                let _ = reservation.env.freeze();
            }
        }
        match first_failure {
            Some(reason) => {
                Err(EmulatorError::InvalidConfig { function: self.name().to_owned(), reason })
            }
            None => Ok(()),
        }
    }

    /// Every finished invocation, oldest first; each attempt counts.
    pub fn invocations(&self) -> Vec<Arc<Invocation>> {
        lock(&self.core.state).invocations.clone()
    }

    /// How many invocations were accepted and are not finished, retries included.
    pub fn unfinished(&self) -> usize {
        lock(&self.core.state).unfinished
    }

    /// Every environment that it ever had, oldest first, the gone ones included.
    pub fn environments(&self) -> Vec<Environment> {
        let state = lock(&self.core.state);
        let cores = state.environments.iter().cloned();
        cores.map(|core| Environment { core }).collect()
    }

    /// The environment with this ID, if it ever had one.
    pub fn environment(&self, id: &str) -> Option<Environment> {
        self.environments().into_iter().find(|env| env.id() == id)
    }

    /// What happens from now on, to this function and to the others of its emulator (see
    /// [`EmulatorEvent::function`]). A receiver that falls 4096 events behind loses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<EmulatorEvent> {
        self.core.shared.events.subscribe()
    }

    /// Waits until `invocations` are finished in all, counted from the start. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::NotInTime`] after `within`.
    pub async fn wait_for(
        &self,
        invocations: usize,
        within: Duration,
    ) -> Result<Vec<Arc<Invocation>>, EmulatorError> {
        self.wait_until(within, &format!("{invocations} finished invocations"), |state| {
            (state.invocations.len() >= invocations).then(|| state.invocations.clone())
        })
        .await
    }

    /// Waits until nothing is queued, running or due for a retry. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::NotInTime`] after `within`.
    pub async fn idle(&self, within: Duration) -> Result<(), EmulatorError> {
        self.wait_until(within, "idleness", |state| (state.unfinished == 0).then_some(())).await
    }

    async fn wait_until<T>(
        &self,
        within: Duration,
        what: &str,
        look: impl Fn(&FunctionState) -> Option<T>,
    ) -> Result<T, EmulatorError> {
        let wait = async {
            let mut progress = self.core.progress.subscribe();
            loop {
                progress.borrow_and_update();
                if let Some(seen) = look(&lock(&self.core.state)) {
                    return seen;
                }
                if progress.changed().await.is_err() {
                    // Cannot happen: the sender is a field of what `self` holds.
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(within, wait).await.map_err(|_| {
            let state = lock(&self.core.state);
            EmulatorError::NotInTime {
                function: self.name().to_owned(),
                what: what.to_owned(),
                within,
                seen: format!(
                    "{} finished, {} unfinished, last outcome: {}",
                    state.invocations.len(),
                    state.unfinished,
                    state
                        .invocations
                        .last()
                        .map_or_else(|| "none".to_owned(), |last| last.outcome.to_string())
                ),
            }
        })
    }

    pub(super) fn environment_cores(&self) -> Vec<Arc<EnvCore>> {
        lock(&self.core.state).environments.clone()
    }

    fn announce(&self, request: &Request) {
        self.core.shared.announce(EmulatorEvent::Invoked {
            function: self.core.name.clone(),
            request_id: request.id.clone(),
        });
    }

    fn refuse_when_closed(&self) -> Result<(), EmulatorError> {
        if self.core.shared.closed.is_cancelled() {
            return Err(EmulatorError::ShutDown);
        }
        Ok(())
    }

    fn throttled(&self) -> EmulatorError {
        let config = &self.core.config;
        EmulatorError::Throttled {
            function: self.name().to_owned(),
            limit: config.concurrency.saturating_mul(config.environment_concurrency),
        }
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:lambda:{}:{}:function:{name}", REGION, ACCOUNT)
}
