//! The handler, which runs a worker in each invocation and returns the invocation's report.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either};
use lambda_runtime::{LambdaEvent, Service};
use serde_json::Value;
use temporalio_common::worker::WorkerDeploymentVersion;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigSource, Origin, Variables};
use crate::driver::environment::{Environment, Threads};
use crate::driver::{Driver, MakeWorker};
use crate::error::Fault;
use crate::invocation::Invocation;
use crate::lambda::check::{CheckVerdict, Checker, Findings};
use crate::lambda::event::{Asked, asked_by};
use crate::lambda::load::{figures, load, refused};
use crate::lambda::poison::PoisonLayer;
use crate::lambda::runtime_api::events_at_once;
use crate::observe::{LifecycleMove, Transitions};
use crate::report::{InvocationReport, LambdaWorkerError};
use crate::telemetry;
use crate::temporal::Sdk;
use crate::worker::LambdaWorker;

/// Runs a Temporal worker inside each invocation that it is handed.
///
/// It is a [`tower::Service`] for events with any payload, so it fits into a `lambda_runtime`
/// service that does other things too. Clones share the environment: threads, connection, health.
/// Several invocations at once are fine; each has a worker of its own.
///
/// Installs nothing global: no subscriber, no panic hook, no signal handler.
#[derive(Clone)]
pub struct LambdaWorkerHandler<W> {
    origin: Arc<Origin>,
    /// The struct that each invocation clones; shared, so that the clone is made on the threads for user code.
    prototype: Arc<Mutex<W>>,
    /// The state that clones of the handler share.
    pub(crate) environment: Arc<Environment>,
}

/// Settings of a [`LambdaWorkerHandler`]. Made by [`LambdaWorkerHandler::builder`].
pub struct LambdaWorkerHandlerBuilder<W> {
    origin: Origin,
    worker: W,
}

impl<W: LambdaWorker> LambdaWorkerHandlerBuilder<W> {
    /// The task queue where neither `temporal.toml` nor the environment names one. Default: none.
    #[must_use]
    pub fn task_queue(mut self, task_queue: impl Into<String>) -> Self {
        self.origin.task_queue = Some(task_queue.into());
        self
    }

    /// Where the configuration comes from. Default: `temporal.toml` and the environment.
    #[must_use]
    pub fn config_source(mut self, source: ConfigSource) -> Self {
        self.origin.source = source;
        self
    }

    /// The handler. Starts the threads that user code and the SDK run on: two, and one per CPU (at
    /// least two).
    ///
    /// # Errors
    /// [`Fault::Runtime`] if the threads cannot be started.
    pub fn build(self) -> Result<LambdaWorkerHandler<W>, LambdaWorkerError> {
        let threads = Threads::start(events_at_once(&Variables::of_process()))
            .map_err(|error| Fault::Runtime(format!("threads could not be started: {error}")))?;
        let sdk = Arc::new(Sdk::new(threads.sdk.clone()));
        Ok(LambdaWorkerHandler {
            origin: Arc::new(self.origin),
            prototype: Arc::new(Mutex::new(self.worker)),
            environment: Arc::new(Environment::new(threads, sdk, telemetry::begin())),
        })
    }
}

impl<W> fmt::Debug for LambdaWorkerHandlerBuilder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LambdaWorkerHandlerBuilder").field(&self.origin).finish()
    }
}

impl<W> fmt::Debug for LambdaWorkerHandler<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LambdaWorkerHandler")
            .field("origin", &self.origin)
            .field("active_invocations", &self.environment.active())
            .field("is_poisoned", &self.environment.is_poisoned())
            .finish_non_exhaustive()
    }
}

impl<W: LambdaWorker> LambdaWorkerHandler<W> {
    /// A handler for `worker`, as `version` of its worker deployment. `deployment_name` and
    /// `build_id` in `temporal.toml` and in the environment override the version.
    ///
    /// # Errors
    /// As [`LambdaWorkerHandlerBuilder::build`].
    pub fn new(version: WorkerDeploymentVersion, worker: W) -> Result<Self, LambdaWorkerError> {
        Self::builder(version, worker).build()
    }

    /// As [`new`](Self::new), with more settings.
    pub fn builder(version: WorkerDeploymentVersion, worker: W) -> LambdaWorkerHandlerBuilder<W> {
        LambdaWorkerHandlerBuilder { origin: Origin::of(version), worker }
    }

