//! How many invocations of a function may run at once, all its versions together.

use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::sync::lock;

#[derive(Debug)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    limit: Mutex<usize>,
}

/// The right to run one invocation. Dropping it gives the right back.
pub(super) type Slot = OwnedSemaphorePermit;

impl Slots {
    pub(super) fn new(limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(limit)), limit: Mutex::new(limit) }
    }

    pub(super) fn limit(&self) -> usize {
        *lock(&self.limit)
    }

    /// A slot, when one is free.
    pub(super) fn try_take(&self) -> Option<Slot> {
        self.free.clone().try_acquire_owned().ok()
    }

    /// Changes the limit. What runs beyond a lower one runs on.
    pub(super) fn set_limit(&self, new: usize, runtime: &tokio::runtime::Handle) {
        let new = new.min(Semaphore::MAX_PERMITS);
        let mut limit = lock(&self.limit);
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
