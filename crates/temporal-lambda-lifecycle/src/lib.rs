//! The lifecycle of a Temporal worker's Lambda invocation as a pure state machine.
//!
//! Nothing in here knows a clock, a socket, an async runtime, Lambda or the Temporal SDK: time is
//! an argument, what happens comes in as an [`Input`], what is to be done goes out as an
//! [`Effect`]. The driver in `temporal-lambda-worker` feeds the machine and carries out what it
//! says.
//!
//! [`table`] holds the rules: what an input counts as, and what every event does in every step.
//!
#![doc = include_str!("diagram.md")]

pub mod budget;
pub mod diagram;
mod machine;
mod messages;
#[cfg(feature = "test-util")]
pub mod rules;
#[cfg(feature = "test-util")]
pub mod simulation;
mod step;
pub mod table;

pub use budget::{
    AFTER_GRACE, Allowance, BUFFER_OVER_GRACE, CALLBACK_RESERVE, MIN_WORK_TIME, Moment, POLL_SPARE,
    REFUSED_FOR, RESPONSE_RESERVE, SHORT_WORK_TIME, Window, callback_time,
};
pub use machine::Machine;
pub use messages::{Cause, Effect, Ending, Input, Refusal, Transition};
pub use step::{Event, State, Step};
