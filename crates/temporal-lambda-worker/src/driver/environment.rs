//! The state of an execution environment, which lives from one invocation to the next: threads, connection,
//! telemetry, and whether the environment is poisoned.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::config::LoggedWarnings;
use crate::error::Fault;
use crate::invocation::Telemetry;
use crate::observe::Observers;
use crate::temporal::Temporal;

/// The threads that user code and the SDK run on. They are never the caller's, so that user code cannot keep the
/// caller from answering Lambda in time.
pub(crate) struct Threads {
    /// Run `configure`, `on_start`, hooks and `on_shutdown`: two threads for each event that is
    /// served at once, so that the hooks have one when the other is blocked for good.
    pub(crate) user: Handle,
    /// Run the SDK's own tasks, connections and activities.
    pub(crate) sdk: Handle,
    _owned: Owned,
}

/// Threads for user code at most: 128.
const MOST_USER_THREADS: usize = 128;

impl Threads {
    /// Starts the threads of a function that serves so many events at once.
    pub(crate) fn start(events: usize) -> std::io::Result<Self> {
        let parallelism = std::thread::available_parallelism().map_or(2, usize::from);
        let mut owned = Owned::default();
        let threads = events.saturating_mul(2).min(MOST_USER_THREADS);
        let user = owned.start("temporal-lambda-user", threads)?;
        let sdk = owned.start("temporal-lambda-sdk", parallelism.max(2))?;
        Ok(Self { user, sdk, _owned: owned })
    }

    /// Runs everything on the current runtime: for tests under paused time.
    #[cfg(test)]
    pub(crate) fn of_caller() -> Self {
        let (user, sdk) = (Handle::current(), Handle::current());
        Self { user, sdk, _owned: Owned::default() }
    }
}

/// The runtimes that were started. Dropping them waits for no thread.
#[derive(Default)]
struct Owned(Vec<Runtime>);

impl Owned {
    fn start(&mut self, name: &str, threads: usize) -> std::io::Result<Handle> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(threads).thread_name(name).enable_all().build()?;
        let handle = runtime.handle().clone();
        self.0.push(runtime);
        Ok(handle)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        for runtime in self.0.drain(..) {
            // An ordinary drop waits for threads that may be blocked, and panics inside of another runtime,
            // where a handler may be dropped.
            runtime.shutdown_background();
        }
    }
}

/// The state that lives from one invocation to the next.
pub(crate) struct Environment {
    pub(crate) threads: Threads,
    pub(crate) temporal: Arc<dyn Temporal>,
    /// Cancels every invocation, present and future.
    pub(crate) stop: CancellationToken,
    pub(crate) observers: Observers,
    /// The interface to telemetry that each invocation's configuration gets.
    pub(crate) telemetry: Telemetry,
    /// Whether `on_shutdown` is the trait's default, which does nothing. Known once it has run.
    pub(crate) on_shutdown_is_default: Arc<AtomicBool>,
    /// The warnings about configuration that were logged.
    pub(crate) logged: LoggedWarnings,
    served: AtomicBool,
    poisoned: AtomicBool,
    active: AtomicUsize,
}

impl Environment {
    pub(crate) fn new(threads: Threads, temporal: Arc<dyn Temporal>, telemetry: Telemetry) -> Self {
        Self {
            threads,
            temporal,
            stop: CancellationToken::new(),
            observers: Observers::default(),
            telemetry,
            on_shutdown_is_default: Arc::default(),
            logged: LoggedWarnings::default(),
            served: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
            active: AtomicUsize::new(0),
        }
    }

    /// Admits an invocation, unless the environment is poisoned. The admission says whether it is the first.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Admission, Fault> {
        self.active.fetch_add(1, Ordering::SeqCst);
        let mut admission = Admission { environment: Arc::clone(self), cold: false };
        if self.is_poisoned() {
            return Err(Fault::Poisoned);
        }
        admission.cold = !self.served.swap(true, Ordering::SeqCst);
        Ok(admission)
    }

    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::SeqCst)
    }

    /// How many invocations are under way.
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::SeqCst)
    }
}

/// Counts an invocation as under way in the environment until it is dropped.
pub(crate) struct Admission {
    environment: Arc<Environment>,
    /// Whether this is the environment's first invocation.
    pub(crate) cold: bool,
}

impl Admission {
    /// Uncounts the invocation: it was refused before anything began, so a cold environment stays cold.
    pub(crate) fn refuse(self) {
        if self.cold {
            self.environment.served.store(false, Ordering::SeqCst);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.environment.active.fetch_sub(1, Ordering::SeqCst);
    }
}
