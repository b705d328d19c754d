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
        let trace = scenario.run();
        // `configure` takes it, `on_shutdown` gives it back.
        let taken = trace.count(Effect::Configure);
        let given_back = trace.count(Effect::OnShutdown);
        prop_assert_eq!(given_back, taken, "{}", trace);
        let late = scenario.window.deadline.is_some_and(|deadline| trace.ended > deadline);
        // An event may come when its deadline is past.
        prop_assert!(!late || taken == 0, "{trace}");
    }

    #[test]
    fn orders_are_only_taken_once_the_worker_is_connected(scenario in scenarios()) {
        let trace = scenario.run();
        if let Some(polls) = trace.first(Effect::Poll) {
            let connects = trace.first(Effect::Connect);
            prop_assert!(connects.is_some_and(|at| at <= polls), "{trace}");
        }
    }

    #[test]
    fn an_invocation_without_failures_says_why_it_ended(scenario in scenarios()) {
        let trace = scenario.run();
        if trace.machine.causes().is_empty() {
            prop_assert!(trace.machine.ending() != Some(Ending::Failed), "{trace}");
        }
    }
}
