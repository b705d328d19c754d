//! The invocation's report and result, from the machine's state and the worker's figures.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::LambdaWorkerConfig;
use crate::error::Fault;
use crate::hooks::Shutdown;
use crate::invocation::{Invocation, WriteFigures};
use crate::lifecycle::{Cause, Machine, Moment, State, Step};
use crate::report::{self, InvocationReport, LambdaWorkerError, Reason, ReportedError, StateTimes};

/// The report of an invocation that has just begun.
pub(super) fn begin(invocation: &Invocation, config: &LambdaWorkerConfig) -> InvocationReport {
    let mut report = InvocationReport {
        request_id: invocation.request_id.clone(),
        function_arn: invocation.function_arn.clone(),
        cold_start: invocation.cold_start,
        ..InvocationReport::default()
    };
    describe(&mut report, config);
    report
}

/// Writes the worker's settings into the report.
pub(super) fn describe(report: &mut InvocationReport, config: &LambdaWorkerConfig) {
    let version = &config.worker_options.deployment_options.version;
    report.identity = config.identity();
    report.namespace.clone_from(&config.client_options.namespace);
    report.task_queue.clone_from(&config.worker_options.task_queue);
    report.deployment_name.clone_from(&version.deployment_name);
    report.build_id.clone_from(&version.build_id);
}

/// Writes the machine's state and the times into the report.
pub(super) fn measure(
    report: &mut InvocationReport,
    machine: &Machine<Fault>,
    now: Moment,
    invocation: &Invocation,
) {
    report.reason = machine.ending().map(Reason::from);
    let mut times = StateTimes::default();
    let moves = machine.moves();
    for (index, transition) in moves.iter().enumerate() {
        let until = moves.get(index + 1).map_or(now, |next| next.at);
        times.add(transition.to.state(), until.since(transition.at));
    }
    report.state_ms = times;
    report.total_ms = millis(now.since_origin());
    report.time_left_ms = invocation.remaining_time().map(millis);
    report.codec_failures = invocation.codec_work().failures();
    report.poisoned = machine.step() == Step::Poisoned;
}

/// The argument of hooks and `on_shutdown`.
pub(super) fn ending(
    report: InvocationReport,
    invocation: &Invocation,
    until: Option<Instant>,
    machine: &Machine<Fault>,
    on_shutdown_is_default: Arc<AtomicBool>,
) -> Shutdown {
    let mut report = report;
    report.errors = machine.causes().iter().map(reported).collect();
    Shutdown {
        on_shutdown_is_default,
        timeline: timeline(machine),
        reason: report.reason.unwrap_or(Reason::Failed),
        invocation: invocation.clone(),
        report,
        time_allowed: until
            .map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now())),
    }
}

/// When each state began.
fn timeline(machine: &Machine<Fault>) -> Vec<(State, Duration)> {
    let mut timeline: Vec<(State, Duration)> = Vec::new();
    for transition in machine.moves() {
        let state = transition.to.state();
        if timeline.last().is_none_or(|(last, _)| *last != state) {
            timeline.push((state, transition.at.since_origin()));
        }
    }
    timeline
}

/// The result of an invocation that has come to its end with these faults. It is logged, and its figures are written.
pub(crate) fn conclude(
    mut report: InvocationReport,
    mut faults: Vec<Fault>,
    figures: Option<WriteFigures>,
) -> Result<InvocationReport, LambdaWorkerError> {
    report.errors = faults.iter().map(ReportedError::of).collect();
    report::log(&report);
    if let Some(write) = figures {
        write(&report);
    }
    if faults.is_empty() {
        return Ok(report);
    }
    let first = faults.remove(0);
    Err(LambdaWorkerError::new(first, faults, report))
}

fn reported(cause: &Cause<Fault>) -> ReportedError {
    let plain = match cause {
        Cause::Reported(fault) => return ReportedError::of(fault),
        Cause::Late { remaining } => Cause::Late { remaining: *remaining },
        Cause::TooLittleTime { remaining, buffer } => {
            Cause::TooLittleTime { remaining: *remaining, buffer: *buffer }
        }
        Cause::OutOfTime { during } => Cause::OutOfTime { during: *during },
        Cause::WorkerStopped => Cause::WorkerStopped,
        Cause::WorkerNotStopped => Cause::WorkerNotStopped,
        Cause::NotSettled => Cause::NotSettled,
    };
    ReportedError::of(&fault(plain))
}

pub(super) fn fault(cause: Cause<Fault>) -> Fault {
    match cause {
        Cause::Reported(fault) => fault,
        Cause::Late { remaining } => Fault::Late { remaining },
        Cause::TooLittleTime { remaining, buffer } => Fault::TooLittleTime { remaining, buffer },
        Cause::OutOfTime { during } => {
            Fault::OutOfTime { during: during.state(), hint: hint(during) }
        }
        Cause::WorkerStopped => Fault::WorkerStopped,
        Cause::WorkerNotStopped => Fault::WorkerNotStopped,
        Cause::NotSettled => Fault::NotSettled,
    }
}

fn hint(during: Step) -> &'static str {
    match during {
        Step::Configuring => {
            "configure did not return. Raise the function's timeout, or do less there"
        }
        Step::Connecting => {
            "Temporal did not answer. Check TEMPORAL_ADDRESS and the function's network (VPC, \
             security group)"
        }
        Step::Creating => "Temporal did not describe the namespace in time. Try again later",
        Step::Starting => "on_start did not return. Raise the function's timeout, or do less there",
        Step::ColdStart
        | Step::Polling
        | Step::Quiescing
        | Step::Stopping
        | Step::Hooks
        | Step::Farewell
        | Step::Settling
        | Step::Healthy
        | Step::Poisoned => "raise the function's timeout",
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
