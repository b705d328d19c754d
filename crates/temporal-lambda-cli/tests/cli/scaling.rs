//! What the server's own Worker Controller makes of a burst, and of a crash.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use crate::dev::{address, dev, done};
use crate::support::{Running, client, example, hello, start, start_on};

const BURST: usize = 50;
const CONCURRENCY: usize = 4;
/// How long an activity takes: long enough that one environment is not enough.
const NAP_MS: u64 = 250;

/// The environment of a line of the view, if it is about one.
fn environment(line: &str) -> Option<&str> {
    line.split_whitespace().find(|word| word.contains("-dev/"))
}

#[tokio::test]
async fn a_burst_is_done_by_as_many_environments_as_there_may_be() {
    let mut command = dev("hello");
    command.args(["--port", "0", "--concurrency", &CONCURRENCY.to_string(), "--"]).arg(hello());
    let mut dev = Running::start(&mut command);
    let address = address(&dev.line("server at"));
    dev.line("hello:dev is current");
    let client = client(&address).await;
    let burst = join_all((0..BURST).map(|number| {
        let client = &client;
        async move {
            let id = format!("burst-{number}");
            done(&start(client, "SleepWorkflow", &id, &NAP_MS).await).await;
        }
    }));
    let mut most = 0;
    let mut burst = std::pin::pin!(burst);
    loop {
        tokio::select! {
            _ = &mut burst => break,
            () = tokio::time::sleep(std::time::Duration::from_millis(50)) => {
                most = most.max(dev.children_of(&hello()).len());
            }
        }
    }
    // Every call of the burst is over, and told.
    dev.interrupt();
    dev.line("s billed, about $");
    let seen = dev.seen();
    assert!((2..=CONCURRENCY).contains(&most), "{most} processes at once\n{seen}");
    // No environment ended, so as many as there ever were is as many as there were at once.
    let cold = seen.lines().filter(|line| line.contains("cold start: process"));
    let environments: BTreeSet<_> = cold.filter_map(environment).collect();
    assert!((2..=CONCURRENCY).contains(&environments.len()), "{environments:?}\n{seen}");
    let mut running = BTreeMap::new();
    for line in seen.lines() {
        let Some(environment) = environment(line) else { continue };
        if line.contains(" begins") {
            let before = running.insert(environment, line);
            assert_eq!(before, None, "two at once in one environment\n{seen}");
        } else if line.contains(" done (") {
            assert!(running.remove(environment).is_some(), "{seen}");
        }
    }
}

#[tokio::test]
async fn a_function_that_crashes_is_called_again_and_the_work_completes() {
    let mut command = dev("crashing");
    command.args(["--port", "0", "--"]).arg(example("crashing"));
    let dev = Running::start(&mut command);
    let address = address(&dev.line("server at"));
    dev.line("crashing:dev is current");
    let client = client(&address).await;
    let workflow = start_on("crashing", &client, "CrashWorkflow", "falls", &1_u32).await;
    dev.line("crashing at attempt 1");
    let crash = dev.line("Runtime exited with error: exit status 101");
    assert!(crash.contains("invocation"), "{crash}");
    // Lambda's retry. The activity's is due later, and calls the function by itself.
    dev.line("failed and will be tried again (attempt 2)");
    dev.line(" begins");
    assert_eq!(done(&workflow).await, 2, "the attempt that did it");
}
