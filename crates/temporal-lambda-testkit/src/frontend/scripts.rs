//! Scripts as data: what the next calls of each RPC do.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tonic::Status;

use super::rpc::Rpc;

/// What a scripted call does.
#[derive(Clone)]
pub(super) enum Action {
    Usual,
    Answer(Result<Vec<u8>, Status>),
    Hang,
    Cut,
    Malformed,
}

/// One scripted call: wait, then act.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) delay: Duration,
    pub(super) action: Action,
}

pub(super) struct Entry {
    id: u64,
    /// Calls that still go by unscripted before this entry starts.
    pub(super) skip: usize,
    /// Calls still to script; `None` is forever.
    pub(super) left: Option<usize>,
    pub(super) step: Step,
}

#[derive(Default)]
pub(super) struct Scripts {
    entries: BTreeMap<Rpc, VecDeque<Entry>>,
    added: u64,
}

impl Scripts {
    /// What the next call of this RPC is to do.
    pub(super) fn next(&mut self, rpc: &Rpc) -> Option<Step> {
        let queue = self.entries.get_mut(rpc)?;
        // An entry with no calls left was set to `times(0)`.
        while queue.front().is_some_and(|entry| entry.left == Some(0)) {
            queue.pop_front();
        }
        let entry = queue.front_mut()?;
        if entry.skip > 0 {
            entry.skip -= 1;
            return None;
        }
        let step = entry.step.clone();
        if let Some(left) = &mut entry.left {
            *left -= 1;
            if *left == 0 {
                queue.pop_front();
            }
        }
        Some(step)
    }

    /// Adds a script for one call; its number, for [`Scripts::change`].
    pub(super) fn add(&mut self, rpc: Rpc, step: Step) -> u64 {
        self.added += 1;
        let entry = Entry { id: self.added, skip: 0, left: Some(1), step };
        self.entries.entry(rpc).or_default().push_back(entry);
        self.added
    }

    /// Changes a script, unless calls have used it up.
    pub(super) fn change(&mut self, rpc: &Rpc, id: u64, change: impl FnOnce(&mut Entry)) {
        let queue = self.entries.get_mut(rpc);
        if let Some(entry) = queue.into_iter().flatten().find(|entry| entry.id == id) {
            change(entry);
        }
    }

    pub(super) fn clear(&mut self, rpc: &Rpc) {
        self.entries.remove(rpc);
    }
}
