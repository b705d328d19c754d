//! The frontend itself: its state, and waiting for changes of it.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::state::State;

/// A mock Temporal frontend. Clones are handles to the same one; see the [module](super).
#[derive(Clone)]
pub struct MockFrontend {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    /// Counts changes of the state. Waiting calls look at the state, then wait for the next one.
    changes: watch::Sender<u64>,
    /// Cancelled, and replaced, when the in-process connections are cut.
    cut: Mutex<CancellationToken>,
}

impl MockFrontend {
    /// A frontend that knows the namespace `default`, asks for no credentials and has no scripts.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                state: Mutex::new(State::new()),
                changes: watch::Sender::new(0),
                cut: Mutex::default(),
            }),
        }
    }

    /// Ends every call that is in flight through [`MockFrontend::service`] with `UNAVAILABLE`, as
    /// when a connection dies. Connections of a [`ServedFrontend`](super::ServedFrontend) are cut with
    /// its own [`drop_connections`](super::ServedFrontend::drop_connections).
    pub fn drop_connections(&self) {
        std::mem::take(&mut *self.inner.cut.lock()).cancel();
    }

    /// The in-process connection of this moment: cancelled when it is cut.
    pub(super) fn connection(&self) -> CancellationToken {
        self.inner.cut.lock().clone()
    }

    /// The state, with everything done that was due by now.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.inner.state.lock();
        if state.engine.run_due(Instant::now()) {
            self.notify();
        }
        state
    }

    /// Changes the state and wakes every call that waits for a change.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.notify();
        result
    }

    fn notify(&self) {
        self.inner.changes.send_modify(|count| *count += 1);
    }

    /// How many changes there were.
    pub(super) fn changes(&self) -> u64 {
        *self.inner.changes.borrow()
    }

    /// Calls `look` on the state now and after each change, until it returns something or `until`
    /// is past (then `None`). Cancel safe: `look` is only called while the caller is being polled.
    pub(super) async fn watch_state<R>(
        &self,
        until: Instant,
        mut look: impl FnMut(&mut State) -> Option<R>,
    ) -> Option<R> {
        let mut changes = self.inner.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let next_due = {
                let mut state = self.lock();
                if let Some(found) = look(&mut state) {
                    return Some(found);
                }
                state.engine.next_due()
            };
            if until <= Instant::now() {
                return None;
            }
            tokio::select! {
                // The sender lives as long as `self`.
                _ = changes.changed() => {}
                () = sleep_until(next_due.map_or(until, |due| due.min(until))) => {}
            }
        }
    }
}

impl Default for MockFrontend {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MockFrontend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        f.debug_struct("MockFrontend")
            .field("calls", &state.calls.len())
            .field("open_polls", &state.polls.open.len())
            .finish_non_exhaustive()
    }
}
