//! Interceptors around activities and workflow activations: they count both, and drop activities that outlast the
//! grace period.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use temporalio_common::protos::coresdk::workflow_activation::WorkflowActivation;
use temporalio_common::protos::coresdk::workflow_activation::workflow_activation_job::Variant;
use temporalio_common::protos::coresdk::workflow_completion::{
    WorkflowActivationCompletion, workflow_activation_completion::Status,
};
use temporalio_sdk::activities::ActivityError;
use temporalio_sdk::interceptors::{
    ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next,
    WorkerInterceptor,
};
use temporalio_sdk::{ApplicationFailure, SimplePlugin, WorkerOptions, WorkerPlugin as _};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::diagnosis::Diagnoses;
use super::in_flight::InFlight;
use crate::invocation::{Invocation, within};

/// The interceptors of one worker.
#[derive(Clone)]
pub(super) struct Interceptors {
    pub(super) in_flight: InFlight,
    /// Cancelled when activities are to be dropped.
    pub(super) abandon: CancellationToken,
    /// Cancelled when the worker is gone, so that no result is taken any more.
    pub(super) gone: CancellationToken,
    pub(super) invocation: Invocation,
    pub(super) running: TaskTracker,
    pub(super) diagnoses: Diagnoses,
}

impl Interceptors {
    /// Restores what plugins may not change in `settled` options, and puts these interceptors around all
    /// others: work of the user's interceptors is counted as in flight, and can be dropped.
    pub(super) fn last_word(
        &self,
        settled: &WorkerOptions,
    ) -> impl FnOnce(&mut WorkerOptions) + Send + use<> {
        let version = settled.deployment_options.version.clone();
        let grace = settled.graceful_shutdown_period;
        let ours = self.clone();
        move |options| {
            options.deployment_options.version = version;
            options.deployment_options.use_worker_versioning = true;
            options.max_eager_activity_reservations_per_workflow_task = 0;
            options.graceful_shutdown_period = grace;
            // The options themselves have no way to put an interceptor before others.
            let activities: Arc<dyn ActivityInboundInterceptor> = Arc::new(ours.clone());
            let workflows: Arc<dyn WorkerInterceptor> = Arc::new(ours);
            let outermost = SimplePlugin::builder("outermost")
                .activity_inbound_interceptors(move |others: Option<Vec<_>>| {
                    [vec![activities.clone()], others.unwrap_or_default()].concat()
                })
                .worker_interceptors(move |others: Option<Vec<_>>| {
                    [vec![workflows.clone()], others.unwrap_or_default()].concat()
                })
                .build();
            // It registers no workflow, which is all that could fail.
            let _ = outermost.configure_worker_options(options);
        }
    }
}

impl ActivityInboundInterceptor for Interceptors {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        async move {
            let _running = self.running.token();
            let info = input.activity_info();
            let local = info.is_local;
            let begun = self.diagnoses.activity_begins(info);
            let mut activity = self.in_flight.activity_begins(&info.task_token, local);
            let work = within(self.invocation.clone(), async { next.run(input).await });
            tokio::select! {
                biased;
                result = work => {
                    activity.outcome = match &result {
                        Ok(_) | Err(ActivityError::WillCompleteAsync) => |it| &mut it.completed,
                        Err(ActivityError::Cancelled { .. }) => |it| &mut it.cancelled,
                        Err(_) => |it| &mut it.failed,
                    };
                    drop(activity);
                    let is_cancelled = matches!(result, Err(ActivityError::Cancelled { .. }));
                    self.diagnoses.activity_ended(begun, is_cancelled);
                    result
                }
                () = self.abandon.cancelled() => {
                    activity.outcome = |it| &mut it.abandoned;
                    drop(activity);
                    self.diagnoses.activity_ended(begun, true);
                    if local {
                        self.in_flight.local_activity_is_abandoned();
                        // Whatever it returned would go into the workflow's history, as a result
                        // that the activity has not had. Without one, the workflow task is tried
                        // again, and with it the activity.
                        self.gone.cancelled().await;
                    }
                    // A failure that can be retried, so that the next invocation gets the activity at once. The server
                    // takes a cancellation only of an activity that it was asked to cancel.
                    let ended = anyhow::anyhow!("the Lambda invocation ended before the activity");
                    let failure = ApplicationFailure::builder(ended).type_name("WorkerShutdown".to_owned());
                    Err(ActivityError::application(failure.build()))
                }
            }
        }
        .boxed()
    }
}

#[async_trait(?Send)]
impl WorkerInterceptor for Interceptors {
    async fn on_workflow_activation(
        &self,
        activation: &WorkflowActivation,
    ) -> Result<(), anyhow::Error> {
        let is_evicted = activation
            .jobs
            .iter()
            .any(|job| matches!(job.variant, Some(Variant::RemoveFromCache(_))));
        if is_evicted {
            self.in_flight.workflow_is_evicted(&activation.run_id);
        } else {
            self.in_flight.workflow_task_is_seen(&activation.run_id);
        }
        Ok(())
    }

    async fn on_workflow_activation_completion(&self, completion: &WorkflowActivationCompletion) {
        if let Some(Status::Failed(failed)) = &completion.status {
            let failure = failed.failure.as_ref().map_or("", |failure| &failure.message);
            self.in_flight.workflow_task_failed(&completion.run_id, failure);
        }
    }
}
