//! Many workflows over many short invocations: no task is lost between them.
//!
//! In a program of its own, so that it has the machine for itself: what it looks for are moments.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use temporal_lambda_tests::{Invoked as _, World, temporal::count};
use temporalio_common::protos::temporal::api::enums::v1::EventType;
use tokio_util::sync::CancellationToken;

/// The hello example.
const HELLO: &str = env!("CARGO_BIN_EXE_hello-under-test");

const WORKFLOWS: usize = 500;
/// Environments at a time, at most.
const SERVERS: u64 = 4;
/// They come in this many swarms, with pauses between that are now shorter, now longer than the idle
/// timeout: many come when an invocation is about to end.
const SWARMS: usize = 14;
/// In the middle, nobody is invoked for longer than a task may lie on a sticky queue (10 s).
const PAUSE: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_workflows_over_idle_exiting_invocations_have_no_task_that_times_out() {
    let world = World::new("swarm").await;
    let temporal = world.temporal().await;
    let hello = world.add(
        world
            .config("hello", HELLO)
            .timeout(Duration::from_secs(60))
            .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s")
            .env("TEMPORAL_LAMBDA_MINIMUM_STAY", "500ms")
            .concurrency(SERVERS as usize),
    );
    let mut random = Random::seeded();
    println!("seed {}", random.0);

    let arrivals = arrivals(&mut random);
    let last = arrivals[WORKFLOWS - 1];
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
    let finished = CancellationToken::new();
    // Up to four environments at a time, each with gaps between its invocations.
    let servers = (0..SERVERS).map(|server| {
        let (hello, finished) = (&hello, &finished);
        let mut random = random.fork(server);
        async move {
            let (mut invocations, mut paused) = (Vec::new(), false);
            while !finished.is_cancelled() {
                let report = hello.invoke("{}").await.unwrap().report();
                invocations.push(format!("{} {}", report["request_id"], report["reason"]));
                if !paused && began.elapsed() > last / 2 {
                    paused = true;
                    tokio::time::sleep(PAUSE).await;
                }
                tokio::time::sleep(Duration::from_secs(1).mul_f64(random.fraction())).await;
            }
            invocations
        }
    });
    let watch = async {
        start.await;
        let mut open: HashSet<usize> = (0..WORKFLOWS).collect();
        while !open.is_empty() {
            assert!(began.elapsed() < last + Duration::from_secs(60), "{} are open", open.len());
            for number in Vec::from_iter(open.clone()) {
                if temporal.has_ended(&world.id(number)).await {
                    open.remove(&number);
                }
            }
        }
        finished.cancel();
    };
    let ((), invocations) = tokio::join!(watch, join_all(servers));
    let invocations = invocations.concat();
    let idle = invocations.iter().filter(|it| it.contains("idle")).count();
    println!("{} invocations, {idle} idle exits, {:?}", invocations.len(), began.elapsed());

    let mut lost = Vec::new();
    for number in 0..WORKFLOWS {
        let id = world.id(number);
        let history = temporal.history(&id).await;
        assert_eq!(count(&history, EventType::WorkflowExecutionCompleted), 1, "{id}");
        lost.extend(
            history
                .iter()
                .filter(|event| BAD.contains(&event.event_type()))
                .map(|event| format!("{id} {:?} in {history:#?}", event.attributes)),
        );
    }
    assert!(lost.is_empty(), "{} of {WORKFLOWS}: {lost:#?} {invocations:#?}", lost.len());
}

/// When each workflow arrives, after the first.
fn arrivals(random: &mut Random) -> Vec<Duration> {
    let mut arrivals = Vec::new();
    let mut swarm = Duration::ZERO;
    for number in 0..WORKFLOWS {
        if number % WORKFLOWS.div_ceil(SWARMS) == 0 {
            swarm += Duration::from_secs(2) + Duration::from_secs(3).mul_f64(random.fraction());
        }
        arrivals.push(swarm + Duration::from_secs(1).mul_f64(random.fraction()));
    }
    arrivals.sort();
    arrivals
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

    fn fork(&self, number: u64) -> Self {
        Self(self.0 ^ (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn fraction(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
