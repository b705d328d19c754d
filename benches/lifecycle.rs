//! What an invocation costs beside the server and the SDK: its way through the machine, its settings and its report.

use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::{Context, LambdaEvent};
use temporal_lambda_benches::print_table;
use temporal_lambda_worker::lifecycle::{Allowance, Effect, Input, Machine, Moment, Window};
use temporal_lambda_worker::{
    BoxError, LambdaWorkerConfig, LambdaWorkerError, LambdaWorkerHandler, WorkerDeploymentVersion,
};
use tokio::runtime::Builder;

const ROUNDS: usize = 15;

type Configure = fn(&mut LambdaWorkerConfig) -> Result<(), BoxError>;
type Handler = LambdaWorkerHandler<Configure>;

fn whole_life() -> usize {
    let second = Duration::from_secs(1);
    let allowance = Allowance {
        grace: 5 * second,
        buffer: 7 * second,
        idle_timeout: Some(second),
        minimum_stay: second,
    };
    let window = Window { arrival: Moment::default(), deadline: Some(Moment::new(60 * second)) };
    let mut machine = Machine::<()>::cold();
    let mut now = Moment::default();
    let mut effects = 0;
    let mut next = Some(Input::Invoked { window, allowance });
    while !machine.step().is_torn_down() {
        match next.take() {
            Some(input) => {
                machine.handle(now, input).expect("the script is legal");
            }
            None => {
                now = machine.next_timeout().expect("something is due");
                machine.handle_timeout(now);
            }
        }
        while let Some(effect) = machine.poll_effect() {
            effects += 1;
            next = match effect {
                Effect::Configure => Some(Input::Configured(allowance)),
                Effect::Connect => Some(Input::Connected),
                Effect::CreateWorker => Some(Input::WorkerCreated { polls_end_within: second }),
                Effect::OnStart => Some(Input::WorkerStarted),
                Effect::StopWorker => Some(Input::WorkerStopped),
                Effect::HoldPolls => Some(Input::PollsEnded),
                Effect::RunHook(number) => Some(Input::HookEnded(number)),
                Effect::OnShutdown => Some(Input::ShutdownEnded),
                Effect::Settle => Some(Input::Settled),
                Effect::Poll
                | Effect::AbortStep
                | Effect::AbandonActivities
                | Effect::AbandonWorker
                | Effect::Finalize
                | Effect::ResumePolls
                | Effect::WarnShortWork(_) => None,
            };
        }
    }
    effects
}

/// Ends in `configure`: the settings are read, `configure` runs on a thread for user code, the report is made.
async fn refused_by_configure(handler: &Handler, number: u32) -> LambdaWorkerError {
    let mut context = Context::default();
    context.request_id = number.to_string();
    let deadline = SystemTime::now() + Duration::from_secs(60);
    let since_epoch = deadline.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    context.deadline = u64::try_from(since_epoch.as_millis()).expect("before the end of time");
    handler.handle(LambdaEvent::new((), context)).await.expect_err("configure refuses")
}

fn handler() -> Handler {
    let configure: Configure = |_| Err("not today".into());
    let version = WorkerDeploymentVersion::builder().deployment_name("bench").build_id("1").build();
    LambdaWorkerHandler::new(version, configure).expect("threads start")
}

fn main() {
    // `cargo test --benches` and `cargo bench -- --test` only want to know that this runs.
    let rounds = if std::env::args().any(|argument| argument == "--test") { 1 } else { ROUNDS };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let handler = handler();
    let refused = |number| runtime.block_on(refused_by_configure(&handler, number));
    let error = refused(0);
    let report = error.report();
    let row = |name: &str, times: u32, what: &dyn Fn(u32)| {
        let mut micros: Vec<_> = (0..rounds).map(|_| micros_of_one(times, what)).collect();
        micros.sort_by(f64::total_cmp);
        let figures = [micros[0], micros[rounds / 2], micros[rounds - 1]];
        std::iter::once(name.to_owned()).chain(figures.map(|it| format!("{it:.2}"))).collect()
    };
    print_table(
        &["µs of one", "least", "median", "most"],
        vec![
            row("way of an invocation through the machine", 20_000, &|_| {
                black_box(whole_life());
            }),
            row("invocation that `configure` refuses", 200, &|number| {
                black_box(refused(number));
            }),
            row("report as JSON", 2_000, &|_| {
                black_box(serde_json::to_string(report).expect("a report"));
            }),
            row("thread, from its start to its end", 500, &|_| {
                std::thread::spawn(|| ()).join().expect("it ends");
            }),
        ],
    );
}

/// The mean over so many, in microseconds.
fn micros_of_one(times: u32, what: &dyn Fn(u32)) -> f64 {
    let began = Instant::now();
    (0..times).for_each(what);
    began.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}
