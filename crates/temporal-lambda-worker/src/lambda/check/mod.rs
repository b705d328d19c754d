//! Check mode: an invocation that does everything but poll, and says what it found. See
//! [`LambdaWorkerHandler::check`](crate::LambdaWorkerHandler::check).

mod verdict;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use temporalio_client::ConnectionOptions;
use temporalio_client::tonic::{Code, IntoRequest as _, Status};
use temporalio_common::protos::temporal::api::deployment::v1::{
    WorkerDeploymentVersion as VersionProto, WorkerDeploymentVersionInfo,
};
use temporalio_common::protos::temporal::api::enums::v1::WorkerDeploymentVersionStatus;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest, DescribeWorkerDeploymentVersionResponse,
};
use temporalio_common::worker::WorkerDeploymentVersion;

use crate::config::{LambdaWorkerConfig, conceal};
use crate::error::BoxError;
use crate::hooks::Shutdown;
use crate::lifecycle::SHORT_WORK_TIME;
use crate::report::{InvocationReport, LambdaWorkerError};
use crate::worker::{LambdaWorker, RunningWorker};

pub use verdict::{CheckVerdict, CheckedConfiguration, Finding, Level};

/// The subject without which no verdict is good: the server was asked.
const CONNECTION: &str = "connection";

/// What a check has found so far; shared by the checker and whoever waits for the verdict.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<(Vec<Finding>, CheckedConfiguration)>>);

impl Notes {
    fn find(&self, subject: &str, level: Level, message: impl Into<String>) {
        let finding = Finding { subject: subject.to_owned(), level, message: message.into() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.push(finding);
    }

    fn configured(&self, configuration: CheckedConfiguration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = configuration;
    }

    /// The verdict, with how the invocation that looked ended.
    pub(crate) fn verdict(
        self,
        ended: Result<InvocationReport, LambdaWorkerError>,
    ) -> CheckVerdict {
        let report = match ended {
            Ok(report) => report,
            Err(error) => error.report().clone(),
        };
        for error in &report.errors {
            self.find(&error.error_type, Level::Problem, error.message.clone());
        }
        let (mut findings, configuration) =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_looked_at = findings.iter().any(|finding| finding.subject == CONNECTION);
        let is_well = findings.iter().all(|finding| finding.level < Level::Problem);
        if is_well && !is_looked_at {
            let message = "the check was cut short before the server was asked: ask for it again";
            findings.push(Finding {
                subject: CONNECTION.to_owned(),
                level: Level::Problem,
                message: message.to_owned(),
            });
        }
        let ready = is_well && is_looked_at;
        CheckVerdict { ready, findings, configuration, report }
    }
}

/// The user's worker, for a check: it is configured and shut down as ever, but in the place of
/// `on_start` the checks run, and then the invocation is cancelled, before anything polls.
#[derive(Clone)]
pub(crate) struct Checker<W> {
    pub(crate) worker: W,
    pub(crate) notes: Notes,
    pub(crate) asks: Option<Asks>,
}

/// What the server is asked about, and what its answers may not show.
#[derive(Clone)]
pub(crate) struct Asks {
    version: WorkerDeploymentVersion,
    options: ConnectionOptions,
}

#[async_trait]
impl<W: LambdaWorker> LambdaWorker for Checker<W> {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        self.worker.configure(config).await?;
        // Both are done again after this, and refused then if they must be.
        let _ = config.run_plugins().await;
        let _ = config.settle();
        self.notes.configured(CheckedConfiguration::of(config));
        for warning in config.warnings.texts() {
            self.notes.find("configuration", Level::Warning, warning);
        }
        self.asks = Some(Asks {
            version: config.worker_options.deployment_options.version.clone(),
            options: config.connection_options.clone(),
        });
        if let Some(left) = config.invocation.remaining_time() {
            let buffer = config.effective_shutdown_deadline_buffer();
            let work = left.saturating_sub(buffer);
            let level = if work < SHORT_WORK_TIME { Level::Warning } else { Level::Ok };
            let message = format!(
                "{left:.1?} until the deadline, {buffer:?} for shutting down, {work:.1?} for work"
            );
            self.notes.find("time", level, message);
        }
        Ok(())
    }

    async fn on_start(&mut self, running: &RunningWorker) -> Result<(), BoxError> {
        if let Some(asks) = &self.asks {
            look_at_the_namespace(&self.notes, running, &asks.options).await;
            let described = describe(running, &asks.version).await;
            let is_unknown = described.as_ref().is_err_and(|it| it.code() == Code::NotFound);
            let others = match is_unknown {
                true => versions_of(running, &asks.version.deployment_name).await,
                false => None,
            };
            self.judge(running, asks, described, others);
        }
        running.stop.cancel();
        // Not returning is what keeps the worker from polling; the cancellation ends this.
        std::future::pending().await
    }

    async fn on_shutdown(&mut self, ending: &Shutdown) -> Result<(), BoxError> {
        self.worker.on_shutdown(ending).await
    }
}