    /// Serves one invocation: runs a worker until the deadline nears, work runs out, or it is
    /// cancelled; drains; runs hooks; returns the report. The payload is not read; `configure` can read it by
    /// [`Invocation::payload`].
    ///
    /// # Errors
    /// The first failure, with those that came later and the report.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the invocation. Draining, hooks and `on_shutdown` go on in the
    /// background; no worker is left polling.
    pub fn handle<T: Send + Sync + 'static>(
        &self,
        event: LambdaEvent<T>,
    ) -> impl Future<Output = Result<InvocationReport, LambdaWorkerError>> + Send + use<T, W> {
        let prototype = self.prototype.clone();
        let make = Box::new(move || clone_of(&prototype));
        self.start(make, event, Variables::of_process())
    }

    /// [Handles](Self::handle) an event, or [checks](Self::check) where
    /// `{"temporal_lambda_worker": {"check": true}}` asks for that, as
    /// [`run_worker`](crate::run_worker) does. The response is the report or the verdict as JSON.
    ///
    /// # Errors
    /// As [`handle`](Self::handle). A check is never an error: its verdict says what is wrong.
    ///
    /// # Cancel safety
    /// As [`handle`](Self::handle).
    pub fn handle_or_check(
        &self,
        event: LambdaEvent<Value>,
    ) -> impl Future<Output = Result<Value, LambdaWorkerError>> + Send + use<W> {
        self.answer(asked_by(&event.payload), event)
    }

    /// Runs a worker, or the check that the event asks for.
    pub(crate) fn answer<T: Send + Sync + 'static>(
        &self,
        asked: Asked,
        event: LambdaEvent<T>,
    ) -> impl Future<Output = Result<Value, LambdaWorkerError>> + Send + use<T, W> {
        // The future holds no handler: a worker need not be `Sync`.
        let answering = match asked {
            Asked::Check | Asked::UnreadCheck => Either::Left(self.check(&event.context)),
            Asked::Work | Asked::Unclear => Either::Right(self.handle(event)),
        };
        async move {
            let as_json = |error: serde_json::Error| Fault::Runtime(error.to_string()).into();
            match answering {
                Either::Left(checking) => {
                    let verdict = checking.await;
                    if asked == Asked::UnreadCheck {
                        let verdict = serde_json::to_string(&verdict).unwrap_or_default();
                        tracing::info!(verdict, "a check came through a queue, a topic or a bus");
                    }
                    serde_json::to_value(verdict).map_err(as_json)
                }
                Either::Right(handling) => serde_json::to_value(handling.await?).map_err(as_json),
            }
        }
    }

    /// Checks whether an invocation would work, without polling: resolves the configuration (so
    /// `configure` runs, and `on_shutdown` after it), connects, authenticates, looks at the
    /// namespace, the deployment version and its task queues, and judges the time.
    ///
    /// # Cancel safety
    /// As [`handle`](Self::handle).
    pub fn check(
        &self,
        context: &lambda_runtime::Context,
    ) -> impl Future<Output = CheckVerdict> + Send + use<W> {
        let findings = Findings::default();
        let (prototype, shared) = (self.prototype.clone(), findings.clone());
        let make = move || Checker { worker: clone_of(&prototype), findings: shared, asks: None };
        let event = LambdaEvent::new((), context.clone());
        let checking = self.start(Box::new(make), event, Variables::of_process());
        async move { findings.verdict(checking.await) }
    }

    /// Watches the lifecycle: the channel holds the latest move in this environment.
    pub fn watch(&self) -> watch::Receiver<LifecycleMove> {
        self.environment.observers.latest()
    }

    /// Observes every move of the lifecycle in this environment from now on.
    pub fn transitions(&self) -> Transitions {
        self.environment.observers.all()
    }

    /// The layer that ends the process of a poisoned environment, for a `Runtime` that serves more than
    /// this handler.
    pub fn poison_layer(&self) -> PoisonLayer {
        PoisonLayer::of(self.environment.clone())
    }

    /// Cancelling this ends every invocation of this handler and its clones, the ones to come
    /// included, as soon as they are drained.
    pub fn shutdown_token(&self) -> CancellationToken {
        self.environment.stop.clone()
    }

    /// Whether an invocation could not be stopped. Every further one is refused with
    /// [`Fault::Poisoned`]; end the process, so that Lambda replaces the environment.
    pub fn is_poisoned(&self) -> bool {
        self.environment.is_poisoned()
    }

    /// How many invocations are under way.
    pub fn active_invocations(&self) -> usize {
        self.environment.active()
    }

    fn start<V: LambdaWorker, T: Send + Sync + 'static>(
        &self,
        worker: MakeWorker<V>,
        event: LambdaEvent<T>,
        variables: Variables,
    ) -> impl Future<Output = Result<InvocationReport, LambdaWorkerError>> + Send + use<V, T, W>
    {
        let stop = self.environment.stop.child_token();
        let (environment, origin) = (self.environment.clone(), self.origin.clone());
        let admission = environment.admit();
        let admission = admission.map(|it| (Invocation::of(event, it.cold), it));
        async move {
            let _cancel = stop.clone().drop_guard();
            let (invocation, admission) = admission?;
            let scope = invocation.scope().clone();
            let handling = async move {
                let figures = figures(&environment, &variables);
                let loaded = load(&environment, origin, variables, invocation.clone()).await;
                let config = match loaded {
                    Ok(config) => config,
                    Err(fault) => {
                        admission.refuse();
                        return refused(fault, &invocation, figures);
                    }
                };
                // Boxed, so that this future stays small.
                Box::new(Driver::new(environment, admission, worker, config, stop)).drive().await
            };
            // A task of its own, so that it goes on when this future is dropped.
            match tokio::spawn(scope.logged(handling)).await {
                Ok(result) => result,
                Err(error) => {
                    let message = error.to_string();
                    Err(Fault::Panicked { place: "the driver", message }.into())
                }
            }
        }
    }
}

