//! Storage for a worker in Lambda: as for a client, with the activities' targets and within the
//! invocation's time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use temporal_lambda_worker::{CodecWork, CodecWorkGuard, LambdaWorkerConfig};
use temporalio_sdk::activities::ActivityInfo;
use temporalio_sdk::interceptors::{
    ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next,
};
use tokio::time::Instant;

use crate::client::apply;
use crate::codec::{UnderWay, Watch};
use crate::driver::{
    StorageDriverActivityInfo, StorageDriverTargetInfo, StorageDriverWorkflowInfo,
};
use crate::storage::ExternalStorage;
use crate::target::{note_for_this_task, stored_for};

impl ExternalStorage {
    /// Gives the worker, and the clients that its activities use, this storage. Call it in
    /// `configure`, after the namespace, the data converter, the grace period and the shutdown
    /// deadline buffer are set.
    ///
    /// A transfer counts as work: the worker is not idle meanwhile. Transfers end with the grace
    /// period at the latest: until then a task that could not get its payload is told to the
    /// server, which hands it out again at once.
    pub fn apply_to_worker(&self, config: &mut LambdaWorkerConfig) {
        let deadline = transfer_time(config).and_then(|time| Instant::now().checked_add(time));
        let watch = InvocationWatch { work: config.invocation.codec_work(), deadline };
        apply(&mut config.client_options, self, Some(Arc::new(watch)));
        config.worker_options.activity_inbound_interceptor(Targets);
    }
}

struct InvocationWatch {
    work: CodecWork,
    deadline: Option<Instant>,
}

impl Watch for InvocationWatch {
    fn begin(&self) -> Box<dyn UnderWay> {
        Box::new(self.work.begin())
    }

    fn ended(&self) -> BoxFuture<'static, ()> {
        let (work, deadline) = (self.work.clone(), self.deadline);
        async move {
            match deadline {
                Some(deadline) => {
                    let _ = tokio::time::timeout_at(deadline, work.cut_short()).await;
                }
                None => work.cut_short().await,
            }
        }
        .boxed()
    }
}

impl UnderWay for CodecWorkGuard {
    fn failed(self: Box<Self>, words: &str) {
        CodecWorkGuard::failed(*self, words);
    }
}

/// How long transfers may go on: to the end of the grace period, which begins at the stop time.
fn transfer_time(config: &LambdaWorkerConfig) -> Option<Duration> {
    let remaining = config.invocation.remaining_time()?;
    let grace = config.worker_options.graceful_shutdown_period.unwrap_or_default();
    let after = config.effective_shutdown_deadline_buffer().saturating_sub(grace);
    Some(remaining.saturating_sub(after))
}

/// Tells the codec which execution an activity is for.
struct Targets;

impl ActivityInboundInterceptor for Targets {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        let target = target_of(input.activity_info());
        // The result is encoded after the interceptors, in the same task.
        note_for_this_task(target.clone());
        Box::pin(stored_for(target, next.run(input)))
    }
}

fn target_of(info: &ActivityInfo) -> StorageDriverTargetInfo {
    match &info.workflow_id {
        Some(id) => StorageDriverTargetInfo::Workflow(StorageDriverWorkflowInfo {
            namespace: info.namespace.clone(),
            id: Some(id.clone()),
            run_id: info.workflow_run_id.clone(),
            workflow_type: info.workflow_type.clone(),
        }),
        None => StorageDriverTargetInfo::Activity(StorageDriverActivityInfo {
            namespace: info.namespace.clone(),
            id: Some(info.activity_id.clone()),
            run_id: info.activity_run_id.clone(),
            activity_type: Some(info.activity_type.clone()),
        }),
    }
}
