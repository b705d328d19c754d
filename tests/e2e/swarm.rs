//! Many workflows over many short invocations: no task is lost between them.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use temporal_lambda_tests::{Invoked as _, World, temporal::count};
use temporalio_common::protos::temporal::api::enums::v1::EventType;

use crate::HELLO;

const WORKFLOWS: usize = 500;
/// How long workflows go on arriving.
const ARRIVALS: Duration = Duration::from_secs(30);
/// In the middle, nobody is invoked for longer than a task may lie on a sticky queue (10 s).
const PAUSE: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_workflows_over_idle_exiting_invocations_have_no_task_that_times_out() {
    let world = World::new("swarm").await;
    let temporal = world.temporal().await;
    let hello = world.add(world.brief("hello", HELLO).concurrency(2));
    let mut random = Random::seeded();
    println!("seed {}", random.0);

    // When each workflow arrives, after the first.
    let mut arrivals: Vec<Duration> =
        (0..WORKFLOWS).map(|_| ARRIVALS.mul_f64(random.fraction())).collect();
    arrivals.sort();
    let began = Instant::now();
    let start = async {
        for (number, at) in arrivals.iter().enumerate() {
            tokio::time::sleep_until((began + *at).into()).await;
            let id = world.id(number);
            // Half of them have an activity that takes a while.
            if number % 2 == 0 {
                temporal.start(&world.name, &id, "HelloWorkflow", "you").await;
            } else {
                temporal.start(&world.name, &id, "SleepWorkflow", number % 100).await;
            }
        }
    };
    let serve = async {
        let mut open: HashSet<usize> = (0..WORKFLOWS).collect();
        let mut invocations = 0;
        let mut paused = false;
        while !open.is_empty() {
            assert!(began.elapsed() < 4 * ARRIVALS, "{} are open", open.len());
            // One or two environments at a time, with gaps between.
            let two = random.fraction() < 0.5;
            let (one, other) = tokio::join!(hello.invoke("{}"), async {
                if two { Some(hello.invoke("{}").await.unwrap()) } else { None }
            });
            for invocation in [Some(one.unwrap()), other].into_iter().flatten() {
                invocation.report();
                invocations += 1;
            }
            if !paused && began.elapsed() > ARRIVALS / 2 {
                paused = true;
                tokio::time::sleep(PAUSE).await;
            }
            tokio::time::sleep(Duration::from_millis(300).mul_f64(random.fraction())).await;
            if began.elapsed() > ARRIVALS {
                let mut ended = Vec::new();
                for number in &open {
                    if temporal.has_ended(&world.id(number)).await {
                        ended.push(*number);
                    }
                }
                for number in ended {
                    open.remove(&number);
                }
            }
        }
        invocations
    };
    let ((), invocations) = tokio::join!(start, serve);
    println!("{invocations} invocations in {:?}", began.elapsed());

    let mut lost = Vec::new();
    for number in 0..WORKFLOWS {
        let id = world.id(number);
        let history = temporal.history(&id).await;
        assert_eq!(count(&history, EventType::WorkflowExecutionCompleted), 1, "{id}");
        lost.extend(
            history
                .iter()
                .filter(|event| BAD.contains(&event.event_type()))
                .map(|event| (id.clone(), event.event_type())),
        );
    }
    assert!(lost.is_empty(), "{} of {WORKFLOWS}: {lost:?}", lost.len());
}

/// What no history may have.
const BAD: [EventType; 3] = [
    EventType::WorkflowTaskTimedOut,
    EventType::WorkflowTaskFailed,
    EventType::ActivityTaskTimedOut,
];

/// A small generator (xorshift), so that a run can be told from the next and done again.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let given = std::env::var("SWARM_SEED").ok().and_then(|seed| seed.parse().ok());
        Self(given.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 | 1))
    }

    fn fraction(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
