//! Judging the server's answers. The functions are pure; `server.rs` asks the questions.

use temporalio_client::tonic::{Code as Grpc, Status};
use temporalio_common::protos::temporal::api::deployment::v1::{
    RoutingConfig, WorkerDeploymentInfo, WorkerDeploymentVersion as VersionProto,
};
use temporalio_common::protos::temporal::api::enums::v1::WorkerDeploymentVersionStatus;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceResponse, DescribeWorkerDeploymentVersionResponse,
};
use temporalio_common::worker::WorkerDeploymentVersion;

use super::finding::{Code, Finding};

/// How many versions of a deployment a server takes, by default.
const MOST_VERSIONS: usize = 100;
/// From so many on, the next ones are near.
const MANY_VERSIONS: usize = 90;

/// The server's answers about a version.
pub(super) struct Answers<'a> {
    /// The version that the function polls as.
    pub(super) version: &'a WorkerDeploymentVersion,
    /// The task queue that the function polls, if it is known.
    pub(super) task_queue: Option<&'a str>,
    /// Its deployment; `None`: there is none.
    pub(super) deployment: Option<WorkerDeploymentInfo>,
    /// The version; `None`: the deployment has no such version.
    pub(super) described: Option<DescribeWorkerDeploymentVersionResponse>,
}

/// Judges the answer about a namespace.
pub(super) fn namespace(
    name: &str,
    described: Result<DescribeNamespaceResponse, Status>,
) -> Vec<Finding> {
    let found = |code, message: String| Finding::new("namespace", code, message);
    let described = match described {
        Ok(described) => described,
        Err(status) if status.code() == Grpc::NotFound => {
            return vec![
                found(Code::NamespaceNotFound, format!("namespace {name} does not exist")).advice(
                    "check TEMPORAL_NAMESPACE; in Temporal Cloud it ends in the account ID",
                ),
            ];
        }
        Err(status) => return vec![refused_by("namespace", &status)],
    };
    let mut findings = vec![found(Code::Ok, format!("namespace {name} exists"))];
    let info = described.namespace_info.unwrap_or_default();
    if !info.capabilities.unwrap_or_default().worker_poll_complete_on_shutdown {
        let message = "the server does not end the polls of a worker that shuts down (the namespace \
                       lacks the capability worker_poll_complete_on_shutdown), so an invocation that \
                       ends by its idle timeout waits for its last polls, up to 1.85 s";
        findings.push(found(Code::SlowIdleExit, message.to_owned()).advice(
            "set frontend.enableCancelWorkerPollsOnShutdown to true in the server's dynamic \
             configuration",
        ));
    }
    findings
}

/// Judges the status with which the server refused a question about `subject`. A server that does not know the
/// question, or is too busy for it, proves no mistake in the set-up.
pub(super) fn refused_by(subject: &str, status: &Status) -> Finding {
    let message = format!(
        "the server was asked about the {subject}: {:?}: {}",
        status.code(),
        status.message()
    );
    match status.code() {
        Grpc::Unauthenticated | Grpc::PermissionDenied => {
            Finding::new(subject, Code::Refused, message).advice(
                "check TEMPORAL_API_KEY or the client certificate, and that they are for this namespace",
            )
        }
        Grpc::Unimplemented | Grpc::ResourceExhausted => {
            let is_namespace = subject == "namespace";
            let code =
                if is_namespace { Code::NamespaceUnknown } else { Code::DeploymentUnknown };
            Finding::new(subject, code, message).advice(
                "nothing, if the server is older than this question; else look at its rate limits and \
                 ask again",
            )
        }
        Grpc::Unavailable | Grpc::DeadlineExceeded => {
            Finding::new(subject, Code::Unreachable, message).advice("try again later")
        }
        _ => Finding::new(subject, Code::ServerError, message).advice(
            "look at the server's log, or try again later; correct TEMPORAL_ADDRESS if that is not \
             Temporal's frontend",
        ),
    }
}

