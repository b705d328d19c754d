//! Calls of the worker, forwarded to the connection as they are.
//!
//! The SDK's connection offers no way to send bytes, so each call is read as what it is and
//! written again. Whatever a worker or the client of an activity may call stands in the lists at
//! the end.

use std::time::Duration;

use prost::Message;
use temporalio_client::Connection;
use temporalio_client::callback_based::{GrpcRequest, GrpcSuccessResponse};
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::request_extensions::{IsWorkerTaskLongPoll, NoRetryOnMatching};
use temporalio_client::tonic::metadata::MetadataMap;
use temporalio_client::tonic::{Code, Request, Response, Status};

use crate::temporal::connect::chain;

const WORKFLOW_SERVICE: &str = "temporal.api.workflowservice.v1.WorkflowService";
const OPERATOR_SERVICE: &str = "temporal.api.operatorservice.v1.OperatorService";

/// What the SDK marks an error with that was not retried because the caller wanted it so.
const NOT_RETRIED: &str = "short-circuit";

/// What a header may say that is between the SDK and its transport; each connection says its own.
const OF_THE_TRANSPORT: [&str; 6] =
    ["content-type", "te", "user-agent", "grpc-encoding", "grpc-accept-encoding", "grpc-status"];

pub(super) type Answer = Result<GrpcSuccessResponse, Status>;

/// Makes the call on `connection`. Retries are up to the caller.
pub(super) async fn forward(connection: &Connection, call: GrpcRequest) -> Answer {
    match call.service.as_str() {
        WORKFLOW_SERVICE => workflow_service(connection, call).await,
        OPERATOR_SERVICE => operator_service(connection, call).await,
        _ => Err(not_offered(&call)),
    }
}

/// Makes a call that waits for a task, for `time` at most. It counts among the connection's long
/// polls.
pub(super) async fn poll(connection: &Connection, call: GrpcRequest, time: Duration) -> Answer {
    let mut connection = connection.clone();
    match call.rpc.as_str() {
        "PollWorkflowTaskQueue" => {
            written(connection.poll_workflow_task_queue(long(read(call)?, time)).await)
        }
        "PollActivityTaskQueue" => {
            written(connection.poll_activity_task_queue(long(read(call)?, time)).await)
        }
        "PollNexusTaskQueue" => {
            written(connection.poll_nexus_task_queue(long(read(call)?, time)).await)
        }
        _ => Err(not_offered(&call)),
    }
}

/// A worker's long poll, tried once.
fn long<T>(mut request: Request<T>, time: Duration) -> Request<T> {
    request.set_timeout(time);
    request.extensions_mut().insert(IsWorkerTaskLongPoll);
    request.extensions_mut().insert(NoRetryOnMatching { predicate: |_| true });
    request
}

fn read<T: Message + Default>(call: GrpcRequest) -> Result<Request<T>, Status> {
    let message = T::decode(call.proto)
        .map_err(|error| Status::internal(format!("{} cannot be read: {error}", call.rpc)))?;
    let mut request = Request::new(message);
    *request.metadata_mut() = own(MetadataMap::from_headers(call.headers));
    Ok(request)
}

fn written<T: Message>(answer: Result<Response<T>, Status>) -> Answer {
    match answer {
        Ok(response) => {
            let (metadata, message, _) = response.into_parts();
            let headers = own(metadata).into_headers();
            Ok(GrpcSuccessResponse { headers, proto: message.encode_to_vec() })
        }
        Err(status) => Err(tellable(status)),
    }
}

fn own(mut metadata: MetadataMap) -> MetadataMap {
    for name in OF_THE_TRANSPORT {
        metadata.remove(name);
    }
    metadata
}

/// The status as the caller may have it. Causes do not come through; they are put into words. One
/// that has any was made on this side of the network, and may be tried again.
fn tellable(mut status: Status) -> Status {
    status.metadata_mut().remove(NOT_RETRIED);
    match std::error::Error::source(&status) {
        Some(cause) if status.code() == Code::Unknown || status.code() == Code::Unavailable => {
            Status::unavailable(format!("{}: {}", status.message(), chain(cause)))
        }
        _ => status,
    }
}

fn not_offered(call: &GrpcRequest) -> Status {
    Status::unimplemented(format!(
        "the client of an activity does not reach {}/{}: use a connection of your own for it",
        call.service, call.rpc
    ))
}

