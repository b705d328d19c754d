//! What the server says: whether it can be reached, and what it knows of the version.

use std::time::Duration;

use temporal_lambda_testkit::server::Deployment;
use temporalio_client::errors::ClientConnectError;
use temporalio_client::tonic::{Code as Grpc, IntoRequest as _, Status};
use temporalio_client::{Client, ClientOptions, Connection};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;

use super::code::{Code, Level};
use super::finding::Finding;
use super::settings::Settings;
use super::version;

use crate::local_cloud::ENDS_POLLS;

/// How long connecting, and the first call, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
    findings.extend(namespace(&connection, settings).await);
    if findings.iter().any(|finding| finding.level == Level::Stop) {
        // Everything else is in the namespace.
        return findings;
    }
    let client = match Client::new(connection, ClientOptions::new(&*settings.namespace).build()) {
        Ok(client) => client,
        Err(error) => {
            findings.push(Finding::found("connection", Code::Unreachable, error.to_string()));
            return findings;
        }
    };
    let (Some(name), Some(build_id)) = (name, build_id) else {
        let message = "the deployment name or the build ID is only in the function's code, so what \
                       the server knows of it was not looked at";
        let advice = "say them with --deployment-name and --build-id";
        findings.push(Finding::found("deployment", Code::VersionUnknown, message).advice(advice));
        return findings;
    };
    let deployment = Deployment::new(client, name);
    match version::check(&deployment, &build_id, settings).await {
        Ok(found) => findings.extend(found),
        Err(error) => {
            findings.push(Finding::found("deployment", Code::ServerError, error.to_string()));
        }
    }
    findings
}

async fn connect(settings: &Settings) -> Result<Connection, Finding> {
    let target = &settings.connection.target;
    let connecting = Connection::connect(settings.connection.clone());
    let error = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => return Ok(connection),
        Ok(Err(error)) => error,
        Err(_) => {
            let message = format!("{target} does not answer within {CONNECT_TIMEOUT:?}");
            return Err(unreachable(message));
        }
    };
    // A server may quote the key that it refuses.
    let conceal = |text: String| match settings.connection.api_key.as_deref() {
        Some(key) if !key.is_empty() => text.replace(key, "***"),
        _ => text,
    };
    Err(match error {
        ClientConnectError::SystemInfoCallError(status) if is_refusal(&status) => Finding::found(
            "auth",
            Code::Refused,
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
    Finding::found("connection", Code::Unreachable, message).advice(
        "check TEMPORAL_ADDRESS and the TLS settings (TEMPORAL_TLS); in Lambda, also the VPC and \
         its security groups",
    )
}

fn is_refusal(status: &Status) -> bool {
    matches!(status.code(), Grpc::Unauthenticated | Grpc::PermissionDenied)
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

async fn namespace(connection: &Connection, settings: &Settings) -> Vec<Finding> {
    let name = &settings.namespace;
    let request = DescribeNamespaceRequest { namespace: name.clone(), ..Default::default() };
    let status =
        match connection.workflow_service().describe_namespace(request.into_request()).await {
            Ok(answer) => {
                let exists = Finding::ok("namespace", format!("{name} exists"));
                let info = answer.into_inner().namespace_info.unwrap_or_default();
                let capabilities = info.capabilities.unwrap_or_default();
                let ends_polls = capabilities.worker_poll_complete_on_shutdown;
                return [exists].into_iter().chain((!ends_polls).then(slow_idle_exit)).collect();
            }
            Err(status) => status,
        };
    vec![match status.code() {
        Grpc::NotFound => {
            Finding::found("namespace", Code::NamespaceNotFound, format!("{name} does not exist"))
                .advice("check TEMPORAL_NAMESPACE; in Temporal Cloud it ends in the account ID")
        }
        _ if is_refusal(&status) => Finding::found(
            "auth",
            Code::Refused,
            format!("the credentials are not for namespace {name}"),
        )
        .advice("check TEMPORAL_API_KEY or the client certificate, and TEMPORAL_NAMESPACE"),
        code => Finding::found(
            "namespace",
            Code::NamespaceUnknown,
            format!("{name} could not be looked at: {code:?}"),
        ),
    }]
}

fn slow_idle_exit() -> Finding {
    let message = "the server does not end the polls of a worker that shuts down (the namespace \
                   lacks the capability worker_poll_complete_on_shutdown), so an invocation that \
                   ends by its idle timeout waits for its last polls, up to 1.85 s";
    Finding::found("namespace", Code::SlowIdleExit, message)
        .advice(format!("set {ENDS_POLLS} to true in the server's dynamic configuration"))
}
