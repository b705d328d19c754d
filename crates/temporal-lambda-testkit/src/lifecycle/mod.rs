//! Strategies for property tests of the lifecycle's rules, for [`proptest`](mod@proptest).
//!
//! The lifecycle of `temporal-lambda-worker` is a pure machine, so what a worker relies on can be
//! asked of thousands of invocations in a second: draw a [`Scenario`], [`run`](Scenario::run) it, look at
//! the [`Trace`].
//!
//! ```
//! use proptest::prelude::*;
//! use temporal_lambda_testkit::lifecycle::scenarios;
//! use temporal_lambda_lifecycle::Effect;
//!
//! proptest! {
//!     // In a test: #[test]
//!     fn a_worker_never_starts_twice(scenario in scenarios()) {
//!         let trace = scenario.run();
//!         prop_assert!(trace.count(Effect::OnStart) <= 1, "{trace}");
//!     }
//! }
//! # a_worker_never_starts_twice();
//! ```
//!
//! A scenario that fails shrinks to the shortest one that still does, and a [`Trace`] prints
//! as a list of what happened, line by line.
//!
//! For tests of single steps there are the parts: [`windows`], [`allowances`], [`inputs`],
//! [`input_sequences`].

mod scenario;
mod trace;

use std::ops::Range;
use std::time::Duration;

use proptest::prelude::*;
use proptest::{collection, option};
use temporal_lambda_lifecycle::{Allowance, Input, Moment, Window};

pub use scenario::{Failure, Happening, Scenario};
pub use trace::Trace;

/// Any time up to 15 minutes, Lambda's longest; often seconds.
pub fn times() -> impl Strategy<Value = Duration> + Clone {
    prop_oneof![
        4 => (0_u64..10_000).prop_map(Duration::from_millis),
        1 => (0_u64..900_000).prop_map(Duration::from_millis),
    ]
}

/// Any window: it arrives at any moment, and has any time; one in eight has no deadline.
pub fn windows() -> impl Strategy<Value = Window> + Clone {
    (times(), option::weighted(0.875, times())).prop_map(|(arrival, lasts)| {
        let arrival = Moment::new(arrival);
        Window { arrival, deadline: lasts.map(|time| arrival.later(time)) }
    })
}

/// Any settings that `configure` may leave: the buffer holds the grace period and what follows it.
/// Half of them have an idle timeout.
pub fn allowances() -> impl Strategy<Value = Allowance> + Clone {
    let small = || (0_u64..5_000).prop_map(Duration::from_millis);
    (small(), small(), option::of(small()), small()).prop_map(
        |(grace, spare, idle_timeout, minimum_stay)| Allowance {
            grace,
            buffer: Allowance::least_buffer(grace) + spare,
            idle_timeout,
            minimum_stay,
        },
    )
}

/// How long a worker's polls may take to end: as on a server that ends them, and as on one that does
/// not.
fn polls_end_within() -> impl Strategy<Value = Duration> + Clone {
    prop_oneof![Just(Duration::from_millis(200)), Just(Duration::from_millis(1_550))]
}

/// Any input, sensible at the moment or not. Most of them are refused in most steps.
pub fn inputs() -> impl Strategy<Value = Input<Failure>> + Clone {
    let failure = || any::<Failure>();
    prop_oneof![
        (windows(), allowances())
            .prop_map(|(window, allowance)| Input::Invoked { window, allowance }),
        allowances().prop_map(Input::Configured),
        Just(Input::Connected),
        polls_end_within().prop_map(|polls_end_within| Input::WorkerCreated { polls_end_within }),
        Just(Input::WorkerStarted),
        failure().prop_map(Input::Failed),
        Just(Input::Busy),
        Just(Input::Quiet),
        Just(Input::PollsEnded),
        Just(Input::Cancelled),
        Just(Input::WorkerStopped),
        failure().prop_map(Input::WorkerFailed),
        (0_usize..4).prop_map(Input::HookEnded),
        Just(Input::ShutdownEnded),
        Just(Input::Settled),
    ]
}

/// A sequence of any [`inputs`], of this length, each with the time since the one before it. Use it for
/// rules that hold whatever a driver says; invocations that get far come from [`scenarios`].
pub fn input_sequences(
    length: Range<usize>,
) -> impl Strategy<Value = Vec<(Duration, Input<Failure>)>> + Clone {
    collection::vec((times(), inputs()), length)
}

/// Any happening; most often all goes well.
pub fn happenings() -> impl Strategy<Value = Happening> + Clone {
    prop_oneof![
        12 => Just(Happening::Done),
        2 => Just(Happening::TaskStarted),
        2 => Just(Happening::TasksEnded),
        2 => any::<Failure>().prop_map(Happening::Failed),
        1 => Just(Happening::Cancelled),
    ]
}

/// Any invocation, with up to three hooks and up to 20 happenings at most 2 s apart.
pub fn scenarios() -> impl Strategy<Value = Scenario> + Clone {
    let apart = (0_u64..2_000).prop_map(Duration::from_millis);
    let happenings = collection::vec((apart, happenings()), 0..20);
    let settings = (allowances(), allowances(), polls_end_within());
    (windows(), settings, 0_usize..4, any::<bool>(), happenings).prop_map(
        |(window, (before, after, polls_end_within), hooks, cold, happenings)| Scenario {
            window,
            before,
            after,
            polls_end_within,
            hooks,
            cold,
            happenings,
        },
    )
}
