//! What this worker relies on, asked of thousands of invocations: in every one of them, whatever
//! goes wrong and whenever, a lease that was taken is given back.

use proptest::prelude::*;
use temporal_lambda_testkit::lifecycle::scenarios;
use temporal_lambda_worker::lifecycle::{Effect, Ending};

proptest! {
    // A failure prints what happened; no file is needed to have it again.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_lease_that_was_taken_is_given_back_once_and_in_time(scenario in scenarios()) {
        let performance = scenario.play();
        // `configure` takes it, `on_shutdown` gives it back.
        let taken = performance.count(Effect::Configure);
        let given_back = performance.count(Effect::OnShutdown);
        prop_assert_eq!(given_back, taken, "{}", performance);
        let late = scenario.window.deadline.is_some_and(|deadline| performance.ended > deadline);
        // An event may come when its deadline is past.
        prop_assert!(!late || taken == 0, "{performance}");
    }

    #[test]
    fn orders_are_only_taken_once_the_worker_is_connected(scenario in scenarios()) {
        let performance = scenario.play();
        if let Some(polls) = performance.first(Effect::Poll) {
            let connects = performance.first(Effect::Connect);
            prop_assert!(connects.is_some_and(|at| at <= polls), "{performance}");
        }
    }

    #[test]
    fn an_invocation_without_failures_says_why_it_ended(scenario in scenarios()) {
        let performance = scenario.play();
        if performance.machine.causes().is_empty() {
            prop_assert!(performance.machine.ending() != Some(Ending::Failed), "{performance}");
        }
    }
}
