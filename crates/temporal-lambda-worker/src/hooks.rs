//! Shutdown hooks: what is to run when an invocation ends, whatever ended it.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::worker::{BoxError, Shutdown};

type Run = Box<dyn FnOnce(Shutdown) -> BoxFuture<'static, Result<(), BoxError>> + Send>;

/// A shutdown hook: a name for reports and logs, and what to run.
pub(crate) struct Hook {
    pub(crate) name: String,
    pub(crate) run: Run,
}

/// The shutdown hooks of one invocation, in the order in which they were added.
///
/// Each runs once, after draining and before [`on_shutdown`](crate::LambdaWorker::on_shutdown),
/// on every path on which `configure` was entered. Hooks and `on_shutdown` share what is left of
/// the shutdown deadline buffer, each with an equal part of what the earlier ones left over. One
/// that fails, panics or takes too long is logged and reported, and does not stop the next.
#[derive(Clone, Default)]
pub struct ShutdownHooks {
    // Shared with the driver, so that the hooks registered so far run even if `configure` never
    // returns.
    hooks: Arc<Mutex<Vec<Option<Hook>>>>,
}

impl ShutdownHooks {
    /// Adds a hook. `name` stands in the invocation report and in logs.
    pub fn add<F, Fut>(&mut self, name: impl Into<String>, hook: F)
    where
        F: FnOnce(Shutdown) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let hook = Hook { name: name.into(), run: Box::new(move |ending| hook(ending).boxed()) };
        self.lock().push(Some(hook));
    }

    /// How many hooks are registered.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no hook is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the hook with this number, so that nobody can run it again.
    pub(crate) fn take(&self, number: usize) -> Option<Hook> {
        self.lock().get_mut(number)?.take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Option<Hook>>> {
        // Nothing under the lock can leave the list half changed.
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ShutdownHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hooks = self.lock();
        let names = hooks.iter().flatten().map(|hook| &hook.name);
        f.debug_list().entries(names).finish()
    }
}
