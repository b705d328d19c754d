//! One SDK worker on a thread of its own.
//!
//! The SDK's `Worker::run` is not `Send`: workflows share state through `Rc`. So the worker lives
//! on a thread that does nothing else, and the driver speaks to it through tokens. The SDK's own
//! tasks and the activities run on the SDK threads.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use temporalio_client::{ClientOptions, Connection, ConnectionOptions};
use temporalio_sdk::{Worker, WorkerOptions};
use temporalio_sdk_core::{CoreRuntime, Worker as CoreWorker, WorkerValidationError, init_worker};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::connect::{chain, conceal, status_fault};
use super::fit::Fit;
use super::flight::Flight;
use super::gate::{Gate, Horizon};
use super::leave::Leaver;
use super::{Launched, Link, Ports};
use crate::config::defaults::SHORTEST_IDLE_TIMEOUT_TO_DRAIN_POLLS;
use crate::error::Fault;
use crate::lifecycle::{Ending, Input};
use crate::panic_message;
use crate::report::TaskCounts;
use crate::telemetry::Scope;

/// The name of the threads that workflow code runs on.
const WORKFLOW_THREAD: &str = "temporal-lambda-workflows";

/// Whether the calling code runs where workflow code runs.
#[cfg(feature = "otel")]
pub(crate) fn is_workflow_thread() -> bool {
    std::thread::current().name() == Some(WORKFLOW_THREAD)
}

/// What a worker is made of.
pub(crate) struct Blueprint {
    pub(crate) fit: Fit,
    pub(crate) runtime: Result<Arc<CoreRuntime>, Fault>,
    pub(crate) link: Link,
    pub(crate) worker_options: WorkerOptions,
    pub(crate) client_options: ClientOptions,
    pub(crate) connection_options: ConnectionOptions,
    pub(crate) grace: Duration,
    pub(crate) poll_drain_timeout: Duration,
    pub(crate) idle_timeout: Option<Duration>,
}

/// A worker on its thread, from the driver's side.
pub(crate) struct SdkWorker {
    poll: CancellationToken,
    stop: CancellationToken,
    abandon: CancellationToken,
    flight: Flight,
    registration: Registration,
    leaver: Leaver,
    running: TaskTracker,
    scope: Scope,
    threads: Handle,
}

impl SdkWorker {
    /// Starts the thread.
    pub(crate) fn launch(threads: &Handle, blueprint: Blueprint, ports: Ports) -> Self {
        let flight = Flight::new(&ports, blueprint.fit.clone());
        let registration = Registration::default();
        // Polls are part of the drain, which lasts as long as the grace period.
        let patience = match blueprint.idle_timeout {
            Some(it) if it < SHORTEST_IDLE_TIMEOUT_TO_DRAIN_POLLS => Duration::ZERO,
            _ => blueprint.poll_drain_timeout.min(blueprint.grace),
        };
        let horizon = (!patience.is_zero())
            .then(|| Horizon::new(ports.stop, ports.next_stop.clone(), blueprint.idle_timeout));
        let gate = Gate::new(&blueprint.link, horizon.clone(), ports.running.clone());
        let leaver = Leaver {
            flight: flight.clone(),
            gate,
            connection: blueprint.link.connection.clone(),
            namespace: blueprint.client_options.namespace.clone(),
            core: Arc::default(),
            patience,
        };
        let scope = ports.invocation.scope().clone();
        let life = Life {
            poll: CancellationToken::new(),
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
            flight: flight.clone(),
            registration: registration.clone(),
            inputs: ports.inputs.clone(),
            leaver: leaver.clone(),
            horizon,
        };
        let this = Self {
            poll: life.poll.clone(),
            stop: life.stop.clone(),
            abandon: life.abandon.clone(),
            flight,
            registration,
            leaver,
            running: ports.running.clone(),
            scope: scope.clone(),
            threads: threads.clone(),
        };
        let (inputs, running) = (ports.inputs.clone(), ports.running.token());
        let threads = threads.clone();
        let spawned =
            std::thread::Builder::new().name(WORKFLOW_THREAD.to_owned()).spawn(move || {
                let living = AssertUnwindSafe(life.live(blueprint)).catch_unwind();
                let ended = threads.block_on(scope.logged(living));
                #[cfg(feature = "otel")]
                crate::otel::end_open_spans();
                let input = ended.unwrap_or_else(|panic| {
                    let message = panic_message(&*panic);
                    Input::WorkerFailed(Fault::Panicked { place: "the worker", message })
                });
                // The thread is as good as gone: the driver may call everything settled.
                drop(running);
                let _ = inputs.send(input);
            });
        if let Err(error) = spawned {
            let reason = format!("no thread could be started for it: {error}");
            let _ = this.flight_inputs().send(Input::Failed(Fault::WorkerCreation { reason }));
        }
        this
    }

    fn flight_inputs(&self) -> &UnboundedSender<Input<Fault>> {
        self.flight.inputs()
    }
}

impl Launched for SdkWorker {
    fn poll(&self) {
        self.poll.cancel();
    }

    fn stop(&self, why: Option<Ending>) {
        self.stop.cancel();
        let (leaver, abandon) = (self.leaver.clone(), self.abandon.clone());
        let leaving = async move {
            tokio::select! {
                () = leaver.leave(why) => {}
                () = abandon.cancelled() => {}
            }
        };
        // Not on the worker's thread: a workflow may block it, and polling has to stop all the
        // same.
        self.running.spawn_on(self.scope.around(leaving), &self.threads);
    }

