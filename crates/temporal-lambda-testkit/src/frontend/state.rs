//! All that the frontend knows, behind one lock.

use std::collections::{BTreeMap, HashSet};

use super::{calls::RecordedCall, engine::Engine, scripts::Scripts, settings::Settings};

pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) scripts: Scripts,
    pub(super) calls: Vec<RecordedCall>,
    pub(super) polls: Polls,
    pub(super) engine: Engine,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            settings: Settings::new(),
            scripts: Scripts::default(),
            calls: Vec::new(),
            polls: Polls::default(),
            engine: Engine::new(),
        }
    }
}

/// The open polls, and what ends them.
#[derive(Default)]
pub(super) struct Polls {
    pub(super) open: BTreeMap<u64, RecordedCall>,
    opened: u64,
    /// Instance keys of workers that shut down. Where that ends polls, a poll of theirs that was still on
    /// its way is answered at once.
    shut_down: HashSet<String>,
    /// How often each sticky queue was given up.
    given_up: BTreeMap<String, u64>,
}

impl Polls {
    /// Adds a poll; its number, for its removal.
    pub(super) fn add(&mut self, poll: RecordedCall) -> u64 {
        self.opened += 1;
        self.open.insert(self.opened, poll);
        self.opened
    }

    pub(super) fn shut_down(&mut self, worker_instance_key: String) {
        if !worker_instance_key.is_empty() {
            self.shut_down.insert(worker_instance_key);
        }
    }

    pub(super) fn is_shut_down(&self, worker_instance_key: &str) -> bool {
        self.shut_down.contains(worker_instance_key)
    }

    pub(super) fn give_up(&mut self, sticky_queue: String) {
        if !sticky_queue.is_empty() {
            *self.given_up.entry(sticky_queue).or_default() += 1;
        }
    }

    pub(super) fn times_given_up(&self, sticky_queue: Option<&String>) -> u64 {
        sticky_queue.and_then(|name| self.given_up.get(name)).copied().unwrap_or_default()
    }
}
