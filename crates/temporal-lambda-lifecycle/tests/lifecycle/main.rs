//! Tests of the lifecycle: what the table says, edge by edge; what DESIGN promises, as named
//! rules that know nothing of the table; the whole reachable state space; random sequences.

mod budgets;
mod edges;
mod grid;
mod machines;
mod pictures;
mod purity;
mod random;
mod reachable;
mod refusals;
mod stop_time;
mod world;

use std::time::Duration;

use temporal_lambda_lifecycle::{Allowance, Moment, Window};

/// The moment `millis` after the origin.
pub(crate) const fn at(millis: u64) -> Moment {
    Moment::new(Duration::from_millis(millis))
}

/// So many milliseconds.
pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The defaults: 5 s of grace, a buffer of 7 s, no idle timeout.
pub(crate) const fn defaults() -> Allowance {
    Allowance { grace: ms(5_000), buffer: ms(7_000), idle_timeout: None, minimum_stay: ms(1_000) }
}

/// A window that opens at the origin.
pub(crate) const fn window(millis: u64) -> Window {
    Window { arrival: at(0), deadline: Some(at(millis)) }
}

/// A window without an end.
pub(crate) const fn endless() -> Window {
    Window { arrival: at(0), deadline: None }
}
