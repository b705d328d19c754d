//! The core of the SDK's worker. It can be shut down from any thread, also while a workflow blocks the worker's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use temporalio_client::Connection;
use temporalio_sdk::Worker;

/// The SDK's core worker, to shut it down and to unregister it from its connection: an entry that stays there keeps
/// threads and memory.
#[derive(Clone, Default)]
pub(super) struct Core(Arc<Mutex<CoreState>>);

#[derive(Default)]
struct CoreState {
    /// Whether a shutdown was asked for.
    is_wanted: bool,
    shut_down: Option<Box<dyn Fn() + Send>>,
    entry: Option<(Connection, uuid::Uuid)>,
}

impl Core {
    /// Keeps a worker that begins to run.
    pub(super) fn hold(&self, connection: Connection, worker: &Worker) {
        let mut state = self.lock();
        state.entry = Some((connection, worker.worker_instance_key()));
        let shut_down = worker.shutdown_handle();
        if state.is_wanted {
            shut_down();
        }
        state.shut_down = Some(Box::new(shut_down));
    }

    /// Shuts the worker down. To be called inside of a runtime.
    pub(super) fn shut_down(&self) {
        let mut state = self.lock();
        state.is_wanted = true;
        if let Some(shut_down) = &state.shut_down {
            shut_down();
        }
    }

    /// Unregisters the worker from its connection. Doing so again does nothing.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        state.shut_down = None;
        if let Some((connection, key)) = state.entry.take() {
            let workers = connection.workers();
            // The slot provider is gone already if the worker was shut down; then this errs.
            let _ = workers.unregister_slot_provider(key);
            if let Err(error) = workers.finalize_unregister(key) {
                tracing::warn!(%error, "the worker could not be unregistered from its connection");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, CoreState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
