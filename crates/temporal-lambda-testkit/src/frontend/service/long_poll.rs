//! Long polls: waiting for a task, and what ends the wait.

use std::time::Duration;

use prost::Message;
use temporalio_common::protos::temporal::api::{
    enums::v1::TaskQueueKind,
    workflowservice::v1::{
        PollActivityTaskQueueRequest, PollActivityTaskQueueResponse, PollNexusTaskQueueResponse,
        PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse, ShutdownWorkerRequest,
        ShutdownWorkerResponse,
    },
};
use tokio::time::Instant;
use tonic::Status;

use super::Call;
use crate::frontend::{mock::MockFrontend, state::State};

/// A poll that asks for this or less is refused. This and what follows was measured on server 1.32.0.
const SHORTEST: Duration = Duration::from_secs(2);
/// A poll without a task is answered this long before its caller's deadline.
const MARGIN: Duration = Duration::from_secs(1);

impl MockFrontend {
    pub(super) async fn poll_workflow_tasks(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: PollWorkflowTaskQueueRequest = call.decode()?;
        let queue = request.task_queue.unwrap_or_default();
        let sticky = queue.kind() == TaskQueueKind::Sticky;
        self.long_poll::<PollWorkflowTaskQueueResponse>(call, |state| {
            if sticky {
                return None;
            }
            let (namespace, identity) = (&request.namespace, &request.identity);
            state.engine.next_workflow_task(namespace, &queue.name, identity)
        })
        .await
    }

    pub(super) async fn poll_activity_tasks(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: PollActivityTaskQueueRequest = call.decode()?;
        let queue = request.task_queue.unwrap_or_default();
        self.long_poll::<PollActivityTaskQueueResponse>(call, |state| {
            state.engine.next_activity_task(&request.namespace, &queue.name)
        })
        .await
    }

    pub(super) async fn poll_nexus_tasks(&self, call: &Call) -> Result<Vec<u8>, Status> {
        self.long_poll::<PollNexusTaskQueueResponse>(call, |_| None).await
    }

    /// Ends polls on the sticky queue that the worker gives up; and all polls of the worker, where the
    /// namespace is set to do so.
    pub(super) fn shut_down_worker(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: ShutdownWorkerRequest = call.decode()?;
        self.update(|state| {
            if state.settings.ends_polls {
                state.polls.shut_down(request.worker_instance_key);
            }
            state.polls.give_up(request.sticky_task_queue);
        });
        Ok(ShutdownWorkerResponse::default().encode_to_vec())
    }

    /// Waits for a task. The answer is empty when the worker shut down or the poll has lasted long
    /// enough.
    async fn long_poll<T: Message + Default>(
        &self,
        call: &Call,
        mut next: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<Vec<u8>, Status> {
        let sticky_queue = call.recorded.sticky_queue.as_ref();
        let (longest, given_up) = {
            let state = self.lock();
            (state.settings.longest_poll, state.polls.times_given_up(sticky_queue))
        };
        let until = end_of_poll(call.deadline, Instant::now(), longest)?;
        let task = self.watch_state(until, |state| {
            let polls = &state.polls;
            if polls.is_shut_down(&call.recorded.worker_instance_key)
                || polls.times_given_up(sticky_queue) > given_up
            {
                return Some(T::default());
            }
            next(state)
        });
        Ok(task.await.unwrap_or_default().encode_to_vec())
    }
}

/// When a poll ends that begins `now` and finds no task.
fn end_of_poll(
    deadline: Option<Instant>,
    now: Instant,
    longest: Duration,
) -> Result<Instant, Status> {
    let deadline =
        deadline.ok_or_else(|| Status::invalid_argument("Context timeout is not set."))?;
    if deadline <= now + SHORTEST {
        return Err(Status::failed_precondition("Context timeout is too short."));
    }
    Ok((deadline - MARGIN).min(now + longest))
}
