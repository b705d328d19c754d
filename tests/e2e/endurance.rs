//! What an environment costs does not grow with the invocations that it serves.

use temporal_lambda_testkit::lambda::ProcessStats;
use temporal_lambda_tests::{Invoked as _, World, growth};

use crate::HELLO;

const INVOCATIONS: usize = 100;
/// From here on, nothing is made for the first time.
const WARMED_UP: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_warm_invocations_leave_no_threads_no_descriptors_and_no_memory_behind() {
    let world = World::new("endurance").await;
    let temporal = world.temporal().await;
    // One arena for all threads: what one of them frees is used by the others, so that only a leak adds up.
    let hello = world.config_with_short_idle("hello", HELLO).env("MALLOC_ARENA_MAX", "1");
    let hello = world.add(hello);
    let mut readings = Vec::new();
    for number in 1..=INVOCATIONS {
        let id = world.id(number);
        temporal.start(&world.name, &id, "HelloWorkflow", "you").await;
        let invocation = hello.invoke("{}").await.unwrap();
        invocation.report();
        // Frozen until the next event, so nothing changes under the reading.
        let env = hello.environment(&invocation.environment).unwrap();
        readings.push(ProcessStats::of(env.pid().unwrap()).unwrap());
    }
    for (number, stats) in readings.iter().enumerate().filter(|(number, _)| number % 10 == 4) {
        println!("{}: {stats:?}", number + 1);
    }
    assert_eq!(hello.environments().len(), 1);
    // A thread that is about to end may be caught by the freeze. And `lambda_runtime` opens a second
    // connection to the Runtime API when it asks for the next event before the answer to its
    // response is read to the end. Neither adds up.
    let least = |of: fn(&ProcessStats) -> u64, some: &[ProcessStats]| {
        some.iter().map(of).min().expect("readings")
    };
    let (early, late) = (&readings[WARMED_UP - 1..WARMED_UP + 5], &readings[INVOCATIONS - 10..]);
    assert_eq!(least(|it| it.threads, late), least(|it| it.threads, early), "threads");
    assert!(least(|it| it.fds, late) <= least(|it| it.fds, early) + 1, "file descriptors");
    let most = |of: fn(&ProcessStats) -> u64| readings[WARMED_UP..].iter().map(of).max();
    assert!(most(|it| it.threads) <= Some(readings[WARMED_UP].threads + 1), "threads");
    assert!(most(|it| it.fds) <= Some(readings[WARMED_UP].fds + 4), "file descriptors");
    let rss: Vec<_> = readings[WARMED_UP..].iter().map(|it| it.rss_kb).collect();
    let grown = growth::per_reading(&rss).expect("readings");
    assert!(grown < growth::TOLERATED_KB, "{grown:.1} kB with each invocation: {rss:?}");
}
