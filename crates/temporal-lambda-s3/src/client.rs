//! Storage for a client: a data converter with a layer more, and an interceptor that knows which
//! workflow a call is for.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use temporalio_client::errors::{
    AsyncActivityError, WorkflowInteractionError, WorkflowQueryError, WorkflowStartError,
    WorkflowUpdateError, WorkflowUpdateWithStartError,
};
use temporalio_client::schedules::{ScheduleAction, ScheduleError};
use temporalio_client::{
    ActivityHeartbeatResponse, ActivityIdentifier, ClientInterceptor, ClientOptions,
    CompleteAsyncActivityInput, CreateScheduleInput, CreateScheduleOutput, FailAsyncActivityInput,
    HeartbeatAsyncActivityInput, Next, QueryWorkflowInput, QueryWorkflowOutput,
    ReportAsyncActivityCancellationInput, SignalWithStartWorkflowInput, SignalWorkflowInput,
    StartWorkflowInput, StartWorkflowOutput, StartWorkflowUpdateInput, StartWorkflowUpdateOutput,
    UpdateWithStartWorkflowInput, UpdateWithStartWorkflowOutput,
};

use crate::codec::{StorageLayer, Watch, data_converter};
use crate::driver::{
    StorageDriverActivityInfo, StorageDriverTargetInfo, StorageDriverWorkflowInfo,
};
use crate::storage::ExternalStorage;
use crate::target::{some_workflow, stored_for};

impl ExternalStorage {
    /// Gives clients with these options this storage: what they send is stored if it is large, and
    /// what they receive is fetched. The data converter that the options have stays in force; its
    /// codec encodes before anything is stored. Set the namespace and the data converter first.
    pub fn apply_to_client(&self, options: &mut ClientOptions) {
        apply(options, self, None);
    }
}

/// Makes clients and workers with these options refuse references to stored payloads with an error
/// that says so (marked `[TMPRL1105]`). Without it they hand the reference to the program's own
/// types, which fail to read it with an error about JSON.
pub fn refuse_references(options: &mut ClientOptions) {
    let otherwise_for = some_workflow(&options.namespace);
    let layer = StorageLayer { storage: None, otherwise_for, watch: None };
    options.data_converter = data_converter(&options.data_converter, layer);
}

/// Gives clients with these options `storage`. A worker's options are also those of the clients
/// that its activities use.
pub(crate) fn apply(
    options: &mut ClientOptions,
    storage: &ExternalStorage,
    watch: Option<Arc<dyn Watch>>,
) {
    let otherwise_for = some_workflow(&options.namespace);
    let layer = StorageLayer { storage: Some(storage.clone()), otherwise_for, watch };
    options.data_converter = data_converter(&options.data_converter, layer);
    let targets = Targets { namespace: options.namespace.clone() };
    options.client_interceptors.push(Arc::new(targets));
}

/// Tells the codec which execution a client's call is for.
struct Targets {
    namespace: String,
}

impl Targets {
    fn workflow(
        &self,
        id: &str,
        run_id: Option<&str>,
        workflow_type: Option<&str>,
    ) -> StorageDriverTargetInfo {
        let known = |value: Option<&str>| value.filter(|v| !v.is_empty()).map(str::to_owned);
        StorageDriverTargetInfo::Workflow(StorageDriverWorkflowInfo {
            namespace: self.namespace.clone(),
            id: known(Some(id)),
            run_id: known(run_id),
            workflow_type: known(workflow_type),
        })
    }

    fn activity(&self, identifier: &ActivityIdentifier) -> StorageDriverTargetInfo {
        match identifier {
            ActivityIdentifier::ByIdWorkflow { workflow_id, run_id, .. } => {
                self.workflow(workflow_id, Some(run_id), None)
            }
            ActivityIdentifier::ByIdStandalone { activity_id, run_id } => {
                StorageDriverTargetInfo::Activity(StorageDriverActivityInfo {
                    namespace: self.namespace.clone(),
                    id: Some(activity_id.clone()),
                    run_id: Some(run_id.clone()),
                    activity_type: None,
                })
            }
            // The server knows what the token stands for; nobody else does.
            _ => some_workflow(&self.namespace),
        }
    }
}

type Outcome<'a, T, E> = BoxFuture<'a, Result<T, E>>;

