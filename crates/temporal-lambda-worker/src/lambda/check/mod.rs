//! Checking a function's set-up. A [check](crate::LambdaWorkerHandler::check) of a deployed function and the command
//! `temporal-lambda doctor` both judge with the functions here, so that they find the same.

mod answers;
mod finding;
mod server;
mod setup;
mod verdict;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use temporalio_client::ConnectionOptions;
use temporalio_common::worker::WorkerDeploymentVersion;

use crate::config::LambdaWorkerConfig;
use crate::error::BoxError;
use crate::hooks::Shutdown;
use crate::report::{InvocationReport, LambdaWorkerError};
use crate::worker::{LambdaWorker, RunningWorker};

pub use answers::provider_refused;
pub use finding::{Code, Finding, Level};
pub use server::{connect, server};
pub use setup::{settings, time};
pub use verdict::{CheckVerdict, CheckedConfiguration};

/// The findings of a check so far, shared by the checker and the code that returns the verdict.
#[derive(Clone, Default)]
pub(crate) struct Findings(Arc<Mutex<Found>>);

#[derive(Clone, Default)]
struct Found {
    findings: Vec<Finding>,
    configuration: CheckedConfiguration,
    server_was_asked: bool,
}

impl Findings {
    fn change(&self, change: impl FnOnce(&mut Found)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The verdict, from the findings and the result of the invocation that checked.
    pub(crate) fn verdict(
        self,
        ended: Result<InvocationReport, LambdaWorkerError>,
    ) -> CheckVerdict {
        let Found { mut findings, configuration, server_was_asked } =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let report = match ended {
            Ok(report) => report,
            Err(error) => {
                for fault in std::iter::once(error.fault()).chain(error.later()) {
                    let finding = Finding::from(fault);
                    // The driver refuses settings for which there is a finding already.
                    let is_known = findings.iter().any(|it| it.code == finding.code);
                    if !is_known || finding.code == Code::InvocationFailed {
                        findings.push(finding);
                    }
                }
                error.into_report()
            }
        };
        let mut ready = findings.iter().all(|finding| finding.level < Level::Problem);
        if ready && !server_was_asked {
            let message = "the check ended before the server was asked";
            let finding = Finding::new("connection", Code::CheckIncomplete, message);
            findings.push(finding.advice("ask for the check again"));
            ready = false;
        }
        CheckVerdict { ready, findings, configuration, report }
    }
}

/// The user's worker, for a check: `configure` and `on_shutdown` run as in any invocation, but the checks run instead
/// of `on_start`, and then the invocation is cancelled before the worker polls.
#[derive(Clone)]
pub(crate) struct Checker<W> {
    pub(crate) worker: W,
    pub(crate) findings: Findings,
    pub(crate) asks: Option<Asks>,
}

/// The names that the server is asked about, and the options whose credentials no message may show.
#[derive(Clone)]
pub(crate) struct Asks {
    version: WorkerDeploymentVersion,
    options: ConnectionOptions,
}

#[async_trait]
impl<W: LambdaWorker> LambdaWorker for Checker<W> {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        self.worker.configure(config).await?;
        // The driver does both again, and refuses there what must be refused.
        let _ = config.run_plugins().await;
        let _ = config.settle();
        self.findings.change(|found| {
            found.configuration = CheckedConfiguration::of(config);
            found.findings.extend(settings(config));
            found.findings.extend(time(config, config.invocation.remaining_time()));
        });
        self.asks = Some(Asks {
            version: config.worker_options.deployment_options.version.clone(),
            options: config.connection_options.clone(),
        });
        Ok(())
    }

    async fn on_start(&mut self, running: &RunningWorker) -> Result<(), BoxError> {
        if let Some(Asks { version, options }) = &self.asks {
            // A warm environment remembers the namespace; a check asks the server again.
            let task_queue = Some(&*running.task_queue);
            let answered = server(&running.client, options, Some(version), task_queue).await;
            self.findings.change(|found| {
                found.findings.extend(answered);
                found.server_was_asked = true;
            });
        }
        running.stop.cancel();
        // The worker does not poll because this does not return; the cancellation drops it.
        std::future::pending().await
    }

    async fn on_shutdown(&mut self, ending: &Shutdown) -> Result<(), BoxError> {
        self.worker.on_shutdown(ending).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fault;

    fn codes(verdict: &CheckVerdict) -> Vec<Code> {
        verdict.findings.iter().map(|finding| finding.code.clone()).collect()
    }

    #[test]
    fn a_check_that_ended_before_the_server_was_asked_is_not_ready() {
        let findings = Findings::default();
        findings.change(|found| found.findings.push(Finding::new("time", Code::Ok, "enough")));
        let verdict = findings.clone().verdict(Ok(InvocationReport::default()));
        assert!(!verdict.ready);
        assert_eq!(codes(&verdict), [Code::Ok, Code::CheckIncomplete]);
        findings.change(|found| found.server_was_asked = true);
        assert!(findings.verdict(Ok(InvocationReport::default())).ready);
    }

    #[test]
    fn a_failure_that_was_found_before_is_not_found_twice() {
        let findings = Findings::default();
        let short = Finding::new("time", Code::TimeoutTooShort, "too short");
        findings.change(|found| found.findings.push(short));
        let (remaining, buffer) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        let later = vec![Fault::WorkerNotStopped, Fault::NotSettled];
        let error = LambdaWorkerError::new(
            Fault::TooLittleTime { remaining, buffer },
            later,
            InvocationReport::default(),
        );
        let verdict = findings.verdict(Err(error));
        let failed = Code::InvocationFailed;
        assert_eq!(codes(&verdict), [Code::TimeoutTooShort, failed.clone(), failed]);
    }
}
