//! What the server knows of the version: that it exists, how it is called, whether it gets work.

use std::time::Duration;

use temporal_lambda_testkit::server::{Deployment, TemporalError};
use temporalio_client::NamespacedClient as _;
use temporalio_client::tonic::{Code as Grpc, IntoRequest as _, Status};
use temporalio_common::protos::temporal::api::deployment::v1::{
    WorkerDeploymentInfo, WorkerDeploymentVersion,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeWorkerDeploymentVersionResponse, ValidateWorkerDeploymentVersionComputeConfigRequest,
};

use super::code::Code;
use super::finding::Finding;
use super::settings::Settings;

/// How long the server may try to reach the compute provider.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(20);

/// Every check, until one makes the next pointless.
pub(super) async fn check(
    deployment: &Deployment,
    build_id: &str,
    settings: &Settings,
) -> Result<Vec<Finding>, TemporalError> {
    let name = deployment.name();
    let creation = format!(
        "temporal worker deployment create-version --deployment-name {name} --build-id {build_id} \
         --aws-lambda-function-arn <ARN of the function's version>"
    );
    let Some(known) = deployment.describe().await? else {
        let message = format!("the server knows no worker deployment {name}");
        let advice = format!("temporal worker deployment create --name {name}; then {creation}");
        let finding = Finding::found("deployment", Code::NoDeployment, message).advice(advice);
        return Ok(vec![finding]);
    };
    let mut findings = vec![Finding::ok("deployment", format!("{name} exists"))];
    let Some(version) = deployment.describe_version(build_id).await? else {
        findings.push(no_version(&known, name, build_id).advice(creation));
        return Ok(findings);
    };
    findings.push(Finding::ok("version", format!("{name}:{build_id} exists")));
    findings.push(provider(deployment, &known, &version, build_id).await);
    findings.extend(queues(&version, settings));
    findings.push(current(&known, name, build_id));
    Ok(findings)
}

fn no_version(known: &WorkerDeploymentInfo, name: &str, build_id: &str) -> Finding {
    let others: Vec<_> = known
        .version_summaries
        .iter()
        .filter_map(|summary| Some(summary.deployment_version.as_ref()?.build_id.as_str()))
        .collect();
    if others.is_empty() {
        let message = format!("{name} has no versions");
        return Finding::found("version", Code::NoVersion, message);
    }
    // The server would call the function for one of those, and the function would poll as
    // another: the task stays, so it is called again and again.
    let message = format!(
        "{name} has no version {build_id}, only {}: if the server calls this function for one of \
         those, the function polls for another and is called again and again",
        others.join(", ")
    );
    Finding::found("version", Code::VersionMismatch, message)
}

