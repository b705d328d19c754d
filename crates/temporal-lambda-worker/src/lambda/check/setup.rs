//! Judging a function's settings and times.

use std::time::Duration;

use super::finding::{Code, Finding};
use super::verdict::CheckedConfiguration;
use crate::config::LambdaWorkerConfig;
use crate::lifecycle::{Allowance, MIN_WORK_TIME, SHORT_WORK_TIME};

/// Judges the settings: lists them, and those that look like mistakes. No message shows a
/// secret.
pub fn settings(config: &LambdaWorkerConfig) -> Vec<Finding> {
    let CheckedConfiguration { address, namespace, task_queue, .. } =
        CheckedConfiguration::of(config);
    let task_queue =
        if task_queue.is_empty() { "not set outside of the code" } else { &task_queue };
    let buffer = config.effective_shutdown_deadline_buffer();
    let idle = config.idle_timeout.map_or_else(
        || "no idle timeout: the worker polls until the deadline is near".to_owned(),
        |idle| format!("idle timeout {idle:?}"),
    );
    let versioning = config.worker_options.deployment_options.default_versioning_behavior;
    let versioning = versioning.map_or_else(
        || "set for each workflow type".to_owned(),
        |behavior| format!("{behavior:?} by default"),
    );
    let message = format!(
        "server {address}, namespace {namespace}, task queue {task_queue}, versioning behavior \
         {versioning}, shutdown deadline buffer {buffer:?}, {idle}"
    );
    let mut findings = vec![Finding::new("settings", Code::Ok, message)];
    let warnings = config.warnings.texts().iter();
    findings.extend(warnings.map(|text| Finding::new("settings", Code::SettingsWarning, text)));
    findings
}

/// Judges the times: whether the shutdown deadline buffer holds the grace period, and whether
/// `available`, from an invocation's begin to its deadline, leaves time for work. `None`: it is not known,
/// and nothing is said of it.
pub fn time(config: &LambdaWorkerConfig, available: Option<Duration>) -> Vec<Finding> {
    let grace = config.worker_options.graceful_shutdown_period.unwrap_or_default();
    let buffer = config.effective_shutdown_deadline_buffer();
    let least = Allowance::least_buffer(grace);
    let mut findings = Vec::new();
    if buffer < least {
        let message = format!(
            "the shutdown deadline buffer of {buffer:?} is too small for the grace period of {grace:?}: \
             it must be at least {least:?}"
        );
        let advice = "raise shutdown_deadline_buffer or lower graceful_shutdown_timeout";
        findings.push(Finding::new("time", Code::BufferTooSmall, message).advice(advice));
    }
    findings.extend(available.map(|available| work_time(available, buffer)));
    findings
}

fn work_time(available: Duration, buffer: Duration) -> Finding {
    let work = available.saturating_sub(buffer);
    let message = format!(
        "{available:.1?} until the deadline minus the shutdown deadline buffer of {buffer:?} leave \
         {work:.1?} for work"
    );
    let raise = format!(
        "raise the function's timeout well above {:?} (Lambda's default is 3 s; 60 s is a good start), \
         or lower graceful_shutdown_timeout",
        buffer + SHORT_WORK_TIME
    );
    if work <= MIN_WORK_TIME {
        let message = format!("{message}: it must be more than {MIN_WORK_TIME:?}");
        Finding::new("time", Code::TimeoutTooShort, message).advice(raise)
    } else if work < SHORT_WORK_TIME {
        Finding::new("time", Code::TimeoutShort, message).advice(raise)
    } else {
        Finding::new("time", Code::Ok, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_for_work_is_judged_at_its_limits() {
        let (buffer, nothing) = (Duration::from_secs(7), Duration::ZERO);
        let second = Duration::from_secs(1);
        for (available, code) in [
            (nothing, Code::TimeoutTooShort),
            (buffer + MIN_WORK_TIME, Code::TimeoutTooShort),
            (buffer + MIN_WORK_TIME + second, Code::TimeoutShort),
            (buffer + SHORT_WORK_TIME - second, Code::TimeoutShort),
            (buffer + SHORT_WORK_TIME, Code::Ok),
        ] {
            assert_eq!(work_time(available, buffer).code, code, "{available:?}");
        }
    }
}
