//! The verdict of a check, which is the response to an event that asks for one.

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use crate::config::LambdaWorkerConfig;
use crate::report::InvocationReport;

/// The result of a check. No field holds a secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CheckVerdict {
    /// Whether nothing that was found is a problem: the server invokes the function, and the function can work.
    pub ready: bool,
    /// The findings, in the order of the checks.
    pub findings: Vec<Finding>,
    /// The configuration in force.
    pub configuration: CheckedConfiguration,
    /// The report of the check's own invocation, in which no poll was made.
    pub report: InvocationReport,
}

/// The configuration in force, without secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CheckedConfiguration {
    /// The server's address.
    pub address: String,
    /// The namespace.
    pub namespace: String,
    /// The task queue.
    pub task_queue: String,
    /// Whether TLS is used.
    pub tls: bool,
    /// Whether an API key is set. The key itself is never shown.
    pub api_key: bool,
    /// Whether a client certificate is set.
    pub client_certificate: bool,
    /// The worker deployment's name.
    pub deployment_name: String,
    /// The build ID.
    pub build_id: String,
    /// The grace period, in milliseconds.
    pub graceful_shutdown_timeout_ms: u64,
    /// The shutdown deadline buffer, in milliseconds.
    pub shutdown_deadline_buffer_ms: u64,
    /// The idle timeout, in milliseconds; `None`: polling goes on to the deadline.
    pub idle_timeout_ms: Option<u64>,
}

impl CheckedConfiguration {
    pub(super) fn of(config: &LambdaWorkerConfig) -> Self {
        let millis =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let connection = &config.connection_options;
        let tls = connection.tls_options.as_ref();
        let version = &config.worker_options.deployment_options.version;
        Self {
            address: connection.target.to_string(),
            namespace: config.client_options.namespace.clone(),
            task_queue: config.worker_options.task_queue.clone(),
            tls: tls.is_some() || connection.target.scheme() == "https",
            api_key: connection.api_key.is_some(),
            client_certificate: tls.is_some_and(|tls| tls.client_tls_options.is_some()),
            deployment_name: version.deployment_name.clone(),
            build_id: version.build_id.clone(),
            graceful_shutdown_timeout_ms: millis(
                config.worker_options.graceful_shutdown_period.unwrap_or_default(),
            ),
            shutdown_deadline_buffer_ms: millis(config.effective_shutdown_deadline_buffer()),
            idle_timeout_ms: config.idle_timeout.map(millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_verdict_of_an_older_or_a_later_version_is_read_back() {
        let finding = json!({"subject": "time", "level": "advice"});
        let odd = json!({"findings": [finding, {}], "configuration": {"later": 1}});
        let verdict: CheckVerdict = serde_json::from_value(odd).unwrap();
        assert!(!verdict.ready);
        assert!(verdict.findings.iter().all(|finding| finding.level == Level::Problem));
        assert_eq!(verdict.configuration, CheckedConfiguration::default());
    }
}
