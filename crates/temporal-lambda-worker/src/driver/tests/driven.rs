//! Running scripted invocations with the real driver, one after the other in one environment.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use temporalio_common::worker::WorkerDeploymentVersion;
use tokio_util::sync::CancellationToken;

use super::super::Driver;
use super::at;
use super::ms;
use super::scripted_invocation::ScriptedInvocation;
use super::scripted_temporal::ScriptedTemporal;
use super::scripted_user::{Log, ScriptedUser};
use crate::config::{LambdaWorkerConfig, Origin, Variables};
use crate::driver::environment::{Environment, Threads};
use crate::error::{Fault, with_sources};
use crate::hooks::{Shutdown, ShutdownHooks};
use crate::invocation::{Invocation, Telemetry};
use crate::lifecycle::rules::{End, Failure, Line, Seen, Trace};
use crate::lifecycle::{Cause, Effect, Ending, Input, Moment, State, Step, Window};
use crate::report::{InvocationReport, LambdaWorkerError, Reason};

/// A bound that no scripted invocation reaches; paused time makes it short.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// An execution environment with a scripted Temporal.
pub(super) struct Host {
    pub(super) environment: Arc<Environment>,
    temporal: Arc<ScriptedTemporal>,
}

/// An invocation that is about to be driven.
pub(super) struct Prepared {
    pub(super) driver: Driver<ScriptedUser>,
    pub(super) window: Window,
    pub(super) stop: CancellationToken,
    pub(super) log: Log,
    pub(super) invocation: Invocation,
}

/// What came of an invocation.
pub(super) struct Driven {
    pub(super) trace: Trace,
    pub(super) report: InvocationReport,
    /// `None`: it succeeded.
    pub(super) error: Option<LambdaWorkerError>,
    pub(super) states: Vec<(Effect, State)>,
    /// The arguments that hooks and `on_shutdown` got.
    pub(super) told: Vec<(Effect, Shutdown)>,
}

impl Host {
    pub(super) async fn new() -> Self {
        let temporal = Arc::new(ScriptedTemporal::new().await);
        let environment = Arc::new(Environment::new(
            Threads::of_caller(),
            temporal.clone(),
            Telemetry::default(),
        ));
        Self { environment, temporal }
    }

    /// Makes an event arrive.
    pub(super) fn prepare(&self, script: &ScriptedInvocation) -> Prepared {
        match self.admit(script) {
            Ok(prepared) => prepared,
            Err(fault) => panic!("not let in: {fault}"),
        }
    }

    /// Makes an event arrive in an environment that may refuse it.
    pub(super) fn admit(&self, script: &ScriptedInvocation) -> Result<Prepared, Fault> {
        let admission = self.environment.admit()?;
        let mut context = lambda_runtime::Context::default();
        context.request_id = "r-1".to_owned();
        context.invoked_function_arn = "arn:f".to_owned();
        context.deadline = script.lasts.map_or(0, deadline);
        let invocation = Invocation::arriving(&context, admission.cold);
        let due = invocation.due();
        let deadline = due.map(|due| Moment::new(due - invocation.arrived()));
        let window = Window { arrival: at(0), deadline };
        let hooks = ShutdownHooks::default();
        let log =
            Log::new(invocation.arrived(), hooks.clone(), self.environment.observers.latest());
        let variables = Variables::from_iter([("TEMPORAL_TASK_QUEUE".to_owned(), "q".to_owned())]);
        let version = WorkerDeploymentVersion::builder().deployment_name("d").build_id("b").build();
        let config =
            LambdaWorkerConfig::load(&Origin::of(version), &variables, invocation.clone(), hooks)?;
        let script = Arc::new(script.clone());
        self.temporal.set_script(script.clone(), log.clone());
        let user = ScriptedUser { script, log: log.clone() };
        let stop = self.environment.stop.child_token();
        let environment = self.environment.clone();
        let driver = Driver::new(environment, admission, Box::new(|| user), config, stop.clone());
        Ok(Prepared { driver, window, stop, log, invocation })
    }

    /// Plays a script to its end.
    pub(super) async fn drive(&self, script: &ScriptedInvocation) -> Driven {
        self.prepare(script).drive(script).await
    }
}