    fn abandon_activities(&self) {
        self.flight.abandon_activities();
    }

    fn abandon(&self) {
        self.abandon.cancel();
    }

    fn finalize(&self) {
        self.registration.release();
    }

    fn tasks(&self) -> TaskCounts {
        self.flight.counts()
    }
}

impl Drop for SdkWorker {
    fn drop(&mut self) {
        // Whoever lets go of the worker must not leave it polling.
        self.stop.cancel();
        self.abandon.cancel();
        self.registration.release();
    }
}

/// The worker's entry in its connection. The SDK's `run` leaves it there, with a socket's worth of
/// memory; whoever made it must take it out again.
#[derive(Clone, Default)]
struct Registration {
    entry: Arc<Mutex<Option<(Connection, Uuid)>>>,
}

impl Registration {
    fn hold(&self, connection: Connection, key: Uuid) {
        *self.entry.lock().unwrap_or_else(PoisonError::into_inner) = Some((connection, key));
    }

    fn release(&self) {
        let entry = self.entry.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((connection, key)) = entry {
            let workers = connection.workers();
            // The slot provider is gone already if the worker was shut down; then this errs.
            let _ = workers.unregister_slot_provider(key);
            if let Err(error) = workers.finalize_unregister(key) {
                tracing::warn!(%error, "the worker could not be unregistered from its connection");
            }
        }
    }
}

/// Ends the worker's polls when dropped.
struct Closing(Gate);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The worker's life, on its thread.
struct Life {
    poll: CancellationToken,
    stop: CancellationToken,
    abandon: CancellationToken,
    flight: Flight,
    registration: Registration,
    inputs: UnboundedSender<Input<Fault>>,
    leaver: Leaver,
    horizon: Option<Horizon>,
}

impl Life {
    /// Lives until the worker has ended; returns how it ended.
    async fn live(self, blueprint: Blueprint) -> Input<Fault> {
        // Whatever happens, no poll outlives its worker.
        let _closing = Closing(self.leaver.gate.clone());
        let (core, mut worker) = match self.create(blueprint).await {
            Ok(Some(made)) => made,
            Ok(None) => return Input::WorkerStopped,
            Err(fault) => {
                self.registration.release();
                let _ = self.inputs.send(Input::Failed(fault));
                return Input::WorkerStopped;
            }
        };
        let _ = self.inputs.send(Input::WorkerCreated);
        let polling = tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = self.poll.cancelled() => true,
        };
        let ended = if polling { self.run(&mut worker).await } else { Ok(()) };
        // A worker that ended by itself, or never polled, is shut down here; more than once is as
        // good as once. It also tells the server to move what waits on the sticky queue.
        core.initiate_shutdown();
        drop(worker);
        self.leaver.give_back_sticky().await;
        match ended {
            Ok(()) => Input::WorkerStopped,
            Err(fault) => Input::WorkerFailed(fault),
        }
    }

    /// The worker, or `None` if it was stopped before it was made.
    async fn create(
        &self,
        blueprint: Blueprint,
    ) -> Result<Option<(Arc<CoreWorker>, Worker)>, Fault> {
        let Blueprint { runtime, mut worker_options, client_options, connection_options, .. } =
            blueprint;
        let runtime = runtime?;
        let created = |reason: String| Fault::WorkerCreation { reason };
        worker_options.activity_inbound_interceptor(self.flight.clone());
        worker_options.worker_interceptor(self.flight.clone());
        let connection = self.leaver.gate.open(&connection_options).await;
        let connection = connection.map_err(|error| created(chain(&error)))?;
        let core_options = worker_options
            .to_core_options(client_options.namespace.clone(), connection.identity().to_owned())
            .map_err(created)?;
        let core = init_worker(&runtime, core_options, connection.clone())
            .map_err(|error| created(format!("{error:#}")))?;
        let core = Arc::new(core);
        self.registration.hold(connection, core.worker_instance_key());
        let worker = Worker::new_from_core_options(core.clone(), client_options, worker_options)
            .map_err(|error| created(chain(&error)))?;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(None),
            // The SDK starts its pollers here, and not before.
            validated = core.validate() => match validated {
                Ok(_) => {
                    // Not before: the SDK would start its pollers wherever it is shut down.
                    let _ = self.leaver.core.set(Arc::downgrade(&core));
                    Ok(Some((core, worker)))
                }
                Err(error) => Err(validation_fault(error, &connection_options)),
            },
        }
    }

    async fn run(&self, worker: &mut Worker) -> Result<(), Fault> {
        let run = worker.run();
        tokio::pin!(run);
        let winding_down = async {
            tokio::select! {
                () = self.leaver.wind_down_in_time(self.horizon.as_ref()) => {}
                () = self.stop.cancelled() => {}
            }
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            biased;
            ended = &mut run => ended,
            () = self.abandon.cancelled() => return Ok(()),
            () = winding_down => Ok(()),
        };
        ended.map_err(|error| Fault::WorkerFailed { reason: chain(&error) })
    }
}

fn validation_fault(error: WorkerValidationError, options: &ConnectionOptions) -> Fault {
    let WorkerValidationError::NamespaceDescribeError { source, namespace } = error;
    let target = options.target.to_string();
    if source.code() == temporalio_client::tonic::Code::NotFound {
        return Fault::NamespaceNotFound { namespace, target };
    }
    let reason = conceal(source.message().to_owned(), options);
    status_fault(&source, target, reason)
}
