//! The report as one line of the log: its fields are flat, so that CloudWatch Logs Insights can query them.

use super::{InvocationReport, Reason};
use crate::lifecycle::State;

macro_rules! log_at {
    ($level:ident, $report:ident, $message:literal $(, $name:ident = $value:expr)*) => {
        tracing::$level!(
            request_id = $report.request_id,
            state = State::TornDown.name(),
            reason = $report.reason.map(Reason::name),
            $($name = $value,)*
            cold_start = $report.cold_start,
            connection = $report.connection.map(|it| it.name()),
            task_queue = $report.task_queue,
            deployment_name = $report.deployment_name,
            build_id = $report.build_id,
            total_ms = $report.total_ms,
            first_poll_ms = $report.first_poll_ms,
            time_left_ms = $report.time_left_ms,
            configuring_ms = $report.state_ms.configuring,
            connected_ms = $report.state_ms.connected,
            polling_ms = $report.state_ms.polling,
            draining_ms = $report.state_ms.draining,
            workflow_tasks_completed = $report.tasks.workflow.completed,
            workflow_tasks_failed = $report.tasks.workflow.failed,
            activities_completed = $report.tasks.activity.completed,
            activities_failed = $report.tasks.activity.failed,
            activities_cancelled = $report.tasks.activity.cancelled,
            activities_abandoned = $report.tasks.activity.abandoned,
            poisoned = $report.poisoned,
            // The report is plain data; if it cannot be written as JSON, the line goes without it.
            report = serde_json::to_string($report).unwrap_or_default(),
            $message
        )
    };
}

/// Logs the report of an invocation that has ended: at INFO, or at ERROR with what failed first.
pub(crate) fn log(report: &InvocationReport) {
    match report.errors.first() {
        None => log_at!(info, report, "invocation ended"),
        Some(error) => log_at!(
            error,
            report,
            "invocation failed",
            error_type = error.error_type,
            error = error.message
        ),
    }
}
