//! A function of the emulator: invoke it, watch it, look at what it did.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use crate::{
    config::{EventPolicy, FunctionConfig, LATEST},
    environment::{EnvCore, Environment, Init},
    error::EmulatorError,
    event::EmulatorEvent,
    invocation::{Invocation, InvocationType},
    queue,
    request::Request,
    schedule::{FunctionCore, FunctionState, InFlightGuard, end},
    shared::{ACCOUNT, REGION, Shared},
    slots::Slots,
};

/// A handle to one version of a function, with environments and invocations of its own. Clones are
/// the same version.
#[derive(Clone)]
pub struct Function {
    core: Arc<FunctionCore>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("config", &self.config()).finish_non_exhaustive()
    }
}

impl Function {
    pub(crate) fn new(config: FunctionConfig, shared: Arc<Shared>) -> Self {
        let limit = config.concurrency.saturating_mul(config.environment_concurrency);
        Self::of(config, shared, Arc::new(Slots::new(limit)), Arc::default())
    }

    /// A version of its own that shares the function's limit.
    pub(crate) fn published(&self, config: FunctionConfig) -> Self {
        let core = &self.core;
        Self::of(config, core.shared.clone(), core.slots.clone(), core.numbers.clone())
    }

    fn of(
        config: FunctionConfig,
        shared: Arc<Shared>,
        slots: Arc<Slots>,
        numbers: Arc<AtomicUsize>,
    ) -> Self {
        let qualifier = (config.version != LATEST).then_some(config.version.as_str());
        let core = FunctionCore {
            name: config.name.as_str().into(),
            arn: arn(&config.name, qualifier),
            slots,
            numbers,
            shared,
            state: Mutex::new(FunctionState {
                config: Arc::new(config),
                deleted: false,
                environments: Vec::new(),
                invocations: Vec::new(),
                unfinished: 0,
            }),
            progress: watch::Sender::new(()),
        };
        Self { core: Arc::new(core) }
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// `arn:aws:lambda:us-east-1:000000000000:function:<name>`, and `:<version>` unless that is
    /// `$LATEST`.
    pub fn arn(&self) -> &str {
        &self.core.arn
    }

    /// How it is configured now.
    pub fn config(&self) -> Arc<FunctionConfig> {
        self.core.state.lock().config.clone()
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
        self.invoke_as(self.arn().to_owned(), payload.into()).await
    }

    /// Queues an invocation (`Event`): its request ID. Failures are tried again, up to
    /// [`FunctionConfig::max_retry_attempts`] times.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::ShutDown`] when the emulator is gone.
    pub fn invoke_event(&self, payload: impl Into<Bytes>) -> Result<String, EmulatorError> {
        self.invoke_event_as(self.arn().to_owned(), payload.into(), self.config().events)
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
        let slots = (0..environments)
            .map(|_| self.core.slots.try_take())
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| self.throttled())?;
        let reservations: Vec<_> =
            slots.into_iter().map(|slot| self.core.reserve_new(slot)).collect();
        let mut first_failure = None;
        for reservation in &reservations {
            if let Init::Failed { error_type, message, .. } = reservation.env.init().await {
                end(&reservation.env).await;
                let log = reservation.env.log_tail();
                let reason = format!("its init failed, {error_type}: {message}\n{log}");
                first_failure.get_or_insert(reason);
            } else if reservation.env.config.freezes() {
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
        self.core.state.lock().invocations.clone()
    }

    /// How many invocations were accepted and are not finished, retries included.
    pub fn unfinished(&self) -> usize {
        self.core.state.lock().unfinished
    }

    /// Every environment that it ever had, oldest first, the gone ones included.
    pub fn environments(&self) -> Vec<Environment> {
        let state = self.core.state.lock();
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
                if let Some(seen) = look(&self.core.state.lock()) {
                    return seen;
                }
                if progress.changed().await.is_err() {
                    // Cannot happen: the sender is a field of what `self` holds.
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(within, wait).await.map_err(|_| {
            let state = self.core.state.lock();
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

    /// Invokes it under the ARN that the caller gave, and waits for the end.
    pub(crate) async fn invoke_as(
        &self,
        arn: String,
        payload: Bytes,
    ) -> Result<Invocation, EmulatorError> {
        let core = self.core.clone();
        self.refuse_when_closed()?;
        let slot = core.slots.try_take().ok_or_else(|| self.throttled())?;
        let request = Request::new(payload, InvocationType::RequestResponse, arn);
        self.announce(&request);
        let in_flight = InFlightGuard::new(core.clone());
        let running = core.shared.runtime.clone().spawn(async move {
            let invocation = core.attempt(&request, 1, slot).await;
            drop(in_flight);
            invocation
        });
        let invocation = running.await.map_err(|_| EmulatorError::ShutDown)?;
        Ok(Arc::unwrap_or_clone(invocation))
    }

    /// Queues an invocation under the ARN that the caller gave: its request ID.
    pub(crate) fn invoke_event_as(
        &self,
        arn: String,
        payload: Bytes,
        policy: EventPolicy,
    ) -> Result<String, EmulatorError> {
        self.refuse_when_closed()?;
        let request = Request::new(payload, InvocationType::Event, arn);
        let id = request.id.clone();
        self.announce(&request);
        let in_flight = InFlightGuard::new(self.core.clone());
        let run = queue::run(self.core.clone(), request, policy, in_flight);
        self.core.shared.runtime.spawn(run);
        Ok(id)
    }

    /// Gives it another configuration. What runs with the earlier one runs to its end.
    pub(crate) fn reconfigure(&self, config: FunctionConfig) {
        self.core.change(|state| state.config = Arc::new(config));
    }

    /// Drops what is queued, and takes its environments down as they become idle.
    pub(crate) fn delete(&self) {
        self.core.change(|state| state.deleted = true);
    }

    /// Limits how many invocations run at once, in all versions together.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.core.slots.set_limit(limit, &self.core.shared.runtime);
    }

    pub(crate) fn environment_cores(&self) -> Vec<Arc<EnvCore>> {
        self.core.state.lock().environments.clone()
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
        EmulatorError::Throttled {
            function: self.name().to_owned(),
            limit: self.core.slots.limit(),
        }
    }
}

/// A function's ARN, with a qualifier or without.
pub(crate) fn arn(name: &str, qualifier: Option<&str>) -> String {
    let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}");
    match qualifier {
        Some(qualifier) => format!("{arn}:{qualifier}"),
        None => arn,
    }
}
