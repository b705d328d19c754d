//! An invocation, and what happens in it.

use std::time::Duration;

use temporal_lambda_lifecycle::{Allowance, Window};

/// A failure: a number, by which a test tells one from another.
pub type Failure = u32;

/// Something that happens in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// What the lifecycle waits for happens: `configure` returns, the connection is made, no poll
    /// is under way any more, the worker has drained, a hook ends.
    Done,
    /// What the lifecycle waits for fails. While polling, the worker ends with an error. What
    /// cannot fail is done instead.
    Failed(Failure),
    /// A task is in flight. Only while polling; else nothing.
    TaskStarted,
    /// No task is in flight any more. Only while polling; else nothing.
    TasksEnded,
    /// The invocation is cancelled.
    Cancelled,
}

/// One invocation of a property test.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its time.
    pub window: Window,
    /// The settings that it begins with.
    pub before: Allowance,
    /// The settings that `configure` leaves.
    pub after: Allowance,
    /// How long the worker's polls may take to end.
    pub polls_end_within: Duration,
    /// How many shutdown hooks `configure` adds.
    pub hooks: usize,
    /// Whether it is the environment's first invocation.
    pub cold: bool,
    /// What happens, each with the time since the one before it. After the last one nothing
    /// happens any more; only time passes. Without a deadline it is then cancelled.
    pub happenings: Vec<(Duration, Happening)>,
}