/// Judges the answers about a version: that it exists, how it is invoked, and which work it gets.
pub(super) fn version(answers: &Answers<'_>) -> Vec<Finding> {
    let WorkerDeploymentVersion { deployment_name, build_id, .. } = answers.version;
    let creation = format!(
        "temporal worker deployment create-version --deployment-name {deployment_name} --build-id \
         {build_id} --aws-lambda-function-arn <ARN of the function's version>"
    );
    let Some(deployment) = &answers.deployment else {
        let message = format!(
            "the server knows no worker deployment {deployment_name}, so it does not know version {}",
            named(answers.version)
        );
        let advice = format!(
            "correct the deployment name; or temporal worker deployment create --name \
             {deployment_name}, then {creation}"
        );
        return vec![Finding::new("deployment", Code::NoDeployment, message).advice(advice)];
    };
    let exists = format!("worker deployment {deployment_name} exists");
    let mut findings = vec![Finding::new("deployment", Code::Ok, exists)];
    let count = deployment.version_summaries.len();
    if count >= MANY_VERSIONS {
        let message = format!(
            "worker deployment {deployment_name} has {count} versions; a server takes {MOST_VERSIONS} \
             (matching.maxVersionsInDeployment) unless it is told otherwise, and refuses the next one"
        );
        findings.push(Finding::new("deployment", Code::ManyVersions, message).advice(format!(
            "delete versions that are drained: temporal worker deployment delete-version \
             --deployment-name {deployment_name} --build-id <build ID>"
        )));
    }
    let Some(described) = &answers.described else {
        findings.push(missing(answers.version, deployment, &creation));
        return findings;
    };
    let exists = format!("version {} exists", named(answers.version));
    findings.push(Finding::new("version", Code::Ok, exists));
    findings.push(provider(answers.version, deployment, described));
    findings.push(task_queue(answers.task_queue, described));
    findings.push(routing(answers.version, deployment, described));
    findings
}

fn named(version: &WorkerDeploymentVersion) -> String {
    format!("{}/{}", version.deployment_name, version.build_id)
}

fn missing(
    version: &WorkerDeploymentVersion,
    deployment: &WorkerDeploymentInfo,
    creation: &str,
) -> Finding {
    let summaries = deployment.version_summaries.iter();
    let others: Vec<_> = summaries
        .filter_map(|summary| Some(summary.deployment_version.as_ref()?.build_id.as_str()))
        .collect();
    let advice = format!("correct the deployment name or the build ID; or {creation}");
    if others.is_empty() {
        let message = format!("the deployment has no versions, so none is {}", named(version));
        return Finding::new("version", Code::NoVersion, message).advice(advice);
    }
    // The server would invoke the function for one of those, and the function would poll as another:
    // the task stays, so the function is invoked again and again.
    let message = format!(
        "the deployment has no version {}, only {}: if the server invokes this function for one of \
         those, the function polls as another version and is invoked again and again",
        named(version),
        others.join(", ")
    );
    // A server names its limit of versions only when it refuses to create one.
    let advice = format!(
        "{advice}. The deployment has {} of at most 100 versions (unless the server is set otherwise); \
         at the limit, delete one first",
        others.len()
    );
    Finding::new("version", Code::VersionMismatch, message).advice(advice)
}

