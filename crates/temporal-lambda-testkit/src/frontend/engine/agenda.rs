//! What is due later, in order.

use std::collections::BTreeMap;

use tokio::time::Instant;

/// When something is due; the number tells apart what is due at the same time.
pub(super) type DueKey = (Instant, u64);

pub(super) struct Agenda<T> {
    entries: BTreeMap<DueKey, T>,
    added: u64,
}

impl<T> Agenda<T> {
    pub(super) fn new() -> Self {
        Self { entries: BTreeMap::new(), added: 0 }
    }

    pub(super) fn add(&mut self, at: Instant, entry: T) -> DueKey {
        self.added += 1;
        self.entries.insert((at, self.added), entry);
        (at, self.added)
    }

    pub(super) fn remove(&mut self, key: DueKey) {
        self.entries.remove(&key);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// The first entry that is due by `now`.
    pub(super) fn take(&mut self, now: Instant) -> Option<T> {
        let first = self.entries.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }
}