impl<W> Checker<W> {
    fn judge(
        &self,
        running: &RunningWorker,
        Asks { version, options }: &Asks,
        described: Result<DescribeWorkerDeploymentVersionResponse, Status>,
        others: Option<usize>,
    ) {
        let name = format!("{}/{}", version.deployment_name, version.build_id);
        let response = match described {
            Ok(response) => response,
            Err(status) if status.code() == Code::NotFound => {
                let message = format!(
                    "version {name} is not known to the server. If that is a typing error, correct \
                     the deployment name or the build ID; else create it with its function's ARN: \
                     temporal worker deployment create-version{}",
                    others.map(about_the_limit).unwrap_or_default()
                );
                return self.notes.find("deployment_version", Level::Problem, message);
            }
            Err(status) => {
                let message =
                    format!("version {name} could not be looked at: {}", words(&status, options));
                return self.notes.find("deployment_version", severity(status.code()), message);
            }
        };
        let info = response.worker_deployment_version_info.unwrap_or_default();
        self.judge_status(&name, &info);
        let polled = response.version_task_queues.iter().any(|it| it.name == running.task_queue);
        let queue = &running.task_queue;
        if polled {
            self.notes.find("task_queues", Level::Ok, format!("{queue:?} is bound to {name}"));
        } else {
            let message = format!(
                "{queue:?} was never polled by {name}, so the server does not call it for tasks \
                 there. Let the Worker Controller call the function once, with a timeout above 8 s"
            );
            self.notes.find("task_queues", Level::Warning, message);
        }
        if info.compute_config.is_some() {
            self.notes.find("compute_provider", Level::Ok, "the server calls a function for it");
        } else {
            let message = format!(
                "{name} has no compute provider, so the server never calls a function for it. Was \
                 it made by a manual call? Delete it and create it with its function's ARN"
            );
            self.notes.find("compute_provider", Level::Warning, message);
        }
    }

    fn judge_status(&self, name: &str, info: &WorkerDeploymentVersionInfo) {
        let (level, message) = match info.status() {
            WorkerDeploymentVersionStatus::Current => (Level::Ok, format!("{name} is current")),
            WorkerDeploymentVersionStatus::Ramping => (Level::Ok, format!("{name} is ramping")),
            WorkerDeploymentVersionStatus::Draining | WorkerDeploymentVersionStatus::Drained => (
                Level::Warning,
                format!("{name} is being replaced: new workflows go to another version"),
            ),
            _ => (
                Level::Warning,
                format!(
                    "{name} is not current, so no new workflow goes there: temporal worker \
                     deployment set-current-version"
                ),
            ),
        };
        self.notes.find("deployment_version", level, message);
    }
}

/// Asks for the namespace anew: a warm environment knows it from before, and every server tells
/// everybody what it is.
async fn look_at_the_namespace(
    notes: &Notes,
    running: &RunningWorker,
    options: &ConnectionOptions,
) {
    let namespace = running.client.options().namespace.clone();
    let request = DescribeNamespaceRequest { namespace, ..Default::default() };
    let namespace = request.namespace.clone();
    let mut service = running.client.connection().workflow_service();
    let (level, message) = match service.describe_namespace(request.into_request()).await {
        Ok(_) => (Level::Ok, format!("{} has namespace {namespace:?}", options.target)),
        Err(status) => (
            severity(status.code()),
            format!(
                "{} was asked for namespace {namespace:?}, and said {}",
                options.target,
                words(&status, options)
            ),
        ),
    };
    notes.find(CONNECTION, level, message);
}

/// What it means that the server did not answer a question. Only where it does not know the question,
/// or was asked too much, is nothing said about the set-up.
fn severity(code: Code) -> Level {
    match code {
        Code::Unimplemented | Code::ResourceExhausted => Level::Warning,
        _ => Level::Problem,
    }
}

fn words(status: &Status, options: &ConnectionOptions) -> String {
    format!("{:?}: {}", status.code(), conceal(status.message().to_owned(), options))
}

/// A server does not say how many versions it takes, unless it is asked to create one too many. A
/// check creates none.
fn about_the_limit(versions: usize) -> String {
    let versions = match versions {
        1 => "1 version".to_owned(),
        more => format!("{more} versions"),
    };
    format!(
        ". The deployment has {versions}. If that is the maximum of the server (100 unless it is set \
         otherwise), the server takes this one only after another is deleted"
    )
}

/// How many versions a deployment has; `None`: the server does not know it, or does not say.
async fn versions_of(running: &RunningWorker, deployment_name: &str) -> Option<usize> {
    let request = DescribeWorkerDeploymentRequest {
        namespace: running.client.options().namespace.clone(),
        deployment_name: deployment_name.to_owned(),
    };
    let mut service = running.client.connection().workflow_service();
    let answer = service.describe_worker_deployment(request.into_request()).await.ok()?;
    Some(answer.into_inner().worker_deployment_info?.version_summaries.len())
}

async fn describe(
    running: &RunningWorker,
    version: &WorkerDeploymentVersion,
) -> Result<DescribeWorkerDeploymentVersionResponse, Status> {
    let request = DescribeWorkerDeploymentVersionRequest {
        namespace: running.client.options().namespace.clone(),
        deployment_version: Some(VersionProto {
            deployment_name: version.deployment_name.clone(),
            build_id: version.build_id.clone(),
        }),
        ..Default::default()
    };
    let mut service = running.client.connection().workflow_service();
    let response = service.describe_worker_deployment_version(request.into_request()).await?;
    Ok(response.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_was_cut_short_before_the_server_was_asked_is_not_ready() {
        let notes = Notes::default();
        notes.find("time", Level::Ok, "enough");
        let verdict = notes.clone().verdict(Ok(InvocationReport::default()));
        assert!(!verdict.ready);
        assert_eq!(verdict.findings.last().map(|it| &*it.subject), Some(CONNECTION));
        notes.find(CONNECTION, Level::Ok, "it answers");
        assert!(notes.verdict(Ok(InvocationReport::default())).ready);
    }
}
