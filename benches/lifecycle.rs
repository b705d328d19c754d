//! What the machine itself costs: one invocation from its event to its end, nothing else.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use temporal_lambda_worker::lifecycle::{Allowance, Effect, Input, Machine, Moment, Window};

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

fn machine(criterion: &mut Criterion) {
    criterion.bench_function("one invocation through the machine", |bencher| {
        bencher.iter(whole_life);
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2));
    targets = machine
}
criterion_main!(benches);
