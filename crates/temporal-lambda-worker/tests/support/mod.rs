//! The worker under test: it writes down what is done to it, and misbehaves as it is told.
#![allow(dead_code, reason = "every test binary uses another part of it")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use temporal_lambda_testkit::context::TestContext;
use temporal_lambda_worker::{
    BoxError, LambdaWorker, LambdaWorkerConfig, LambdaWorkerHandler, RunningWorker, Shutdown,
    WorkerDeploymentVersion, async_trait,
};
use temporalio_client::{Connection, ConnectionOptions};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{LocalActivityOptions, WorkflowContext, WorkflowResult};
use tokio::sync::watch;

/// Far longer than anything that is waited for takes.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
/// The task queue of every worker here.
pub(crate) const QUEUE: &str = "faults";
/// How long activities may go on after polling has stopped.
pub(crate) const GRACE: Duration = Duration::from_millis(300);
/// How long before the deadline polling stops.
pub(crate) const BUFFER: Duration = Duration::from_millis(1200);
/// What an invocation has, so that 1.8 s are for work.
pub(crate) const TIME: Duration = Duration::from_secs(3);

/// What the SDK takes for the end of everything; most other errors of a poll it retries for 60 s.
pub(crate) const TOO_LARGE: &str = "grpc: received message larger than max (2 vs. 1)";

/// A piece of user code that can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Configure,
    OnStart,
    Hook,
    OnShutdown,
}

/// How it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Errs,
    Panics,
    /// Its future is never done.
    Hangs,
    /// It never yields: it blocks its thread until the test is over.
    Blocks,
}

/// What the worker under test does.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    pub(crate) wrong: Vec<(Place, Way)>,
    /// What `configure` changes last.
    pub(crate) tweak: fn(&mut LambdaWorkerConfig),
    /// What `on_start` does with the worker.
    pub(crate) on_start: fn(&RunningWorker),
}

impl Default for Manners {
    fn default() -> Self {
        Self { wrong: Vec::new(), tweak: |_| {}, on_start: |_| {} }
    }
}

/// One line of what was done to the worker.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) request_id: String,
    pub(crate) what: &'static str,
    /// With `on_shutdown` and hooks: what they were told.
    pub(crate) told: Option<Shutdown>,
}

/// What all clones of a [`Subject`] share.
pub(crate) struct Shared {
    pub(crate) manners: Mutex<Manners>,
    pub(crate) connection_options: Mutex<ConnectionOptions>,
    pub(crate) log: Mutex<Vec<Entry>>,
    /// The latest worker's own connection.
    pub(crate) connection: Mutex<Option<Connection>>,
    /// How many of the activities have begun that last until something happens.
    pub(crate) begun: watch::Sender<usize>,
    /// How many of them have to have begun before one of them ends.
    pub(crate) together: AtomicUsize,
    /// Opened when the test is over, so that blocked threads can end.
    pub(crate) gate: Gate,
}

/// The worker under test.
#[derive(Clone)]
pub(crate) struct Subject(pub(crate) Arc<Shared>);

impl Subject {
    pub(crate) fn new(connection_options: ConnectionOptions) -> Self {
        Self(Arc::new(Shared {
            manners: Mutex::default(),
            connection_options: Mutex::new(connection_options),
            log: Mutex::default(),
            connection: Mutex::default(),
            begun: watch::Sender::default(),
            together: AtomicUsize::new(1),
            gate: Gate::default(),
        }))
    }

    pub(crate) fn handler(&self) -> LambdaWorkerHandler<Self> {
        let version =
            WorkerDeploymentVersion::builder().deployment_name("faults").build_id("b1").build();
        LambdaWorkerHandler::new(version, self.clone()).expect("threads start")
    }

    pub(crate) fn manners(&self) -> MutexGuard<'_, Manners> {
        lock(&self.0.manners)
    }

    /// What was done in one invocation, in order.
    pub(crate) fn log_of(&self, request_id: &str) -> Vec<&'static str> {
        let log = lock(&self.0.log);
        log.iter().filter(|it| it.request_id == request_id).map(|it| it.what).collect()
    }

    /// What `on_shutdown` was told in one invocation.
    pub(crate) fn told(&self, request_id: &str) -> Option<Shutdown> {
        let log = lock(&self.0.log);
        log.iter().rev().find(|it| it.request_id == request_id)?.told.clone()
    }

    /// Whether the connection still knows a worker. (It does not afterwards: there is no way to
    /// ask, only one to take it out.)
    pub(crate) fn was_registered(&self, worker_instance_key: &str) -> bool {
        let Ok(key) = worker_instance_key.parse() else { return false };
        lock(&self.0.connection).as_ref().is_some_and(|connection| {
            let workers = connection.workers();
            let _ = workers.unregister_slot_provider(key);
            workers.finalize_unregister(key).is_ok()
        })
    }

    async fn misbehave(&self, place: Place) -> Result<(), BoxError> {
        let ways = self.manners().wrong.clone();
        for (_, way) in ways.into_iter().filter(|(where_, _)| *where_ == place) {
            match way {
                Way::Errs => return Err(format!("{place:?} errs").into()),
                Way::Panics => panic!("{place:?} panics"),
                Way::Hangs => std::future::pending().await,
                Way::Blocks => self.0.gate.block(),
            }
        }
        Ok(())
    }

    fn note(&self, request_id: &str, what: &'static str, told: Option<&Shutdown>) {
        let entry = Entry { request_id: request_id.to_owned(), what, told: told.cloned() };
        lock(&self.0.log).push(entry);
    }
}

