//! Tasks of one kind: those that wait for a worker, and those that workers hold.

use std::collections::{HashMap, VecDeque};

pub(super) struct Tasks {
    kind: &'static str,
    /// Names, by namespace and task queue.
    waiting: HashMap<(String, String), VecDeque<String>>,
    /// Names, by task token.
    held: HashMap<Vec<u8>, String>,
    handed_out: u64,
}

impl Tasks {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, waiting: HashMap::new(), held: HashMap::new(), handed_out: 0 }
    }

    pub(super) fn add(&mut self, namespace: &str, queue: &str, name: &str) {
        let queue = (namespace.to_owned(), queue.to_owned());
        self.waiting.entry(queue).or_default().push_back(name.to_owned());
    }

    /// Hands out the next task of a queue: its name and its token.
    pub(super) fn hand_out(&mut self, namespace: &str, queue: &str) -> Option<(String, Vec<u8>)> {
        let queue = (namespace.to_owned(), queue.to_owned());
        let name = self.waiting.get_mut(&queue)?.pop_front()?;
        self.handed_out += 1;
        let token = format!("{}-task-{}", self.kind, self.handed_out).into_bytes();
        self.held.insert(token.clone(), name.clone());
        Some((name, token))
    }

    /// The name of a task that a worker holds.
    pub(super) fn held(&self, token: &[u8]) -> Option<&str> {
        self.held.get(token).map(String::as_str)
    }

    /// The name of a task that a worker holds, and from now on no longer does.
    pub(super) fn take(&mut self, token: &[u8]) -> Option<String> {
        self.held.remove(token)
    }

    /// Takes a task back from wherever it is.
    pub(super) fn withdraw(&mut self, name: &str) {
        self.held.retain(|_, held| held != name);
        for queue in self.waiting.values_mut() {
            queue.retain(|waiting| waiting != name);
        }
    }
}
