//! Ours, the bare SDK, Python and TypeScript, side by side: the same workflow on the same server, through the
//! same emulator, taken in turn.
//!
//! A run becomes a [`Record`], and everything that is shown is made from that alone.

mod billed;
mod exits;
mod far;
mod fleet;
pub mod goals;
mod lab;
mod machine;
pub mod plots;
pub mod programs;
pub mod publish;
pub mod record;
pub mod rows;
mod run;
mod size;
mod small;
mod soak;
pub mod statistics;
pub mod tables;
mod throughput;
mod visits;

pub use record::{Record, Side};
pub use run::{Plan, run};