#[async_trait]
impl LambdaWorker for Subject {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        self.note(&config.invocation.request_id, "configure", None);
        let connection_options = lock(&self.0.connection_options).clone();
        let old = std::mem::replace(&mut config.connection_options, connection_options);
        config.connection_options.connect_timeout = old.connect_timeout;
        let worker = &mut config.worker_options;
        worker.task_queue = QUEUE.to_owned();
        worker.graceful_shutdown_period = Some(GRACE);
        config.shutdown_deadline_buffer = Some(BUFFER);
        worker.register_activities(Work(self.0.clone()));
        worker.register_workflow::<BlocksItsThread>()?;
        worker.register_workflow::<EndsAtOnce>()?.register_workflow::<WaitsForItself>()?;
        let this = self.clone();
        config.shutdown_hooks.add("first", move |ending| async move {
            this.note(&ending.invocation.request_id, "first hook", Some(&ending));
            this.misbehave(Place::Hook).await
        });
        let this = self.clone();
        config.shutdown_hooks.add("second", move |ending| async move {
            this.note(&ending.invocation.request_id, "second hook", Some(&ending));
            Ok(())
        });
        let tweak = self.manners().tweak;
        tweak(config);
        self.misbehave(Place::Configure).await
    }

    async fn on_start(&mut self, running: &RunningWorker) -> Result<(), BoxError> {
        self.note(&running.invocation.request_id, "on_start", None);
        *lock(&self.0.connection) = Some(running.client.connection().clone());
        let act = self.manners().on_start;
        act(running);
        self.misbehave(Place::OnStart).await
    }

    async fn on_shutdown(&mut self, ending: &Shutdown) -> Result<(), BoxError> {
        self.note(&ending.invocation.request_id, "on_shutdown", Some(ending));
        self.misbehave(Place::OnShutdown).await
    }
}

/// The activities of the worker under test.
pub(crate) struct Work(Arc<Shared>);

#[activities]
impl Work {
    /// Is done at once.
    #[activity]
    pub(crate) async fn quick(_context: ActivityContext) -> Result<String, ActivityError> {
        Ok("done".to_owned())
    }

    /// Ends when it is cancelled.
    #[activity]
    pub(crate) async fn polite(
        self: Arc<Self>,
        context: ActivityContext,
    ) -> Result<(), ActivityError> {
        self.0.begun.send_modify(|begun| *begun += 1);
        context.cancelled().await;
        Err(ActivityError::cancelled())
    }

    /// Never ends.
    #[activity]
    pub(crate) async fn stubborn(
        self: Arc<Self>,
        _context: ActivityContext,
    ) -> Result<(), ActivityError> {
        self.0.begun.send_modify(|begun| *begun += 1);
        std::future::pending().await
    }

    /// Blocks its thread.
    #[activity]
    pub(crate) async fn blocking(
        self: Arc<Self>,
        _context: ActivityContext,
    ) -> Result<(), ActivityError> {
        self.0.gate.block();
        Ok(())
    }

    /// Whose invocation it runs in: the request ID. Ends when enough of them have begun.
    #[activity]
    pub(crate) async fn whose(
        self: Arc<Self>,
        _context: ActivityContext,
    ) -> Result<String, ActivityError> {
        self.0.begun.send_modify(|begun| *begun += 1);
        let together = self.0.together.load(Ordering::SeqCst);
        // The sender is in what is shared, and so lives as long as this does.
        let _ = self.0.begun.subscribe().wait_for(|begun| *begun >= together).await;
        let invocation = temporal_lambda_worker::current_invocation();
        Ok(invocation.map(|it| it.request_id).unwrap_or_default())
    }

    #[activity]
    pub(crate) async fn panicking(_context: ActivityContext) -> Result<(), ActivityError> {
        panic!("the activity panics")
    }
}

/// A workflow that keeps its thread for longer than any invocation here has.
#[workflow]
#[derive(Default)]
pub(crate) struct BlocksItsThread;

#[workflow_methods]
impl BlocksItsThread {
    #[run]
    pub(crate) async fn run(_context: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        std::thread::sleep(2 * TIME);
        Ok(())
    }
}

/// A workflow that has nothing to do.
#[workflow]
#[derive(Default)]
pub(crate) struct EndsAtOnce;

#[workflow_methods]
impl EndsAtOnce {
    #[run]
    pub(crate) async fn run(_context: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        Ok(())
    }
}

/// A workflow with a local activity that never ends.
#[workflow]
#[derive(Default)]
pub(crate) struct WaitsForItself;

#[workflow_methods]
impl WaitsForItself {
    #[run]
    pub(crate) async fn run(context: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let limit = LocalActivityOptions::builder().start_to_close_timeout(BOUND).build();
        Ok(context.execute_local_activity(Work::stubborn, (), limit).await?)
    }
}

/// Something that threads wait at until it is opened.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Blocks the thread until the gate is open.
    pub(crate) fn block(&self) {
        let (open, changed) = &*self.0;
        let mut open = lock(open);
        while !*open {
            open = changed.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Opens it for good.
    pub(crate) fn open(&self) {
        let (open, changed) = &*self.0;
        *lock(open) = true;
        changed.notify_all();
    }
}

/// An invocation with this request ID and [`TIME`].
pub(crate) fn invocation(request_id: &str) -> TestContext {
    TestContext::new().request_id(request_id).lasting(TIME)
}

/// Locks, also when a panic elsewhere poisoned the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