fn provider(
    version: &WorkerDeploymentVersion,
    deployment: &WorkerDeploymentInfo,
    described: &DescribeWorkerDeploymentVersionResponse,
) -> Finding {
    let WorkerDeploymentVersion { deployment_name, build_id, .. } = version;
    let info = described.worker_deployment_version_info.as_ref();
    let config = info.and_then(|info| info.compute_config.as_ref());
    let groups = config.into_iter().flat_map(|config| config.scaling_groups.values());
    let kinds: Vec<_> =
        groups.filter_map(|group| Some(group.provider.as_ref()?.r#type.as_str())).collect();
    if kinds.is_empty() {
        let message = format!(
            "version {} has no compute provider, so the server never invokes the function; that is so \
             when a worker polled before the version was created",
            named(version)
        );
        let advice = format!(
            "temporal worker deployment delete-version --deployment-name {deployment_name} --build-id \
             {build_id} --skip-drainage; then create it with create-version and the function's ARN"
        );
        return Finding::new("provider", Code::NoComputeProvider, message).advice(advice);
    }
    match last_refusal(deployment, build_id) {
        Some(error) => provider_refused(&error),
        None => {
            let kinds = kinds.join(", ");
            Finding::new("provider", Code::Ok, format!("the server invokes a function by {kinds}"))
        }
    }
}

/// The finding for a compute provider that refuses the server's calls, in the provider's words.
pub fn provider_refused(error: &str) -> Finding {
    let message = format!("the server cannot invoke the function: {error}");
    Finding::new("provider", Code::ProviderRefused, message).advice(
        "check the function's ARN, and the role that the server assumes with its external ID",
    )
}

/// Why the server could not reach the provider when it last tried.
fn last_refusal(deployment: &WorkerDeploymentInfo, build_id: &str) -> Option<String> {
    let summary = deployment.version_summaries.iter().find(|summary| {
        summary.deployment_version.as_ref().is_some_and(|it| it.build_id == build_id)
    })?;
    let validation = summary.compute_status.as_ref()?.provider_validation.as_ref()?;
    Some(validation.error_message.clone()).filter(|message| !message.is_empty())
}

fn task_queue(
    configured: Option<&str>,
    described: &DescribeWorkerDeploymentVersionResponse,
) -> Finding {
    let found = |code, message: String| Finding::new("task queue", code, message);
    let queues = described.version_task_queues.iter();
    let mut names: Vec<_> = queues.map(|queue| queue.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let list = names.join(", ");
    if names.is_empty() {
        let message = "no worker of this version has polled, so no task queue is bound to the version \
                       and the server does not invoke the function for tasks";
        return found(Code::NoTaskQueue, message.to_owned()).advice(
            "look at the log of the function's first invocation (a timeout of 3 s is the usual cause), \
             correct what it says, and invoke the function once by hand",
        );
    }
    match configured {
        Some(configured) if !names.contains(&configured) => {
            let message = format!(
                "workers of this version have polled {list}, but not the configured {configured}, so \
                 the server does not invoke the function for tasks there"
            );
            found(Code::TaskQueueMismatch, message).advice(
                "correct TEMPORAL_TASK_QUEUE or task_queue, or invoke the function once by hand",
            )
        }
        _ => found(Code::Ok, format!("{list} is bound to this version")),
    }
}

fn routing(
    version: &WorkerDeploymentVersion,
    deployment: &WorkerDeploymentInfo,
    described: &DescribeWorkerDeploymentVersionResponse,
) -> Finding {
    let WorkerDeploymentVersion { deployment_name, build_id, .. } = version;
    let name = named(version);
    let found = |code, message: String| Finding::new("routing", code, message);
    let routing = deployment.routing_config.clone().unwrap_or_default();
    let RoutingConfig { current_deployment_version: current, .. } = &routing;
    let is_this =
        |it: &Option<VersionProto>| it.as_ref().is_some_and(|it| it.build_id == *build_id);
    if is_this(current) {
        return found(Code::Ok, format!("version {name} is current"));
    }
    let instead =
        current.as_ref().map_or_else(|| "none is".to_owned(), |it| format!("{} is", it.build_id));
    let advice = format!(
        "temporal worker deployment set-current-version --deployment-name {deployment_name} --build-id \
         {build_id}"
    );
    if is_this(&routing.ramping_deployment_version) {
        let share = routing.ramping_version_percentage;
        let message = format!(
            "version {name} is not the current version ({instead}), but {share} % of new workflows go \
             to it"
        );
        return found(Code::Ramping, message).advice(advice);
    }
    let info = described.worker_deployment_version_info.clone().unwrap_or_default();
    let is_replaced = matches!(
        info.status(),
        WorkerDeploymentVersionStatus::Draining | WorkerDeploymentVersionStatus::Drained
    );
    let was = if is_replaced { " any more" } else { "" };
    let message = format!(
        "version {name} is not the current version{was} ({instead}): it gets no new workflows"
    );
    found(Code::NotCurrent, message).advice(advice)
}

#[cfg(test)]
mod tests;
