//! Shutdown hooks: what is to run when an invocation ends, whatever ended it.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::error::BoxError;
use crate::invocation::Invocation;
use crate::lifecycle::State;
use crate::report::{InvocationReport, Reason};

/// The end of an invocation, as shutdown hooks and [`LambdaWorker::on_shutdown`](crate::LambdaWorker::on_shutdown) see it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Shutdown {
    /// Why the invocation ends.
    pub reason: Reason,
    /// The facts of the invocation.
    pub invocation: Invocation,
    /// What is known of the invocation so far.
    pub report: InvocationReport,
    /// How long the hook or `on_shutdown` may take; then its future is dropped.
    pub time_allowed: std::time::Duration,
    /// Set by the `on_shutdown` that does nothing: later invocations keep no time for it.
    pub(crate) on_shutdown_is_default: std::sync::Arc<std::sync::atomic::AtomicBool>,
    /// The states so far, each with the time from the arrival of the event to its beginning.
    #[allow(dead_code, reason = "for exporters, which are features")]
    pub(crate) timeline: Vec<(State, std::time::Duration)>,
}

impl Shutdown {
    /// The end of an invocation that does not run, for tests of hooks and of `on_shutdown`. The report has
    /// the reason and what the invocation says; set more in [`report`](Self::report). A hook may take 1 s.
    pub fn new(reason: Reason, invocation: Invocation) -> Self {
        let report = InvocationReport {
            request_id: invocation.request_id.clone(),
            function_arn: invocation.function_arn.clone(),
            cold_start: invocation.cold_start,
            identity: invocation.identity(),
            reason: Some(reason),
            ..InvocationReport::default()
        };
        Self {
            reason,
            invocation,
            report,
            time_allowed: std::time::Duration::from_secs(1),
            on_shutdown_is_default: Default::default(),
            timeline: Vec::new(),
        }
    }
}

type Run = Box<dyn FnOnce(Shutdown) -> BoxFuture<'static, Result<(), BoxError>> + Send>;

/// A shutdown hook: a name for reports and logs, and what to run.
pub(crate) struct Hook {
    pub(crate) name: String,
    pub(crate) run: Run,
}

impl Hook {
    fn new<F, Fut>(name: impl Into<String>, hook: F) -> Self
    where
        F: FnOnce(Shutdown) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Self { name: name.into(), run: Box::new(move |ending| hook(ending).boxed()) }
    }
}

/// The shutdown hooks of one invocation, in the order in which they were added.
///
/// Each runs once, after draining and before [`on_shutdown`](crate::LambdaWorker::on_shutdown),
/// on every path on which `configure` was entered. A hook may use all the time that is left, but for
/// 0.1 s for each hook that is still to come and for `on_shutdown`. One that fails, panics or takes too
/// long is logged and reported, and does not stop the next.
#[derive(Clone, Default)]
pub struct ShutdownHooks {
    // Shared with the driver, so that the hooks registered so far run even if `configure` never
    // returns.
    hooks: Arc<Mutex<Registered>>,
}

#[derive(Default)]
struct Registered {
    users: Vec<Option<Hook>>,
    /// The library's own, which run after the user's.
    last: Vec<Option<Hook>>,
}

/// What a function may return that is a hook by [`ShutdownHooks::add_fn`]: nothing, or a `Result`
/// without a value.
pub trait HookResult {
    /// The hook's end.
    ///
    /// # Errors
    /// The function's own.
    fn into_result(self) -> Result<(), BoxError>;
}

impl HookResult for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> HookResult for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// An error that the hook has logged itself, in more fitting words than anybody else could.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct AlreadyLogged(pub(crate) String);

impl ShutdownHooks {
    /// Adds a hook. `name` stands in the invocation report and in logs.
    pub fn add<F, Fut>(&mut self, name: impl Into<String>, hook: F)
    where
        F: FnOnce(Shutdown) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.lock().users.push(Some(Hook::new(name, hook)));
    }

    /// Adds a plain function as a hook: it is not told how the invocation ends, waits for nothing, and
    /// returns nothing or a `Result`. One that blocks its thread cannot be cut short.
    ///
    /// ```no_run
    /// # fn configure(config: &mut temporal_lambda_worker::LambdaWorkerConfig) {
    /// config.shutdown_hooks.add_fn("say goodbye", || println!("goodbye"));
    /// config.shutdown_hooks.add_fn("remove", || std::fs::remove_file("/tmp/scratch"));
    /// # }
    /// ```
    pub fn add_fn<F, R>(&mut self, name: impl Into<String>, hook: F)
    where
        F: FnOnce() -> R + Send + 'static,
        R: HookResult,
    {
        self.add(name, |_| async move { hook().into_result() });
    }

    /// Adds a hook that runs after all of the user's.
    #[allow(dead_code, reason = "for exporters, which are features")]
    pub(crate) fn add_last<F, Fut>(&mut self, name: impl Into<String>, hook: F)
    where
        F: FnOnce(Shutdown) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.lock().last.push(Some(Hook::new(name, hook)));
    }

    /// How many hooks are registered.
    pub fn len(&self) -> usize {
        let registered = self.lock();
        registered.users.len() + registered.last.len()
    }

    /// Whether no hook is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the hook with this number, so that nobody can run it again.
    pub(crate) fn take(&self, number: usize) -> Option<Hook> {
        let mut registered = self.lock();
        let Registered { users, last } = &mut *registered;
        users.iter_mut().chain(last).nth(number)?.take()
    }

    /// Takes the first hook that nobody has taken; with it, how many such hooks remain.
    pub(crate) fn take_next(&self) -> Option<(Hook, usize)> {
        let mut registered = self.lock();
        let Registered { users, last } = &mut *registered;
        let mut waiting = users.iter_mut().chain(last).filter(|hook| hook.is_some());
        let next = waiting.next()?.take()?;
        Some((next, waiting.count()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registered> {
        // Nothing under the lock can leave the list half changed.
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ShutdownHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hooks = self.lock();
        let names = hooks.users.iter().chain(&hooks.last).flatten().map(|hook| &hook.name);
        f.debug_list().entries(names).finish()
    }
}
