//! What the frontend is like: its namespaces, who may call, how long polls last.

use std::time::Duration;

use super::mock::MockFrontend;

impl MockFrontend {
    /// Adds a namespace, next to `default`. Calls for any other are answered with `NOT_FOUND`.
    pub fn namespace(&self, name: impl Into<String>) -> &Self {
        self.update(|state| state.settings.add_namespace(name.into()));
        self
    }

    /// Forgets a namespace; `default` too.
    pub fn remove_namespace(&self, name: &str) -> &Self {
        self.update(|state| state.settings.remove_namespace(name));
        self
    }

    /// Asks for `authorization: Bearer <key>` from now on; without it a call is answered with
    /// `UNAUTHENTICATED`. The key replaces an earlier one.
    pub fn require_api_key(&self, key: impl Into<String>) -> &Self {
        self.update(|state| state.settings.api_key = Some(key.into()));
        self
    }

    /// Answers every call with `PERMISSION_DENIED` from now on, but for `GetSystemInfo`: a server
    /// lets everyone ask that, so a worker connects well and is refused at its first real call.
    pub fn permission_denied(&self) -> &Self {
        self.update(|state| state.settings.denied = true);
        self
    }

    /// Takes back [`MockFrontend::permission_denied`].
    pub fn permission_granted(&self) -> &Self {
        self.update(|state| state.settings.denied = false);
        self
    }

    /// Ends a worker's long polls when it calls `ShutdownWorker`, and says so in `DescribeNamespace`
    /// (`worker_poll_complete_on_shutdown`). Default off, as on a server where
    /// `frontend.enableCancelWorkerPollsOnShutdown` is not set: a worker that leaves waits for its
    /// polls, or drops them.
    pub fn end_polls_at_shutdown(&self) -> &Self {
        self.update(|state| state.settings.ends_polls = true);
        self
    }

    /// After how long a poll without a task is answered with an empty response, if that is sooner
    /// than 1 s before the poll's own deadline. Default: 60 s, as on a server. Counts for polls that
    /// begin from now on.
    pub fn long_poll_timeout(&self, timeout: Duration) -> &Self {
        self.update(|state| state.settings.longest_poll = timeout);
        self
    }
}
