//! What the server says: whether it can be reached, and what it knows of the version.

use std::time::Duration;

use temporalio_client::errors::ClientConnectError;
use temporalio_client::tonic::{Code, IntoRequest as _, Status};
use temporalio_client::{Client, ClientOptions, Connection};
use temporalio_common::protos::temporal::api::deployment::v1::WorkerDeploymentInfo;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeWorkerDeploymentVersionResponse,
};

use super::finding::Finding;
use super::settings::Settings;
use crate::deployment::Deployment;

/// How long connecting, and the first call, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every check that needs the server, until one makes the next pointless.
pub(super) async fn check(
    settings: &Settings,
    name: Option<String>,
    build_id: Option<String>,
) -> Vec<Finding> {
    let connection = match connect(settings).await {
        Ok(connection) => connection,
        Err(finding) => return vec![finding],
    };
    let how = if settings.connection.tls_options.is_some() { "with TLS" } else { "without TLS" };
    let key = if settings.connection.api_key.is_some() { ", with an API key" } else { "" };
    let target = &settings.connection.target;
    let mut findings = vec![Finding::ok("connection", format!("{target} answers, {how}{key}"))];
    findings.push(namespace(&connection, settings).await);
    let client = match Client::new(connection, ClientOptions::new(&*settings.namespace).build()) {
        Ok(client) => client,
        Err(error) => {
            findings.push(Finding::stop("connection", "unreachable", error.to_string()));
            return findings;
        }
    };
    let (Some(name), Some(build_id)) = (name, build_id) else {
        let message = "the deployment name or the build ID is only in the function's code, so what \
                       the server knows of it was not looked at";
        let advice = "say them with --deployment-name and --build-id";
        findings.push(Finding::warning("deployment", "version-unknown", message).advice(advice));
        return findings;
    };
    let deployment = Deployment::new(client, name);
    match version(&deployment, &build_id, settings).await {
        Ok(found) => findings.extend(found),
        Err(error) => {
            findings.push(Finding::stop("deployment", "server-error", error.to_string()));
        }
    }
    findings
}

async fn connect(settings: &Settings) -> Result<Connection, Finding> {
    let target = &settings.connection.target;
    let connecting = Connection::connect(settings.connection.clone());
    let error = match tokio::time::timeout(PATIENCE, connecting).await {
        Ok(Ok(connection)) => return Ok(connection),
        Ok(Err(error)) => error,
        Err(_) => {
            let message = format!("{target} does not answer within {PATIENCE:?}");
            return Err(unreachable(message));
        }
    };
    // A server may quote the key that it refuses.
    let conceal = |text: String| match settings.connection.api_key.as_deref() {
        Some(key) if !key.is_empty() => text.replace(key, "***"),
        _ => text,
    };
    Err(match error {
        ClientConnectError::SystemInfoCallError(status) if is_refusal(&status) => Finding::stop(
            "auth",
            "refused",
            conceal(format!("{target} refuses the credentials: {}", status.message())),
        )
        .advice("check TEMPORAL_API_KEY or the client certificate, and the namespace it is for"),
        ClientConnectError::SystemInfoCallError(status) => unreachable(conceal(format!(
            "{target} answers {:?}: {}",
            status.code(),
            status.message()
        ))),
        ClientConnectError::DnsResolutionError { host, source } => {
            unreachable(format!("{host} does not resolve: {source}"))
        }
        error => unreachable(conceal(format!("{target} cannot be reached: {}", chain(&error)))),
    })
}

fn unreachable(message: String) -> Finding {
    Finding::stop("connection", "unreachable", message).advice(
        "check TEMPORAL_ADDRESS and the TLS settings (TEMPORAL_TLS); in Lambda, also the VPC and \
         its security groups",
    )
}

fn is_refusal(status: &Status) -> bool {
    matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied)
}

/// An error with its causes; the outermost often says nothing.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(error) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        next = error.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}

