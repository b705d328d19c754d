//! What the frontend was asked, and waiting for it.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{calls::RecordedCall, error::FrontendError, mock::MockFrontend, rpc::Rpc};

/// How long the waiting methods wait at most: 30 s on tokio's clock. For less, put `tokio::time::timeout` around
/// them.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(30);

impl MockFrontend {
    /// Every call so far, oldest first, also the refused and the scripted ones. A call over
    /// loopback that was refused for its compression never got this far.
    pub fn seen(&self) -> Vec<RecordedCall> {
        self.lock().calls.clone()
    }

    /// How many calls of one RPC there were.
    pub fn count(&self, rpc: Rpc) -> usize {
        let state = self.lock();
        state.calls.iter().filter(|call| call.rpc == rpc).count()
    }

    /// The long polls for tasks, past and open.
    pub fn polls(&self) -> Vec<RecordedCall> {
        self.calls_where(|call| call.rpc.is_poll())
    }

    /// The reports of ended tasks: completed, failed and canceled.
    pub fn completions(&self) -> Vec<RecordedCall> {
        self.calls_where(|call| {
            matches!(
                call.rpc,
                Rpc::RespondWorkflowTaskCompleted
                    | Rpc::RespondWorkflowTaskFailed
                    | Rpc::RespondActivityTaskCompleted
                    | Rpc::RespondActivityTaskFailed
                    | Rpc::RespondActivityTaskCanceled
            )
        })
    }

    /// The calls with which workers shut down.
    pub fn shutdown_workers(&self) -> Vec<RecordedCall> {
        self.calls_where(|call| call.rpc == Rpc::ShutdownWorker)
    }

    /// The long polls that wait for their answer at this moment, also those that hang by a script.
    pub fn open_polls(&self) -> Vec<RecordedCall> {
        self.lock().polls.open.values().cloned().collect()
    }

    /// The identities that called, each once, in order of appearance.
    pub fn identities(&self) -> Vec<String> {
        let mut identities: Vec<String> = Vec::new();
        for call in &self.lock().calls {
            if !call.identity.is_empty() && !identities.contains(&call.identity) {
                identities.push(call.identity.clone());
            }
        }
        identities
    }

    /// Waits until `condition` holds, for at most [`DEFAULT_WAIT`] on tokio's clock. The condition
    /// is looked at after every change of the frontend. Cancel safe.
    ///
    /// # Errors
    /// [`FrontendError::TimedOut`], with what was seen by then.
    pub async fn wait_until(
        &self,
        mut condition: impl FnMut(&Self) -> bool,
    ) -> Result<(), FrontendError> {
        let until = Instant::now() + DEFAULT_WAIT;
        // The condition takes the lock itself, so it is asked between two looks at the state.
        loop {
            let before = self.changes();
            if condition(self) {
                return Ok(());
            }
            self.watch_state(until, |_| (self.changes() != before).then_some(()))
                .await
                .ok_or_else(|| self.timed_out("a condition"))?;
        }
    }

    pub(super) fn timed_out(&self, what: impl Into<String>) -> FrontendError {
        let mut counts = BTreeMap::new();
        let state = self.lock();
        for call in &state.calls {
            *counts.entry(call.rpc.clone()).or_insert(0_usize) += 1;
        }
        let seen = counts.iter().map(|(rpc, count)| format!("{count} {rpc}")).collect::<Vec<_>>();
        FrontendError::TimedOut {
            what: what.into(),
            waited: DEFAULT_WAIT,
            seen: if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") },
        }
    }

    fn calls_where(&self, wanted: impl Fn(&RecordedCall) -> bool) -> Vec<RecordedCall> {
        let state = self.lock();
        state.calls.iter().filter(|call| wanted(call)).cloned().collect()
    }
}