impl ClientInterceptor for Targets {
    fn start_workflow<'a>(
        &'a self,
        input: StartWorkflowInput,
        next: Next<'a, StartWorkflowInput, Outcome<'a, StartWorkflowOutput, WorkflowStartError>>,
    ) -> Outcome<'a, StartWorkflowOutput, WorkflowStartError> {
        let target = self.workflow(&input.options.workflow_id, None, Some(&input.workflow_type));
        Box::pin(stored_for(target, next.run(input)))
    }

    fn signal_with_start_workflow<'a>(
        &'a self,
        input: SignalWithStartWorkflowInput,
        next: Next<
            'a,
            SignalWithStartWorkflowInput,
            Outcome<'a, StartWorkflowOutput, WorkflowStartError>,
        >,
    ) -> Outcome<'a, StartWorkflowOutput, WorkflowStartError> {
        let target = self.workflow(&input.options.workflow_id, None, Some(&input.workflow_type));
        Box::pin(stored_for(target, next.run(input)))
    }

    fn signal_workflow<'a>(
        &'a self,
        input: SignalWorkflowInput,
        next: Next<'a, SignalWorkflowInput, Outcome<'a, (), WorkflowInteractionError>>,
    ) -> Outcome<'a, (), WorkflowInteractionError> {
        let target = self.workflow(&input.workflow_id, Some(&input.run_id), None);
        Box::pin(stored_for(target, next.run(input)))
    }

    fn query_workflow<'a>(
        &'a self,
        input: QueryWorkflowInput,
        next: Next<'a, QueryWorkflowInput, Outcome<'a, QueryWorkflowOutput, WorkflowQueryError>>,
    ) -> Outcome<'a, QueryWorkflowOutput, WorkflowQueryError> {
        let target = self.workflow(&input.workflow_id, Some(&input.run_id), None);
        Box::pin(stored_for(target, next.run(input)))
    }

    fn start_workflow_update<'a>(
        &'a self,
        input: StartWorkflowUpdateInput,
        next: Next<
            'a,
            StartWorkflowUpdateInput,
            Outcome<'a, StartWorkflowUpdateOutput, WorkflowUpdateError>,
        >,
    ) -> Outcome<'a, StartWorkflowUpdateOutput, WorkflowUpdateError> {
        let target = self.workflow(&input.workflow_id, Some(&input.run_id), None);
        Box::pin(stored_for(target, next.run(input)))
    }

    fn update_with_start_workflow<'a>(
        &'a self,
        input: UpdateWithStartWorkflowInput,
        next: Next<
            'a,
            UpdateWithStartWorkflowInput,
            Outcome<'a, UpdateWithStartWorkflowOutput, WorkflowUpdateWithStartError>,
        >,
    ) -> Outcome<'a, UpdateWithStartWorkflowOutput, WorkflowUpdateWithStartError> {
        let target = self.workflow(&input.options.workflow_id, None, Some(&input.workflow_type));
        Box::pin(stored_for(target, next.run(input)))
    }

    fn create_schedule<'a>(
        &'a self,
        input: CreateScheduleInput,
        next: Next<'a, CreateScheduleInput, Outcome<'a, CreateScheduleOutput, ScheduleError>>,
    ) -> Outcome<'a, CreateScheduleOutput, ScheduleError> {
        let target = match &input.options.action {
            ScheduleAction::StartWorkflow { workflow_type, workflow_id, .. } => {
                self.workflow(workflow_id, None, Some(workflow_type))
            }
            _ => some_workflow(&self.namespace),
        };
        Box::pin(stored_for(target, next.run(input)))
    }

    fn complete_async_activity<'a>(
        &'a self,
        input: CompleteAsyncActivityInput,
        next: Next<'a, CompleteAsyncActivityInput, Outcome<'a, (), AsyncActivityError>>,
    ) -> Outcome<'a, (), AsyncActivityError> {
        let target = self.activity(&input.identifier);
        Box::pin(stored_for(target, next.run(input)))
    }

    fn fail_async_activity<'a>(
        &'a self,
        input: FailAsyncActivityInput,
        next: Next<'a, FailAsyncActivityInput, Outcome<'a, (), AsyncActivityError>>,
    ) -> Outcome<'a, (), AsyncActivityError> {
        let target = self.activity(&input.identifier);
        Box::pin(stored_for(target, next.run(input)))
    }

    fn report_async_activity_cancellation<'a>(
        &'a self,
        input: ReportAsyncActivityCancellationInput,
        next: Next<'a, ReportAsyncActivityCancellationInput, Outcome<'a, (), AsyncActivityError>>,
    ) -> Outcome<'a, (), AsyncActivityError> {
        let target = self.activity(&input.identifier);
        Box::pin(stored_for(target, next.run(input)))
    }

    fn heartbeat_async_activity<'a>(
        &'a self,
        input: HeartbeatAsyncActivityInput,
        next: Next<
            'a,
            HeartbeatAsyncActivityInput,
            Outcome<'a, ActivityHeartbeatResponse, AsyncActivityError>,
        >,
    ) -> Outcome<'a, ActivityHeartbeatResponse, AsyncActivityError> {
        let target = self.activity(&input.identifier);
        Box::pin(stored_for(target, next.run(input)))
    }
}