async fn namespace(connection: &Connection, settings: &Settings) -> Finding {
    let name = &settings.namespace;
    let request = DescribeNamespaceRequest { namespace: name.clone(), ..Default::default() };
    match connection.workflow_service().describe_namespace(request.into_request()).await {
        Ok(_) => Finding::ok("namespace", format!("{name} exists")),
        Err(status) if status.code() == Code::NotFound => {
            Finding::stop("namespace", "namespace-not-found", format!("{name} does not exist"))
                .advice("check TEMPORAL_NAMESPACE; in Temporal Cloud it ends in the account ID")
        }
        Err(status) if is_refusal(&status) => Finding::stop(
            "auth",
            "refused",
            format!("the credentials are not for namespace {name}"),
        )
        .advice("check TEMPORAL_API_KEY or the client certificate, and TEMPORAL_NAMESPACE"),
        Err(status) => Finding::warning(
            "namespace",
            "namespace-unknown",
            format!("{name} could not be looked at: {:?}", status.code()),
        ),
    }
}

async fn version(
    deployment: &Deployment,
    build_id: &str,
    settings: &Settings,
) -> Result<Vec<Finding>, crate::error::CliError> {
    let name = &deployment.name;
    let creation = format!(
        "temporal worker deployment create-version --deployment-name {name} --build-id {build_id} \
         --aws-lambda-function-arn <ARN of the function's version>"
    );
    let Some(known) = deployment.describe().await? else {
        let message = format!("the server knows no worker deployment {name}");
        let advice = format!("temporal worker deployment create --name {name}; then {creation}");
        let finding = Finding::stop("deployment", "no-deployment", message).advice(advice);
        return Ok(vec![finding]);
    };
    let mut findings = vec![Finding::ok("deployment", format!("{name} exists"))];
    let Some(version) = deployment.describe_version(build_id, false).await? else {
        findings.push(no_version(&known, name, build_id).advice(creation));
        return Ok(findings);
    };
    findings.push(Finding::ok("version", format!("{name}:{build_id} exists")));
    findings.push(provider(&known, &version, name, build_id));
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
        return Finding::stop("version", "no-version", message);
    }
    // The server would call the function for one of those, and the function would poll as
    // another: the task stays, so it is called again and again.
    let message = format!(
        "{name} has no version {build_id}, only {}: if the server calls this function for one of \
         those, the function polls for another and is called again and again",
        others.join(", ")
    );
    Finding::stop("version", "version-mismatch", message)
}

fn provider(
    known: &WorkerDeploymentInfo,
    version: &DescribeWorkerDeploymentVersionResponse,
    name: &str,
    build_id: &str,
) -> Finding {
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
        return Finding::stop("provider", "no-compute-provider", message).advice(advice);
    }
    let summary = known.version_summaries.iter().find(|summary| {
        summary.deployment_version.as_ref().is_some_and(|it| it.build_id == build_id)
    });
    let status = summary.and_then(|summary| summary.compute_status.as_ref());
    let validation = status.and_then(|status| status.provider_validation.as_ref());
    match validation.map(|it| it.error_message.as_str()).filter(|message| !message.is_empty()) {
        Some(error) => Finding::stop(
            "provider",
            "provider-refused",
            format!("the server cannot call it: {error}"),
        )
        .advice("check the function's ARN, and the role with its external ID"),
        None => {
            Finding::ok("provider", format!("the server calls it through {}", kinds.join(", ")))
        }
    }
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
        return vec![Finding::stop("task queue", "no-task-queue", message).advice(advice)];
    }
    let list = names.join(", ");
    match settings.task_queue.as_deref() {
        Some(configured) if !names.contains(&configured) => {
            let message = format!("{configured} is configured, but this version polled {list}");
            let advice = "correct TEMPORAL_TASK_QUEUE or task_queue, or invoke the function once";
            let code = "task-queue-mismatch";
            vec![Finding::warning("task queue", code, message).advice(advice)]
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
        return Finding::warning("current", "ramping", message).advice(advice);
    }
    Finding::stop("current", "not-current", format!("{message}: it gets no new workflows"))
        .advice(advice)
}
