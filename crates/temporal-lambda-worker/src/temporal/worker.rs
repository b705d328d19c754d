//! One SDK worker on a thread of its own.
//!
//! The SDK's `Worker::run` is not `Send`: workflows share state through `Rc`. So the worker lives
//! on a thread of its own, and the driver controls it by one [`Phase`]. The SDK's own tasks and the activities run
//! on the SDK threads.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::tonic::{Code, IntoRequest as _, Status};
use temporalio_client::{Client, ClientOptions, ConnectionOptions};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::core::Core;
use super::diagnosis::{Diagnoses, Memory, Subject};
use super::gate::{Gate, POLLS_END_WITHIN, Timing};
use super::in_flight::{InFlight, State};
use super::interceptors::Interceptors;
use super::{Launched, Ports};
use crate::config::{LastPlugin, conceal, is_nothing_registered};
use crate::connection::{Link, status_fault};
use crate::error::{ConfigError, Fault, panic_message, with_sources};
use crate::invocation::as_workflow_thread;
use crate::lifecycle::Input;
use crate::report::WorkerReport;

/// The name of the threads that workflow code runs on.
const WORKFLOW_THREAD: &str = "temporal-lambda-workflows";

/// The parts that a worker is made of.
pub(super) struct Plan {
    pub(super) memory: Memory,
    pub(super) runtime: Result<Arc<Runtime>, Fault>,
    pub(super) worker_options: WorkerOptions,
    pub(super) client_options: ClientOptions,
    pub(super) connection_options: ConnectionOptions,
    pub(super) last_plugin: Option<LastPlugin>,
    pub(super) idle_timeout: Option<Duration>,
}

/// The phase that the driver wants the worker to be in. It only ever advances.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Phase {
    Created,
    Polling,
    ShuttingDown,
    Dropped,
}

/// The state that the driver's side and the worker's thread share.
#[derive(Clone)]
struct Parts {
    gate: Arc<Gate>,
    interceptors: Interceptors,
    core: Core,
}

/// A worker on its thread, from the driver's side.
pub(super) struct SdkWorker {
    phase: watch::Sender<Phase>,
    parts: Parts,
    quiescing: Mutex<Option<AbortOnDropHandle<()>>>,
    threads: Handle,
}

impl SdkWorker {
    /// Starts the thread.
    pub(super) fn launch(threads: &Handle, link: Link, plan: Plan, ports: Ports) -> Self {
        let Ports { inputs, running, invocation, stop, next_idle_end } = ports;
        let in_flight = InFlight::new(inputs.clone());
        in_flight.hear_of(&invocation.codec_work());
        let timing = Timing { stop, next_idle_end, idle_timeout: plan.idle_timeout };
        let options = &plan.connection_options;
        let connection = link.connection.clone();
        let gate = Gate::new(link, options, timing, in_flight.clone(), running.clone());
        let subject = Subject {
            memory: &plan.memory,
            connection,
            namespace: &plan.client_options.namespace,
            options: &plan.worker_options,
            invocation: &invocation,
            stop,
        };
        let diagnoses = Diagnoses::new(subject, in_flight.clone(), gate.clone(), threads.clone());
        let scope = invocation.scope().clone();
        let token = running.token();
        let interceptors = Interceptors {
            in_flight,
            abandon: CancellationToken::new(),
            gone: CancellationToken::new(),
            invocation,
            running,
            diagnoses,
        };
        let phase = watch::Sender::new(Phase::Created);
        let parts = Parts { gate, interceptors, core: Core::default() };
        let life = Life { phase: phase.subscribe(), parts: parts.clone() };
        let runtime = threads.clone();
        let said = inputs.clone();
        let spawned =
            std::thread::Builder::new().name(WORKFLOW_THREAD.to_owned()).spawn(move || {
                let living = AssertUnwindSafe(life.live(plan)).catch_unwind();
                let ended = as_workflow_thread(|| runtime.block_on(scope.logged(living)));
                let input = ended.unwrap_or_else(|panic| {
                    let message = panic_message(&*panic);
                    Input::WorkerFailed(Fault::Panicked { place: "the worker", message })
                });
                // The thread has nothing left to do: the driver may count everything as settled.
                drop(token);
                let _ = said.send(input);
            });
        if let Err(error) = spawned {
            let reason = format!("no thread could be started for it: {error}");
            let _ = inputs.send(Input::Failed(Fault::WorkerCreation { reason }));
        }
        Self { phase, parts, quiescing: Mutex::default(), threads: threads.clone() }
    }

    fn diagnoses(&self) -> &Diagnoses {
        &self.parts.interceptors.diagnoses
    }

    fn go_on_to(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = *now < phase;
            if later {
                *now = phase;
            }
            later
        });
    }

    /// Replaces the task that quiesces, and ends the one before.
    fn quiesce_by(&self, quiescing: Option<AbortOnDropHandle<()>>) {
        *self.quiescing.lock().unwrap_or_else(PoisonError::into_inner) = quiescing;
    }
}

impl Launched for SdkWorker {
    fn poll(&self) {
        self.diagnoses().polling_begins();
        self.go_on_to(Phase::Polling);
    }

    fn hold_polls(&self, idle: bool) {
        let Parts { gate, interceptors, .. } = self.parts.clone();
        interceptors.diagnoses.polling_pauses();
        let scope = interceptors.invocation.scope();
        let quiescing = scope.around(async move { gate.quiesce(idle).await });
        let quiescing = interceptors.running.spawn_on(quiescing, &self.threads);
        self.quiesce_by(Some(AbortOnDropHandle::new(quiescing)));
    }

    fn resume_polls(&self) {
        self.quiesce_by(None);
        self.parts.gate.resume();
        self.diagnoses().polling_begins();
    }

