//! What is in flight: counts tasks, says when the worker is busy and when it is quiet, and can
//! drop activities that do not react to their cancellation.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use temporalio_common::protos::coresdk::workflow_activation::WorkflowActivation;
use temporalio_common::protos::coresdk::workflow_activation::workflow_activation_job::Variant;
use temporalio_common::protos::coresdk::workflow_commands::workflow_command::Variant as Command;
use temporalio_common::protos::coresdk::workflow_completion::{
    WorkflowActivationCompletion, workflow_activation_completion::Status,
};
use temporalio_sdk::activities::ActivityError;
use temporalio_sdk::interceptors::{
    ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next,
    WorkerInterceptor,
};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Ports;
use super::fit::Fit;
use crate::error::Fault;
use crate::invocation::{Invocation, within};
use crate::lifecycle::Input;
use crate::report::{Counts, TaskCounts};

/// The tasks of one worker.
#[derive(Clone)]
pub(crate) struct Flight {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    inputs: UnboundedSender<Input<Fault>>,
    abandon: CancellationToken,
    invocation: Invocation,
    running: TaskTracker,
    fit: Fit,
}

#[derive(Default)]
struct State {
    activities: usize,
    /// Runs with an activation under way.
    activations: HashSet<String>,
    /// How often the payload codec is at work.
    codec_work: usize,
    /// The open workflows that this worker had tasks of, by run ID. The server keeps them sticky
    /// to it, in its cache or not.
    had: HashMap<String, Had>,
    counts: TaskCounts,
}

/// A workflow that this worker had a task of.
struct Had {
    workflow: String,
    sticky: bool,
}

impl State {
    fn in_flight(&self) -> usize {
        self.activities + self.activations.len() + self.codec_work
    }
}

impl Flight {
    pub(crate) fn new(ports: &Ports, fit: Fit) -> Self {
        let state = Mutex::default();
        let (inputs, running) = (ports.inputs.clone(), ports.running.clone());
        let (abandon, invocation) = (CancellationToken::new(), ports.invocation.clone());
        let shared = Arc::new(Shared { state, inputs, abandon, invocation, running, fit });
        // The codec may outlive the worker.
        let this = Arc::downgrade(&shared);
        shared.invocation.codec_work().listen(move |begins| {
            if let Some(shared) = this.upgrade() {
                Self { shared }.change(|state| {
                    let work = &mut state.codec_work;
                    *work = if begins { *work + 1 } else { work.saturating_sub(1) };
                });
            }
        });
        Self { shared }
    }

    /// Drops the activities that are in flight; Temporal hears that they failed and retries them.
    pub(crate) fn abandon_activities(&self) {
        self.shared.abandon.cancel();
        self.shared.invocation.codec_work().cut_short_now();
    }

    /// Where the worker says what happens.
    pub(crate) fn inputs(&self) -> &UnboundedSender<Input<Fault>> {
        &self.shared.inputs
    }

    pub(crate) fn counts(&self) -> TaskCounts {
        self.lock().counts
    }

    /// Whether any activity is in flight, remote or local.
    pub(crate) fn has_activities(&self) -> bool {
        self.lock().activities > 0
    }

    /// The workflows that are sticky to this worker: workflow ID and run ID. Each is told once,
    /// until the worker has its next task.
    pub(crate) fn take_sticky(&self) -> Vec<(String, String)> {
        let mut state = self.lock();
        let taken = state.had.iter_mut().filter_map(|(run, had)| {
            std::mem::take(&mut had.sticky).then(|| (had.workflow.clone(), run.clone()))
        });
        taken.collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and says so if that made the worker busy or quiet. The message goes out
    /// under the lock, so that messages come in the order of the changes.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        let before = state.in_flight();
        change(&mut state);
        let input = match (before, state.in_flight()) {
            (0, 1..) => Input::Busy,
            (1.., 0) => Input::Quiet,
            _ => return,
        };
        // The driver has gone if nobody listens; then nobody needs to know.
        let _ = self.shared.inputs.send(input);
    }
}

/// An activity in flight; it ends when this is dropped, even by a panic.
struct Aboard {
    flight: Flight,
    local: bool,
    outcome: fn(&mut Counts) -> &mut u64,
    _running: TaskTrackerToken,
}

impl Aboard {
    fn new(flight: &Flight, local: bool) -> Self {
        flight.change(|state| state.activities += 1);
        let running = flight.shared.running.token();
        Self { flight: flight.clone(), local, outcome: |it| &mut it.failed, _running: running }
    }
}

