//! Whether the function's timeout leaves time for work.

use std::time::Duration;

use super::finding::Finding;
use super::settings::Settings;

/// What Lambda gives a function that does not say.
const LAMBDA_DEFAULT: Duration = Duration::from_secs(3);
/// The least time for work that the worker accepts; it must be more than this.
const LEAST: Duration = Duration::from_secs(1);
/// Below this the worker warns.
const LITTLE: Duration = Duration::from_secs(5);

const CHECK: &str = "timeout";

pub(super) fn check(settings: &Settings, timeout: Option<Duration>) -> Vec<Finding> {
    let Settings { grace, buffer, .. } = *settings;
    let mut findings = Vec::new();
    if buffer <= grace {
        findings.push(
            Finding::stop(
                CHECK,
                "buffer-too-small",
                format!(
                    "the shutdown deadline buffer of {buffer:?} does not hold the grace period of \
                     {grace:?} and what follows it"
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
        findings.push(Finding::warning(CHECK, "timeout-unknown", message).advice(advice));
        return findings;
    };
    let work = timeout.saturating_sub(buffer);
    let sums = format!(
        "the timeout of {timeout:?} minus the shutdown buffer of {buffer:?} leaves {work:?} for work"
    );
    let raise = format!(
        "raise the function's timeout well above {:?} (a minute is a good start), or lower \
         graceful_shutdown_timeout",
        buffer + LITTLE
    );
    findings.push(if work <= LEAST {
        let message = format!("{sums}; it must be more than {LEAST:?}");
        Finding::stop(CHECK, "timeout-too-short", message).advice(raise)
    } else if work < LITTLE {
        Finding::warning(CHECK, "timeout-short", sums).advice(raise)
    } else {
        Finding::ok(CHECK, sums)
    });
    findings
}