    fn stop(&self) {
        self.quiesce_by(None);
        self.diagnoses().worker_ends();
        self.parts.gate.close();
        // Not on the worker's thread, which a workflow may block: the grace period begins now.
        let _threads = self.threads.enter();
        self.parts.core.shut_down();
        self.go_on_to(Phase::ShuttingDown);
    }

    fn abandon_activities(&self) {
        self.parts.interceptors.abandon.cancel();
        self.parts.interceptors.invocation.codec_work().cut_short_now();
    }

    fn abandon(&self) {
        self.parts.gate.trouble.worker_is_given_up();
        self.go_on_to(Phase::Dropped);
    }

    fn finalize(&self) {
        self.diagnoses().worker_has_ended();
        self.parts.core.forget();
    }

    fn report(&self) -> WorkerReport {
        let (tasks, failed_workflow_tasks) = self.parts.interceptors.in_flight.counts();
        let server_trouble = self.parts.gate.trouble.noted();
        let diagnoses = self.diagnoses().said();
        WorkerReport { tasks, failed_workflow_tasks, server_trouble, diagnoses }
    }

    fn server_fault(&self, given_up: bool) -> Option<Fault> {
        self.parts.gate.trouble.fault(given_up)
    }
}

impl Drop for SdkWorker {
    fn drop(&mut self) {
        // A worker that is dropped must not go on polling, nor its activities running.
        self.stop();
        self.parts.interceptors.abandon.cancel();
        self.go_on_to(Phase::Dropped);
        self.finalize();
    }
}

/// The worker on its thread.
struct Life {
    phase: watch::Receiver<Phase>,
    parts: Parts,
}

/// Drops the worker's activities and gives its tasks back, however the worker ended.
struct Leftovers(Arc<Gate>, CancellationToken);

impl Drop for Leftovers {
    fn drop(&mut self) {
        self.0.close();
        self.1.cancel();
    }
}

impl Life {
    /// Runs the worker to its end: how it ended.
    async fn live(mut self, plan: Plan) -> Input<Fault> {
        let Parts { gate, interceptors, core } = self.parts.clone();
        let leftovers = Leftovers(gate.clone(), interceptors.gone.clone());
        let mut stopped = self.phase.clone();
        let created = tokio::select! {
            biased;
            _ = stopped.wait_for(|phase| *phase >= Phase::ShuttingDown) => {
                return Input::WorkerStopped;
            }
            created = self.create(plan) => created,
        };
        let mut worker = match created {
            Ok(worker) => worker,
            Err(fault) => {
                interceptors.in_flight.tell(Input::Failed(fault));
                return Input::WorkerStopped;
            }
        };
        interceptors.in_flight.tell(Input::WorkerCreated { polls_end_within: POLLS_END_WITHIN });
        let phase = self.phase.wait_for(|phase| *phase >= Phase::Polling).await;
        let polls = phase.is_ok_and(|phase| *phase == Phase::Polling);
        let ended = if polls { self.run(&mut worker).await } else { Ok(()) };
        drop(worker);
        core.forget();
        drop(leftovers);
        gate.give_back().await;
        match ended {
            Ok(()) => Input::WorkerStopped,
            Err(fault) => Input::WorkerFailed(fault),
        }
    }

    async fn create(&self, plan: Plan) -> Result<Worker, Fault> {
        let Plan { runtime, mut worker_options, client_options, connection_options, .. } = plan;
        let Parts { gate, interceptors, core } = &self.parts;
        let runtime = runtime?;
        let created = |reason: String| Fault::WorkerCreation { reason };
        match plan.last_plugin {
            Some(last) => last.decide(interceptors.last_word(&worker_options)),
            None => interceptors.last_word(&worker_options)(&mut worker_options),
        }
        let connection = gate.connection(&connection_options).await;
        let connection = connection.map_err(|error| created(with_sources(&error)))?;
        let namespace = client_options.namespace.clone();
        // The worker asks again when it runs, and gets the answer from memory.
        let request = DescribeNamespaceRequest { namespace, ..Default::default() };
        let mut asking = connection.clone();
        asking
            .describe_namespace(request.clone().into_request())
            .await
            .map_err(|status| namespace_fault(&status, request.namespace, &connection_options))?;
        let client = Client::new(connection.clone(), client_options);
        let client = client.map_err(|error| created(with_sources(&error)))?;
        let worker = Worker::new(&runtime, client, worker_options).map_err(|error| {
            let reason = with_sources(&error);
            if is_nothing_registered(&reason) {
                return ConfigError::NothingRegistered.into();
            }
            created(reason)
        })?;
        core.hold(connection, &worker);
        Ok(worker)
    }

    async fn run(&mut self, worker: &mut Worker) -> Result<(), Fault> {
        let Parts { gate, interceptors, .. } = &self.parts;
        let waits_in_vain = async {
            // Only then, since each change of the account would wake this thread.
            interceptors.abandon.cancelled().await;
            interceptors.in_flight.until(State::waits_in_vain).await;
        };
        let ended = tokio::select! {
            biased;
            ended = worker.run() => ended,
            _ = self.phase.wait_for(|phase| *phase == Phase::Dropped) => return Ok(()),
            // Its last workflow tasks are failed when it is dropped.
            () = waits_in_vain => return Ok(()),
        };
        ended.map_err(|error| Fault::WorkerFailed {
            reason: gate.trouble.conceal(with_sources(&error)),
        })
    }
}

fn namespace_fault(status: &Status, namespace: String, options: &ConnectionOptions) -> Fault {
    let target = options.target.to_string();
    if status.code() == Code::NotFound {
        return Fault::NamespaceNotFound { namespace, target };
    }
    let reason = conceal(status.message().to_owned(), options);
    status_fault(status, target, reason)
}