impl Drop for Aboard {
    fn drop(&mut self) {
        self.flight.change(|state| {
            state.activities -= 1;
            let counts = &mut state.counts;
            let kind = if self.local { &mut counts.local_activity } else { &mut counts.activity };
            *(self.outcome)(kind) += 1;
        });
    }
}

impl ActivityInboundInterceptor for Flight {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        async move {
            #[cfg(feature = "otel")]
            crate::otel::mark_activity(&self.shared.invocation);
            self.shared.fit.saw(input.activity_info());
            let mut aboard = Aboard::new(self, input.activity_info().is_local);
            let work = within(self.shared.invocation.clone(), async { next.run(input).await });
            tokio::select! {
                biased;
                result = work => {
                    aboard.outcome = match &result {
                        Ok(_) | Err(ActivityError::WillCompleteAsync) => |it| &mut it.completed,
                        Err(ActivityError::Cancelled { .. }) => |it| &mut it.cancelled,
                        Err(_) => |it| &mut it.failed,
                    };
                    result
                }
                () = self.shared.abandon.cancelled() => {
                    aboard.outcome = |it| &mut it.abandoned;
                    // Reported as cancelled, which the SDK turns into a retryable worker-shutdown
                    // failure: the next invocation has it at once.
                    Err(ActivityError::cancelled())
                }
            }
        }
        .boxed()
    }
}

#[async_trait(?Send)]
impl WorkerInterceptor for Flight {
    async fn on_workflow_activation(
        &self,
        activation: &WorkflowActivation,
    ) -> Result<(), anyhow::Error> {
        let run = &activation.run_id;
        let mut is_work = false;
        let mut started = None;
        for job in &activation.jobs {
            match &job.variant {
                Some(Variant::RemoveFromCache(_)) | None => {}
                Some(Variant::InitializeWorkflow(init)) => {
                    is_work = true;
                    started = Some(init.workflow_id.clone());
                }
                Some(_) => is_work = true,
            }
        }
        self.change(|state| {
            if let Some(workflow) = started {
                state.had.insert(run.clone(), Had { workflow, sticky: true });
            }
            if is_work {
                if let Some(had) = state.had.get_mut(run) {
                    had.sticky = true;
                }
                state.activations.insert(run.clone());
            }
        });
        Ok(())
    }

    async fn on_workflow_activation_completion(&self, completion: &WorkflowActivationCompletion) {
        let failed = matches!(completion.status, Some(Status::Failed(_)));
        let closes = closes(completion);
        self.change(|state| {
            if closes {
                state.had.remove(&completion.run_id);
            }
            if state.activations.remove(&completion.run_id) {
                let counts = &mut state.counts.workflow;
                *(if failed { &mut counts.failed } else { &mut counts.completed }) += 1;
            }
        });
    }
}

/// Whether the workflow ends with this completion. Its run does: one that continues as new goes on
/// under another run ID.
fn closes(completion: &WorkflowActivationCompletion) -> bool {
    let Some(Status::Successful(success)) = &completion.status else { return false };
    success.commands.iter().any(|command| {
        matches!(
            command.variant,
            Some(
                Command::CompleteWorkflowExecution(_)
                    | Command::FailWorkflowExecution(_)
                    | Command::CancelWorkflowExecution(_)
                    | Command::ContinueAsNewWorkflowExecution(_)
            )
        )
    })
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, watch};

    use super::*;

    #[tokio::test]
    async fn a_codec_at_work_makes_the_worker_busy_and_then_quiet() {
        let (inputs, mut heard) = mpsc::unbounded_channel();
        let (_, next_stop) = watch::channel(None);
        let invocation = Invocation::arriving(&lambda_runtime::Context::default(), true);
        let work = invocation.codec_work();
        let running = TaskTracker::new();
        let ports = Ports { inputs, running, invocation, stop: None, next_stop };
        let flight = Flight::new(&ports, Fit::default());
        let (first, second) = (work.begin(), work.begin());
        assert!(matches!(heard.try_recv(), Ok(Input::Busy)));
        drop(first);
        assert!(heard.try_recv().is_err(), "the second is still at work");
        drop(second);
        assert!(matches!(heard.try_recv(), Ok(Input::Quiet)));
        // At the end of the grace period it hears so, and once the worker has gone it harms nobody.
        flight.abandon_activities();
        work.cut_short().await;
        drop(flight);
        drop(work.begin());
        assert!(heard.try_recv().is_err());
    }
}