fn clone_of<W: Clone>(prototype: &Mutex<W>) -> W {
    // A clone that panicked has not changed the prototype.
    prototype.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl<T: Send + Sync + 'static, W: LambdaWorker> Service<LambdaEvent<T>> for LambdaWorkerHandler<W> {
    type Response = InvocationReport;
    type Error = LambdaWorkerError;
    type Future = BoxFuture<'static, Result<InvocationReport, LambdaWorkerError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    /// As [`handle`](LambdaWorkerHandler::handle), its errors and cancel safety included.
    fn call(&mut self, event: LambdaEvent<T>) -> Self::Future {
        self.handle(event).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::LambdaWorkerConfig;
    use crate::error::{BoxError, ConfigError};

    #[derive(Clone)]
    struct NeverConfigured;

    #[async_trait::async_trait]
    impl LambdaWorker for NeverConfigured {
        async fn configure(&mut self, _: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
            Err("configure was entered".into())
        }
    }

    /// The clock is paused, so the invocation's time passes as soon as no task can run; the file is read on a thread
    /// of its own.
    #[tokio::test(start_paused = true)]
    async fn reading_a_file_that_hangs_is_a_fault_before_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        // Nobody ever writes into it, so who opens it to read waits for ever.
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let fifo = fifo.to_str().unwrap();
        let version = WorkerDeploymentVersion::builder().deployment_name("d").build_id("b").build();
        let handler = LambdaWorkerHandler::new(version, NeverConfigured).unwrap();
        for setting in [
            "TEMPORAL_CONFIG_FILE",
            "TEMPORAL_LAMBDA_API_KEY_FILE",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        ] {
            let lasts = Duration::from_secs(8);
            let context =
                temporal_lambda_testkit::context::TestContext::new().lasting(lasts).build();
            let variables = Variables::from_iter(
                [("TEMPORAL_TASK_QUEUE", "q"), (setting, fifo)]
                    .map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
            let began = tokio::time::Instant::now();
            let handling = handler.start(
                Box::new(|| NeverConfigured),
                LambdaEvent::new((), context),
                variables,
            );
            let error = handling.await.unwrap_err();
            let fault = error.fault();
            assert!(
                matches!(fault, Fault::Configuration(ConfigError::ReadTooLong { .. })),
                "{setting}: {fault:?}"
            );
            assert!(began.elapsed() <= lasts / 2 + Duration::from_millis(10), "{setting}");
            assert!(!handler.is_poisoned() && handler.active_invocations() == 0);
        }
    }
}
