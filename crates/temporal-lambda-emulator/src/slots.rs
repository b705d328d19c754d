//! How many invocations of a function may run at once, all its versions together.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    limit: Mutex<usize>,
}

/// The right to run one invocation. Dropping it gives the right back.
pub(crate) type Slot = OwnedSemaphorePermit;

impl Slots {
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(limit)), limit: Mutex::new(limit) }
    }

    pub(crate) fn limit(&self) -> usize {
        *self.limit.lock()
    }

    /// A slot, when one is free.
    pub(crate) fn try_take(&self) -> Option<Slot> {
        self.free.clone().try_acquire_owned().ok()
    }

    /// Changes the limit. What runs beyond a lower one runs on.
    pub(crate) fn set_limit(&self, new: usize, runtime: &tokio::runtime::Handle) {
        let new = new.min(Semaphore::MAX_PERMITS);
        let mut limit = self.limit.lock();
        if new > *limit {
            self.free.add_permits(new - *limit);
        }
        let surplus = limit.saturating_sub(new);
        *limit = new;
        let busy = surplus - self.free.forget_permits(surplus);
        for _ in 0..busy {
            let free = self.free.clone();
            runtime.spawn(async move {
                if let Ok(slot) = free.acquire_owned().await {
                    slot.forget();
                }
            });
        }
    }
}