async fn provider(
    deployment: &Deployment,
    known: &WorkerDeploymentInfo,
    version: &DescribeWorkerDeploymentVersionResponse,
    build_id: &str,
) -> Finding {
    let name = deployment.name();
    let info = version.worker_deployment_version_info.as_ref();
    let groups = info.and_then(|info| Some(&info.compute_config.as_ref()?.scaling_groups));
    let providers = groups.into_iter().flat_map(|groups| groups.values());
    let kinds: Vec<_> =
        providers.filter_map(|group| Some(group.provider.as_ref()?.r#type.clone())).collect();
    if kinds.is_empty() {
        let message = format!(
            "{name}:{build_id} has no compute provider, so the server never calls the function; \
             that is so when a worker polled before the version was created"
        );
        let advice = format!(
            "temporal worker deployment delete-version --deployment-name {name} --build-id \
             {build_id} --skip-drainage; then create it with create-version and the function's ARN"
        );
        return Finding::found("provider", Code::NoComputeProvider, message).advice(advice);
    }
    let tried = tokio::time::timeout(PROVIDER_TIMEOUT, provider_error(deployment, build_id)).await;
    let error = match tried {
        Ok(Ok(error)) => error,
        // A server that does not try at once may have tried earlier.
        Ok(Err(_)) | Err(_) => last_error(known, build_id),
    };
    match error {
        Some(error) => Finding::found(
            "provider",
            Code::ProviderRefused,
            format!("the server cannot call it: {error}"),
        )
        .advice("check the function's ARN, and the role with its external ID"),
        None => {
            Finding::ok("provider", format!("the server calls it through {}", kinds.join(", ")))
        }
    }
}

/// Has the server try to reach what it would call for the version: why it cannot, or `None`.
async fn provider_error(deployment: &Deployment, build_id: &str) -> Result<Option<String>, Status> {
    let client = deployment.client();
    let request = ValidateWorkerDeploymentVersionComputeConfigRequest {
        namespace: client.namespace(),
        deployment_version: Some(WorkerDeploymentVersion {
            build_id: build_id.to_owned(),
            deployment_name: deployment.name().to_owned(),
        }),
        identity: client.connection().identity().to_owned(),
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    let request = request.into_request();
    match service.validate_worker_deployment_version_compute_config(request).await {
        Ok(_) => Ok(None),
        Err(status) if status.code() == Grpc::InvalidArgument => {
            Ok(Some(status.message().to_owned()))
        }
        Err(status) => Err(status),
    }
}

/// Why the server could not reach the provider when it last tried.
fn last_error(known: &WorkerDeploymentInfo, build_id: &str) -> Option<String> {
    let summary = known.version_summaries.iter().find(|summary| {
        summary.deployment_version.as_ref().is_some_and(|it| it.build_id == build_id)
    })?;
    let validation = summary.compute_status.as_ref()?.provider_validation.as_ref()?;
    Some(validation.error_message.clone()).filter(|message| !message.is_empty())
}

fn queues(version: &DescribeWorkerDeploymentVersionResponse, settings: &Settings) -> Vec<Finding> {
    let mut names: Vec<_> =
        version.version_task_queues.iter().map(|queue| queue.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        let message = "no worker of this version has ever polled, so no task queue is bound to it \
                       and the server will not call the function";
        let advice = "look at the log of the function's first call (a timeout of 3 s is the usual \
                      cause), mend it, and invoke the function once by hand";
        return vec![Finding::found("task queue", Code::NoTaskQueue, message).advice(advice)];
    }
    let list = names.join(", ");
    match settings.task_queue.as_deref() {
        Some(configured) if !names.contains(&configured) => {
            let message = format!("{configured} is configured, but this version polled {list}");
            let advice = "correct TEMPORAL_TASK_QUEUE or task_queue, or invoke the function once";
            vec![Finding::found("task queue", Code::TaskQueueMismatch, message).advice(advice)]
        }
        _ => vec![Finding::ok("task queue", format!("{list} is bound to this version"))],
    }
}

fn current(known: &WorkerDeploymentInfo, name: &str, build_id: &str) -> Finding {
    let routing = known.routing_config.as_ref();
    let current = routing.and_then(|routing| routing.current_deployment_version.as_ref());
    let ramping = routing.and_then(|routing| routing.ramping_deployment_version.as_ref());
    if current.is_some_and(|version| version.build_id == build_id) {
        return Finding::ok("current", format!("{name}:{build_id} is current"));
    }
    let instead = match current {
        Some(version) => format!("{} is", version.build_id),
        None => "none is".to_owned(),
    };
    let message = format!("{name}:{build_id} is not the current version ({instead})");
    let advice = format!(
        "temporal worker deployment set-current-version --deployment-name {name} --build-id \
         {build_id}"
    );
    if ramping.is_some_and(|version| version.build_id == build_id) {
        let share = routing.map_or(0.0, |routing| routing.ramping_version_percentage);
        let message = format!("{message}, but {share} % of new workflows go to it");
        return Finding::found("current", Code::Ramping, message).advice(advice);
    }
    Finding::found("current", Code::NotCurrent, format!("{message}: it gets no new workflows"))
        .advice(advice)
}
