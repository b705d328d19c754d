//! Whether the function's timeout leaves time for work.

use std::time::Duration;

use temporal_lambda_worker::lifecycle::budget::{Allowance, MIN_WORK_TIME, SHORT_WORK_TIME};

use super::code::Code;
use super::finding::Finding;
use super::settings::Settings;

/// What Lambda gives a function that does not say.
const LAMBDA_DEFAULT: Duration = Duration::from_secs(3);
const CHECK: &str = "timeout";

pub(super) fn check(settings: &Settings, timeout: Option<Duration>) -> Vec<Finding> {
    let Settings { grace, buffer, .. } = *settings;
    let mut findings = Vec::new();
    let least = Allowance::least_buffer(grace);
    if buffer < least {
        findings.push(
            Finding::found(
                CHECK,
                Code::BufferTooSmall,
                format!(
                    "the shutdown deadline buffer of {buffer:?} does not hold the grace period of \
                     {grace:?} and what follows it; that takes {least:?}"
                ),
            )
            .advice("raise shutdown_deadline_buffer or lower graceful_shutdown_timeout"),
        );
    }
    let Some(timeout) = timeout else {
        let message = format!(
            "the function's timeout is not known; Lambda's default of {LAMBDA_DEFAULT:?} is too \
             short for a shutdown buffer of {buffer:?}"
        );
        let advice = "say it with --timeout, or give --function-env what `aws lambda \
                      get-function-configuration` prints";
        findings.push(Finding::found(CHECK, Code::TimeoutUnknown, message).advice(advice));
        return findings;
    };
    let work = timeout.saturating_sub(buffer);
    let sums = format!(
        "the timeout of {timeout:?} minus the shutdown buffer of {buffer:?} leaves {work:?} for work"
    );
    let raise = format!(
        "raise the function's timeout well above {:?} (a minute is a good start), or lower \
         graceful_shutdown_timeout",
        buffer + SHORT_WORK_TIME
    );
    findings.push(if work <= MIN_WORK_TIME {
        let message = format!("{sums}; it must be more than {MIN_WORK_TIME:?}");
        Finding::found(CHECK, Code::TimeoutTooShort, message).advice(raise)
    } else if work < SHORT_WORK_TIME {
        Finding::found(CHECK, Code::TimeoutShort, sums).advice(raise)
    } else {
        Finding::ok(CHECK, sums)
    });
    findings
}
