//! Workflows and activities from the test's side: starting them and seeing how they end.

use temporalio_common::protos::temporal::api::{common::v1::Payloads, history::v1::HistoryEvent};
use tokio::time::Instant;

use super::{
    engine::{Activity, Run},
    error::FrontendError,
    mock::MockFrontend,
    model::{ActivityStart, ActivityStatus, WorkflowStart, WorkflowStatus},
    recorder::DEFAULT_WAIT,
    state::State,
};

impl MockFrontend {
    /// Starts a workflow: its first task goes to the next worker that polls its task queue.
    /// Returns the run ID. An earlier run of the same workflow ID is forgotten, running or not.
    pub fn start_workflow(&self, start: WorkflowStart) -> String {
        self.update(|state| state.engine.start_workflow(start))
    }

    /// How a workflow stands now.
    ///
    /// # Errors
    /// [`FrontendError::UnknownWorkflow`].
    pub fn workflow_status(&self, workflow_id: &str) -> Result<WorkflowStatus, FrontendError> {
        let state = self.lock();
        Ok(run(&state, workflow_id)?.status.clone())
    }

    /// A workflow's history so far.
    ///
    /// # Errors
    /// [`FrontendError::UnknownWorkflow`].
    pub fn workflow_history(&self, workflow_id: &str) -> Result<Vec<HistoryEvent>, FrontendError> {
        let state = self.lock();
        Ok(run(&state, workflow_id)?.history.clone())
    }

    /// Waits until a workflow is closed, for at most [`DEFAULT_WAIT`]; never
    /// [`WorkflowStatus::Running`]. Cancel safe.
    ///
    /// # Errors
    /// [`FrontendError::UnknownWorkflow`], [`FrontendError::TimedOut`].
    pub async fn workflow_result(
        &self,
        workflow_id: &str,
    ) -> Result<WorkflowStatus, FrontendError> {
        let status = self
            .watch_state(Instant::now() + DEFAULT_WAIT, |state| match run(state, workflow_id) {
                Ok(run) if run.status == WorkflowStatus::Running => None,
                Ok(run) => Some(Ok(run.status.clone())),
                Err(error) => Some(Err(error)),
            })
            .await;
        match status {
            Some(status) => status,
            None => Err(self.timed_out(format!("workflow {workflow_id:?} to close"))),
        }
    }

    /// Hands an activity without a workflow to the next worker that polls its task queue.
    ///
    /// The other methods know it by its activity ID, and an activity of a workflow by
    /// `<workflow id>/<activity id>`; the SDK numbers a workflow's activities from `1`.
    pub fn schedule_activity(&self, start: ActivityStart) {
        self.update(|state| state.engine.schedule_activity(start));
    }

    /// Cancels an activity: one that no worker has yet is canceled at once, the others are told in
    /// the answer to their next heartbeat.
    ///
    /// # Errors
    /// [`FrontendError::UnknownActivity`].
    pub fn cancel_activity(&self, id: &str) -> Result<(), FrontendError> {
        self.update(|state| {
            activity(state, id)?;
            state.engine.request_cancel(id);
            Ok(())
        })
    }

    /// How an activity stands now.
    ///
    /// # Errors
    /// [`FrontendError::UnknownActivity`].
    pub fn activity_status(&self, id: &str) -> Result<ActivityStatus, FrontendError> {
        Ok(activity(&self.lock(), id)?.status.clone())
    }

    /// How many times an activity was handed to a worker.
    ///
    /// # Errors
    /// [`FrontendError::UnknownActivity`].
    pub fn activity_attempts(&self, id: &str) -> Result<u32, FrontendError> {
        Ok(activity(&self.lock(), id)?.attempt.try_into().unwrap_or(0))
    }

    /// The details of an activity's heartbeats, oldest first. An SDK throttles heartbeats.
    ///
    /// # Errors
    /// [`FrontendError::UnknownActivity`].
    pub fn activity_heartbeats(&self, id: &str) -> Result<Vec<Payloads>, FrontendError> {
        Ok(activity(&self.lock(), id)?.heartbeats.clone())
    }

    /// Waits until an activity is closed, for at most [`DEFAULT_WAIT`]. Cancel safe.
    ///
    /// # Errors
    /// [`FrontendError::UnknownActivity`], [`FrontendError::TimedOut`].
    pub async fn activity_result(&self, id: &str) -> Result<ActivityStatus, FrontendError> {
        let status = self
            .watch_state(Instant::now() + DEFAULT_WAIT, |state| match activity(state, id) {
                Ok(activity) => activity.status.is_closed().then(|| Ok(activity.status.clone())),
                Err(error) => Some(Err(error)),
            })
            .await;
        match status {
            Some(status) => status,
            None => Err(self.timed_out(format!("activity {id:?} to close"))),
        }
    }
}

fn run<'a>(state: &'a State, workflow_id: &str) -> Result<&'a Run, FrontendError> {
    let run = state.engine.run(workflow_id);
    run.ok_or_else(|| FrontendError::UnknownWorkflow(workflow_id.to_owned()))
}

fn activity<'a>(state: &'a State, name: &str) -> Result<&'a Activity, FrontendError> {
    let activity = state.engine.activity(name);
    activity.ok_or_else(|| FrontendError::UnknownActivity(name.to_owned()))
}