macro_rules! forwarded {
    ($service:ident: $($rpc:ident => $method:ident,)+) => {
        async fn $service(connection: &Connection, call: GrpcRequest) -> Answer {
            let mut service = connection.$service();
            match call.rpc.as_str() {
                $(stringify!($rpc) => written(service.$method(read(call)?).await),)+
                _ => Err(not_offered(&call)),
            }
        }
    };
}

forwarded! {
    workflow_service:
    CountActivityExecutions => count_activity_executions,
    CountNexusOperationExecutions => count_nexus_operation_executions,
    CountSchedules => count_schedules,
    CountWorkers => count_workers,
    CountWorkflowExecutions => count_workflow_executions,
    CreateSchedule => create_schedule,
    CreateWorkerDeployment => create_worker_deployment,
    CreateWorkerDeploymentVersion => create_worker_deployment_version,
    CreateWorkflowRule => create_workflow_rule,
    DeleteActivityExecution => delete_activity_execution,
    DeleteNexusOperationExecution => delete_nexus_operation_execution,
    DeleteSchedule => delete_schedule,
    DeleteWorkerDeployment => delete_worker_deployment,
    DeleteWorkerDeploymentVersion => delete_worker_deployment_version,
    DeleteWorkflowExecution => delete_workflow_execution,
    DeleteWorkflowRule => delete_workflow_rule,
    DeprecateNamespace => deprecate_namespace,
    DescribeActivityExecution => describe_activity_execution,
    DescribeBatchOperation => describe_batch_operation,
    DescribeDeployment => describe_deployment,
    DescribeNamespace => describe_namespace,
    DescribeNexusOperationExecution => describe_nexus_operation_execution,
    DescribeSchedule => describe_schedule,
    DescribeTaskQueue => describe_task_queue,
    DescribeWorker => describe_worker,
    DescribeWorkerDeployment => describe_worker_deployment,
    DescribeWorkerDeploymentVersion => describe_worker_deployment_version,
    DescribeWorkflowExecution => describe_workflow_execution,
    DescribeWorkflowRule => describe_workflow_rule,
    ExecuteMultiOperation => execute_multi_operation,
    FetchWorkerConfig => fetch_worker_config,
    GetClusterInfo => get_cluster_info,
    GetCurrentDeployment => get_current_deployment,
    GetDeploymentReachability => get_deployment_reachability,
    GetSearchAttributes => get_search_attributes,
    GetSystemInfo => get_system_info,
    GetWorkerBuildIdCompatibility => get_worker_build_id_compatibility,
    GetWorkerTaskReachability => get_worker_task_reachability,
    GetWorkerVersioningRules => get_worker_versioning_rules,
    GetWorkflowExecutionHistory => get_workflow_execution_history,
    GetWorkflowExecutionHistoryReverse => get_workflow_execution_history_reverse,
    ListActivityExecutions => list_activity_executions,
    ListArchivedWorkflowExecutions => list_archived_workflow_executions,
    ListBatchOperations => list_batch_operations,
    ListClosedWorkflowExecutions => list_closed_workflow_executions,
    ListDeployments => list_deployments,
    ListNamespaces => list_namespaces,
    ListNexusOperationExecutions => list_nexus_operation_executions,
    ListOpenWorkflowExecutions => list_open_workflow_executions,
    ListScheduleMatchingTimes => list_schedule_matching_times,
    ListSchedules => list_schedules,
    ListTaskQueuePartitions => list_task_queue_partitions,
    ListWorkerDeployments => list_worker_deployments,
    ListWorkers => list_workers,
    ListWorkflowExecutions => list_workflow_executions,
    ListWorkflowRules => list_workflow_rules,
    PatchSchedule => patch_schedule,
    PauseActivity => pause_activity,
    PauseActivityExecution => pause_activity_execution,
    PauseWorkflowExecution => pause_workflow_execution,
    PollActivityExecution => poll_activity_execution,
    PollNexusOperationExecution => poll_nexus_operation_execution,
    PollWorkflowExecutionTimeSkipping => poll_workflow_execution_time_skipping,
    PollWorkflowExecutionUpdate => poll_workflow_execution_update,
    QueryWorkflow => query_workflow,
    RecordActivityTaskHeartbeat => record_activity_task_heartbeat,
    RecordActivityTaskHeartbeatById => record_activity_task_heartbeat_by_id,
    RecordWorkerHeartbeat => record_worker_heartbeat,
    RegisterNamespace => register_namespace,
    RequestCancelActivityExecution => request_cancel_activity_execution,
    RequestCancelNexusOperationExecution => request_cancel_nexus_operation_execution,
    RequestCancelWorkflowExecution => request_cancel_workflow_execution,
    ResetActivity => reset_activity,
    ResetActivityExecution => reset_activity_execution,
    ResetStickyTaskQueue => reset_sticky_task_queue,
    ResetWorkflowExecution => reset_workflow_execution,
    RespondActivityTaskCanceled => respond_activity_task_canceled,
    RespondActivityTaskCanceledById => respond_activity_task_canceled_by_id,
    RespondActivityTaskCompleted => respond_activity_task_completed,
    RespondActivityTaskCompletedById => respond_activity_task_completed_by_id,
    RespondActivityTaskFailed => respond_activity_task_failed,
    RespondActivityTaskFailedById => respond_activity_task_failed_by_id,
    RespondNexusTaskCompleted => respond_nexus_task_completed,
    RespondNexusTaskFailed => respond_nexus_task_failed,
    RespondQueryTaskCompleted => respond_query_task_completed,
    RespondWorkflowTaskCompleted => respond_workflow_task_completed,
    RespondWorkflowTaskFailed => respond_workflow_task_failed,
    ScanWorkflowExecutions => scan_workflow_executions,
    SetCurrentDeployment => set_current_deployment,
    SetWorkerDeploymentCurrentVersion => set_worker_deployment_current_version,
    SetWorkerDeploymentManager => set_worker_deployment_manager,
    SetWorkerDeploymentRampingVersion => set_worker_deployment_ramping_version,
    ShutdownWorker => shutdown_worker,
    SignalWithStartWorkflowExecution => signal_with_start_workflow_execution,
    SignalWorkflowExecution => signal_workflow_execution,
    StartActivityExecution => start_activity_execution,
    StartBatchOperation => start_batch_operation,
    StartNexusOperationExecution => start_nexus_operation_execution,
    StartWorkflowExecution => start_workflow_execution,
    StopBatchOperation => stop_batch_operation,
    TerminateActivityExecution => terminate_activity_execution,
    TerminateNexusOperationExecution => terminate_nexus_operation_execution,
    TerminateWorkflowExecution => terminate_workflow_execution,
    TriggerWorkflowRule => trigger_workflow_rule,
    UnpauseActivity => unpause_activity,
    UnpauseActivityExecution => unpause_activity_execution,
    UnpauseWorkflowExecution => unpause_workflow_execution,
    UpdateActivityExecutionOptions => update_activity_execution_options,
    UpdateActivityOptions => update_activity_options,
    UpdateNamespace => update_namespace,
    UpdateSchedule => update_schedule,
    UpdateTaskQueueConfig => update_task_queue_config,
    UpdateWorkerBuildIdCompatibility => update_worker_build_id_compatibility,
    UpdateWorkerConfig => update_worker_config,
    UpdateWorkerDeploymentVersionComputeConfig => update_worker_deployment_version_compute_config,
    UpdateWorkerDeploymentVersionMetadata => update_worker_deployment_version_metadata,
    UpdateWorkerVersioningRules => update_worker_versioning_rules,
    UpdateWorkflowExecution => update_workflow_execution,
    UpdateWorkflowExecutionOptions => update_workflow_execution_options,
    ValidateWorkerDeploymentVersionComputeConfig => validate_worker_deployment_version_compute_config,
}

forwarded! {
    operator_service:
    AddOrUpdateRemoteCluster => add_or_update_remote_cluster,
    AddSearchAttributes => add_search_attributes,
    CreateNexusEndpoint => create_nexus_endpoint,
    DeleteNamespace => delete_namespace,
    DeleteNexusEndpoint => delete_nexus_endpoint,
    GetNexusEndpoint => get_nexus_endpoint,
    ListClusters => list_clusters,
    ListNexusEndpoints => list_nexus_endpoints,
    ListSearchAttributes => list_search_attributes,
    RemoveRemoteCluster => remove_remote_cluster,
    RemoveSearchAttributes => remove_search_attributes,
    UpdateNexusEndpoint => update_nexus_endpoint,
}
