//! The strategies: what they promise, and that they reach every corner.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use temporal_lambda_lifecycle::{Allowance, Effect, Machine, Moment, Refusal, Step, Window};
use temporal_lambda_testkit::lifecycle::{
    Happening, Scenario, allowances, input_sequences, scenarios,
};

proptest! {
    // A failure prints what happened; no file is needed to have it again.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn allowances_are_such_as_configure_may_leave(allowance in allowances()) {
        prop_assert!(allowance.buffer >= Allowance::least_buffer(allowance.grace));
    }

    #[test]
    fn scenarios_say_nothing_illegal_and_end(scenario in scenarios()) {
        let trace = scenario.run();
        prop_assert!(trace.machine.step().is_torn_down());
        for refusal in &trace.refusals {
            prop_assert!(matches!(refusal, Refusal::NoOp { .. }), "{refusal:?}\n{trace}");
        }
    }

    #[test]
    fn sequences_of_any_inputs_never_panic(inputs in input_sequences(0..40)) {
        let (mut machine, mut now) = (Machine::cold(), Moment::default());
        for (after, input) in inputs {
            now = now.later(after);
            machine.handle_timeout(now);
            let _ = machine.handle(now, input);
        }
    }
}

#[test]
fn scenarios_reach_every_step() {
    let mut runner = TestRunner::deterministic();
    let mut reached = HashSet::from([Step::ColdStart]);
    for _ in 0..5_000 {
        let scenario = scenarios().new_tree(&mut runner).expect("a scenario").current();
        reached.extend(scenario.run().moves().iter().map(|it| it.to));
    }
    let missing: Vec<_> = Step::all().filter(|step| !reached.contains(step)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_trace_prints_every_input_timer_and_effect_with_its_time() {
    let second = Duration::from_secs(1);
    let arrival = Moment::new(5 * second);
    let allowance = Allowance {
        grace: second,
        buffer: 3 * second,
        idle_timeout: None,
        minimum_stay: Duration::ZERO,
    };
    let done = (Duration::from_millis(10), Happening::Done);
    let scenario = Scenario {
        window: Window { arrival, deadline: Some(arrival.later(20 * second)) },
        before: allowance,
        after: allowance,
        polls_end_within: Duration::from_millis(1_700),
        hooks: 1,
        cold: true,
        happenings: vec![done; 4],
    };
    let trace = scenario.run();
    assert_eq!(trace.count(Effect::RunHook(0)), 1);
    // The last polls need 2 s, and here they are never said to have ended: 0.6 s are kept before the deadline.
    assert_eq!(trace.first(Effect::HoldPolls), Some(arrival.later(15 * second)));
    let stopped = arrival.later(Duration::from_millis(19_400));
    assert_eq!(trace.first(Effect::StopWorker), Some(stopped));
    let text = trace.to_string();
    for line in [
        "       0.0 ms  -> Configure\n       10.0 ms  <- Configured(",
        "      40.0 ms  <- WorkerStarted\n       40.0 ms  -> Poll",
        "   15000.0 ms  .. StopNear\n    15000.0 ms  -> HoldPolls",
        "   19400.0 ms  .. CapPassed\n    19400.0 ms  -> StopWorker",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