/// Milliseconds since the epoch, so long from now.
fn deadline(after: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(now).unwrap_or_default() + after
}

impl Prepared {
    pub(super) async fn drive(self, script: &ScriptedInvocation) -> Driven {
        let Self { driver, window, stop, log, invocation } = self;
        if let Some(after) = script.cancelled_at {
            let log = log.clone();
            tokio::spawn(async move {
                tokio::time::sleep(ms(after)).await;
                log.see(Seen::Heard(Input::Cancelled));
                stop.cancel();
            });
        }
        let Ok(result) = tokio::time::timeout(DAY, driver.drive()).await else {
            panic!("it does not end: {script:?}")
        };
        let ended = Moment::new(tokio::time::Instant::now() - invocation.arrived());
        // Tasks that were left behind run now.
        tokio::time::sleep(ms(1)).await;
        driven(result, window, ended, &log)
    }
}

/// Makes the trace of the log and the returned report.
pub(super) fn driven(
    result: Result<InvocationReport, LambdaWorkerError>,
    window: Window,
    ended: Moment,
    log: &Log,
) -> Driven {
    let (report, error) = match result {
        Ok(report) => (report, None),
        Err(error) => (error.report().clone(), Some(error)),
    };
    let mut lines = log.lines();
    let healthy = !report.poisoned;
    if healthy {
        // The log has no line for this input: only the driver sees it.
        lines.push(Line { at: ended, hooks: 0, seen: Seen::Heard(Input::Settled) });
    }
    let faults = error.iter().flat_map(|it| std::iter::once(it.fault()).chain(it.later()));
    let causes = faults.map(|fault| cause(fault, &lines)).collect();
    let end = End { at: ended, healthy, ending: report.reason.map(ending), causes };
    let before = ScriptedInvocation::before();
    let trace = Trace { window, before, lines, end: Some(end), blur: ms(2) };
    Driven { trace, report, error, states: log.states(), told: log.told() }
}

fn ending(reason: Reason) -> Ending {
    match reason {
        Reason::DeadlineNear => Ending::DeadlineNear,
        Reason::Idle => Ending::Idle,
        Reason::Cancelled => Ending::Cancelled,
        Reason::Failed => Ending::Failed,
        Reason::Other => panic!("no invocation of this version ends so"),
    }
}

/// The step that was begun last before draining, in which the invocation ran out of time.
fn begun(lines: &[Line], state: State) -> Step {
    let begun = lines.iter().rev().find_map(|line| match line.seen {
        Seen::Did(Effect::Configure) => Some(Step::Configuring),
        Seen::Did(Effect::Connect) => Some(Step::Connecting),
        Seen::Did(Effect::CreateWorker) => Some(Step::Creating),
        Seen::Did(Effect::OnStart) => Some(Step::Starting),
        _ => None,
    });
    let Some(step) = begun else { panic!("nothing was begun") };
    assert_eq!(step.state(), state, "out of time");
    step
}

fn cause(fault: &Fault, lines: &[Line]) -> Cause<Failure> {
    match fault {
        Fault::Late { remaining } => Cause::Late { remaining: *remaining },
        Fault::TooLittleTime { remaining, buffer } => {
            Cause::TooLittleTime { remaining: *remaining, buffer: *buffer }
        }
        Fault::OutOfTime { during, .. } => Cause::OutOfTime { during: begun(lines, *during) },
        Fault::WorkerStopped => Cause::WorkerStopped,
        Fault::WorkerNotStopped => Cause::WorkerNotStopped,
        Fault::NotSettled => Cause::NotSettled,
        other => Cause::Reported(failure(other)),
    }
}

/// The number of a failure, from its message.
fn failure(fault: &Fault) -> Failure {
    let text = with_sources(fault);
    let words = text.split("failure ").nth(1);
    let digits = words.map(|words| words.split(|it: char| !it.is_ascii_digit()).next());
    match digits.flatten().and_then(|digits| digits.parse().ok()) {
        Some(failure) => failure,
        None => panic!("whose failure is {text:?}?"),
    }
}
