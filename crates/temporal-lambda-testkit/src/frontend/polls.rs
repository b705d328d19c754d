//! Long polls: waiting for a task, and what ends the wait.

use super::{MockFrontend, Rpc, dispatch::Call, state::State};
use prost::Message;
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};
use temporalio_common::protos::temporal::api::enums::v1::TaskQueueKind;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PollActivityTaskQueueRequest, PollActivityTaskQueueResponse, PollNexusTaskQueueResponse,
    PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse, ShutdownWorkerRequest,
    ShutdownWorkerResponse,
};
use tokio::time::Instant;
use tonic::Status;

/// A poll that asks for this or less is refused. This and what follows was measured on server 1.32.0.
const SHORTEST: Duration = Duration::from_secs(2);
/// A poll without a task is answered this long before its caller's deadline.
const MARGIN: Duration = Duration::from_secs(1);
/// A poll without a task is answered after this long, whatever its caller's deadline.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// A long poll that waits for its answer, also one that hangs by a script.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OpenPoll {
    /// Which kind of task it waits for.
    pub rpc: Rpc,
    /// The (normal) task queue.
    pub task_queue: String,
    /// The sticky queue, if it polls that.
    pub sticky_queue: Option<String>,
    /// The worker's identity.
    pub identity: String,
    /// The worker's instance key.
    pub worker_instance_key: String,
    /// Since when it waits, on tokio's clock.
    pub since: Instant,
}

#[derive(Default)]
pub(crate) struct Polls {
    pub(crate) open: BTreeMap<u64, OpenPoll>,
    /// Instance keys of workers that said goodbye. Where a goodbye ends polls, a poll of theirs that
    /// was still on its way is answered at once.
    gone: HashSet<String>,
    /// How often each sticky queue was given up.
    given_up: BTreeMap<String, u64>,
}

impl Polls {
    fn times_given_up(&self, sticky_queue: Option<&String>) -> u64 {
        sticky_queue.and_then(|name| self.given_up.get(name)).copied().unwrap_or_default()
    }
}

/// Keeps a poll in the list for as long as its call is in flight, however that ends.
pub(crate) struct Listed<'a> {
    frontend: &'a MockFrontend,
    id: u64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.frontend.update(|state| state.polls.open.remove(&self.id));
    }
}

impl MockFrontend {
    /// The long polls that wait at this moment.
    pub fn open_polls(&self) -> Vec<OpenPoll> {
        self.lock().polls.open.values().cloned().collect()
    }

    pub(super) fn list_poll(&self, poll: OpenPoll) -> Listed<'_> {
        let id = self.update(|state| {
            let id = state.number();
            state.polls.open.insert(id, poll);
            id
        });
        Listed { frontend: self, id }
    }

    pub(super) async fn poll_workflow_tasks(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: PollWorkflowTaskQueueRequest = call.decode()?;
        let queue = request.task_queue.unwrap_or_default();
        let sticky = queue.kind() == TaskQueueKind::Sticky;
        let task: Option<PollWorkflowTaskQueueResponse> = self
            .long_poll(call, |state| {
                if sticky {
                    return None;
                }
                state.next_workflow_task(&request.namespace, &queue.name, &request.identity)
            })
            .await?;
        Ok(task.unwrap_or_default().encode_to_vec())
    }

    pub(super) async fn poll_activity_tasks(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: PollActivityTaskQueueRequest = call.decode()?;
        let queue = request.task_queue.unwrap_or_default();
        let task: Option<PollActivityTaskQueueResponse> = self
            .long_poll(call, |state| {
                state.next_activity_task(&request.namespace, &queue.name, &request.identity)
            })
            .await?;
        Ok(task.unwrap_or_default().encode_to_vec())
    }

    pub(super) async fn poll_nexus_tasks(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let task: Option<PollNexusTaskQueueResponse> = self.long_poll(call, |_| None).await?;
        Ok(task.unwrap_or_default().encode_to_vec())
    }

    /// Ends polls on the sticky queue that the worker gives up; and all polls of the worker, if the
    /// namespace is said to do so.
    pub(super) fn shut_down_worker(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: ShutdownWorkerRequest = call.decode()?;
        self.update(|state| {
            if state.settings.ends_polls_at_shutdown() && !request.worker_instance_key.is_empty() {
                state.polls.gone.insert(request.worker_instance_key);
            }
            if !request.sticky_task_queue.is_empty() {
                *state.polls.given_up.entry(request.sticky_task_queue).or_default() += 1;
            }
        });
        Ok(ShutdownWorkerResponse::default().encode_to_vec())
    }

    /// Waits for a task; `None` when the worker said goodbye or the poll has lasted long enough.
    async fn long_poll<T>(
        &self,
        call: &Call,
        mut next: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<Option<T>, Status> {
        let sticky_queue = call.told.sticky_queue.as_ref();
        let (longest, given_up) = {
            let state = self.lock();
            (state.settings.long_poll, state.polls.times_given_up(sticky_queue))
        };
        let until = end_of_poll(call.deadline, Instant::now(), longest)?;
        let task = self.watch_state(Some(until), |state| {
            let polls = &state.polls;
            if polls.gone.contains(&call.told.worker_instance_key)
                || polls.times_given_up(sticky_queue) > given_up
            {
                return Some(None);
            }
            next(state).map(Some)
        });
        Ok(task.await.flatten())
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
