//! `invoke`: one invocation by hand, and what it did.

use std::process::ExitCode;

use temporal_lambda_testkit::lambda::{Invocation, LambdaEmulator, Outcome};
use temporal_lambda_worker::InvocationReport;

use crate::cost::Bill;
use crate::error::CliError;
use crate::program::ProgramArgs;
use crate::settings::{self, Chosen};
use crate::show::event_log::{self, EventLog, Timestamps};
use crate::show::paint;
use crate::trouble::troubles;

/// The function's name in the emulator; nothing depends on it.
const NAME: &str = "function";

/// What is invoked.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    program: ProgramArgs,
    /// The event. A Temporal worker ignores it, unless it is the check event:
    /// {"temporal_lambda_worker": {"check": true}}.
    #[arg(long, value_name = "JSON", default_value = "")]
    payload: String,
    /// The worker deployment's name, if the function does not take it from its code.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The build ID. Functions that take it from their published version need one here.
    #[arg(long, value_name = "ID")]
    build_id: Option<String>,
    /// Print only the function's response.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// The settings that these arguments change: the function's variables are settings for this command, too.
    pub(crate) fn settings(&self) -> Chosen {
        let mut chosen = settings::among(&self.program.variables);
        for (name, value) in [
            ("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", &self.name),
            ("TEMPORAL_LAMBDA_BUILD_ID", &self.build_id),
        ] {
            chosen.extend(value.clone().map(|value| (name.to_owned(), value)));
        }
        chosen
    }
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CliError> {
    let (program, _) = args.program.program().await?;
    let lambda = LambdaEmulator::start().await?;
    // The user's own settings say which server is meant. What is wrong with them, the function says.
    let settings = settings::resolve(None).await.ok();
    let config = args.program.function(NAME, &program, settings.as_ref());
    let function = lambda.add_function(config.envs(settings::inherited()))?;
    let timestamps = Timestamps::begin();
    if let Some(settings) = settings.filter(|_| !args.json) {
        timestamps.print("temporal", settings.server());
    }
    let event_log = (!args.json).then(|| EventLog::start(timestamps, lambda.subscribe()));
    let invocation = function.invoke(args.payload).await?;
    if let Some(event_log) = event_log {
        event_log.caught_up().await;
        println!();
        for (name, value) in facts(&invocation, args.program.memory) {
            println!("{name:<12} {value}");
        }
    } else {
        let body = invocation.outcome.body(&invocation.request_id);
        println!("{}", String::from_utf8_lossy(&body));
    }
    lambda.shutdown().await;
    let succeeded = invocation.outcome.is_success();
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is known of an invocation.
fn facts(invocation: &Invocation, memory_mb: u32) -> Vec<(&'static str, String)> {
    let mut bill = Bill::default();
    bill.add(invocation, memory_mb);
    let report = event_log::report(invocation);
    let mut facts = vec![("ended", ended(invocation, report.as_ref()))];
    if let Some(init) = invocation.init {
        facts.push(("init", format!("{} ms", init.as_millis())));
    }
    facts.extend([
        ("duration", format!("{} ms", invocation.duration.as_millis())),
        ("billed", format!("{} ms, about ${:.7}", invocation.billed.as_millis(), bill.dollars())),
        ("time left", format!("{:.1} s", invocation.time_left_at_response.as_secs_f64())),
    ]);
    if let Some(kb) = invocation.max_memory_kb {
        facts.push(("peak memory", format!("{} MB", kb.div_ceil(1024))));
    }
    if let Some(report) = &report {
        facts.extend(reported(report));
    }
    let body = invocation.outcome.response().map_or(&[][..], |body| body);
    for trouble in troubles(body) {
        facts.push((trouble.about, paint::yellow(trouble.text)));
    }
    facts
}

fn ended(invocation: &Invocation, report: Option<&InvocationReport>) -> String {
    match (&invocation.outcome, report) {
        (Outcome::Response(_), Some(report)) => {
            let reason = report.reason.map_or_else(|| "-".to_owned(), |it| format!("{it:?}"));
            paint::green(reason)
        }
        (Outcome::Response(body), None) => String::from_utf8_lossy(body).into_owned(),
        (outcome, _) => paint::red(outcome),
    }
}

fn reported(report: &InvocationReport) -> Vec<(&'static str, String)> {
    let states = report.state_ms;
    let mut facts = vec![
        ("version", format!("{}:{}", report.deployment_name, report.build_id)),
        ("task queue", format!("{} in namespace {}", report.task_queue, report.namespace)),
        ("tasks", event_log::tasks(report)),
    ];
    if let Some(connection) = report.connection {
        facts.push(("connection", format!("{connection:?}").to_lowercase()));
    }
    if let Some(millis) = report.first_poll_ms {
        facts.push(("first poll", format!("after {millis} ms")));
    }
    facts.push((
        "states",
        format!(
            "configuring {} ms, connected {} ms, polling {} ms, draining {} ms",
            states.configuring, states.connected, states.polling, states.draining
        ),
    ));
    for hook in &report.hooks {
        let message = hook.outcome.message().map(|it| format!(": {it}")).unwrap_or_default();
        facts.push(("hook", format!("{}: {}{message}", hook.name, hook.outcome.name())));
    }
    for error in &report.errors {
        facts.push(("error", paint::red(format!("{}: {}", error.error_type, error.message))));
    }
    facts
}
