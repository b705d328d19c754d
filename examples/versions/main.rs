//! Where does a workflow go on when a new version has become current?
//!
//! A pinned one (the default) stays on the version that it began on, and finishes on the code that it knows. One with
//! `versioning_behavior = "auto_upgrade"` moves to the current version with its next task, so that version's code
//! must be able to replay its history. The Rust SDK has one behavior for all workflows of a worker: for both
//! kinds, deploy the code as two functions with a task queue each.

use temporal_lambda_worker::{
    BoxError, LambdaVersion, LambdaWorkerConfig, LambdaWorkerError, WorkerFunction,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{SyncWorkflowContext, WorkflowContext, WorkflowResult};

/// Waits for an approval; returns the build IDs of the versions that it began and ended on.
#[workflow]
#[derive(Default)]
struct Approval {
    approved: bool,
}

#[workflow_methods]
impl Approval {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>) -> WorkflowResult<[String; 2]> {
        // In a replay this is the version of the task that ran here first.
        let began = build_id(context);
        context.wait_condition(|approval| approval.approved).await?;
        // What a later version adds must be known to be new, or a workflow that moves there fails at its replay:
        // `if context.patched("notify") { ... }`. A pinned workflow never needs that.
        Ok([began, build_id(context)])
    }

    #[signal]
    fn approve(&mut self, _context: &mut SyncWorkflowContext<Self>, _by: String) {
        self.approved = true;
    }
}

fn build_id(context: &WorkflowContext<Approval>) -> String {
    let version = context.current_deployment_version();
    version.map(|version| version.build_id).unwrap_or_default()
}

fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
    // In code it is `config.worker_options.deployment_options.default_versioning_behavior`; left to
    // `TEMPORAL_LAMBDA_VERSIONING_BEHAVIOR` here, so that one program serves both kinds.
    config.register_workflow::<Approval>()?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    // The number of the function's published version is the build ID, so that no constant has to be changed.
    let version = LambdaVersion::new().resolve()?;
    WorkerFunction::new(version, configure).task_queue("approvals").run().await
}
