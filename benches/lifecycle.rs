//! What the machine itself costs: one invocation from its event to its end, nothing else.

use std::hint::black_box;
use std::time::{Duration, Instant};

use temporal_lambda_benches::print_table;
use temporal_lambda_worker::lifecycle::{Allowance, Effect, Input, Machine, Moment, Window};

const ROUNDS: usize = 15;
const INVOCATIONS: u32 = 20_000;

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

fn main() {
    // `cargo test --benches` and `cargo bench -- --test` only want to know that this runs.
    let rounds = if std::env::args().any(|argument| argument == "--test") { 1 } else { ROUNDS };
    let mut micros: Vec<_> = (0..rounds).map(|_| micros_of_one()).collect();
    micros.sort_by(f64::total_cmp);
    let figures = [micros[0], micros[rounds / 2], micros[rounds - 1]];
    print_table(
        &["one invocation through the machine", "least", "median", "most"],
        vec![["µs".to_owned()].into_iter().chain(figures.map(|it| format!("{it:.2}"))).collect()],
    );
}

/// The mean over many invocations, in microseconds.
fn micros_of_one() -> f64 {
    let began = Instant::now();
    for _ in 0..INVOCATIONS {
        black_box(whole_life());
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(INVOCATIONS)
}
