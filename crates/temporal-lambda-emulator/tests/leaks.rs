//! The emulator over many cold starts. Alone in its process, whose file descriptors it counts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use temporal_lambda_emulator::{FunctionConfig, LambdaEmulator, Outcome, ProcessStats};
use temporal_lambda_test_timing::{TimeLimit, eventually};

#[tokio::test]
async fn gone_environments_hold_no_file_descriptors() {
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    // It ends before its first event: the cheapest environment that there is.
    let config = FunctionConfig::process("brief", "sh").args(["-c", "echo said; exit 3"]);
    let function = lambda.add_function(config).unwrap();
    let cold_starts = async |count: usize| {
        for _ in 0..count {
            let invocation = function.invoke("{}").await.unwrap();
            let Outcome::InitFailed { log_tail, .. } = &invocation.outcome else {
                panic!("{:?}", invocation.outcome);
            };
            assert_eq!(log_tail, "said");
        }
    };
    let fds = || ProcessStats::of_self().unwrap().fds;

    cold_starts(5).await;
    let before = fds();
    cold_starts(50).await;
    // The listeners of the last ones may still be closing.
    eventually(format!("at most {before} file descriptors"), || fds() <= before).await;
}
