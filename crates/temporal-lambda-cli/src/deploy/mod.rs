//! `deploy`, `rollback`, `status` and `prune`: a function and its worker deployment, from source to traffic.
//!
//! `look.rs` finds out what there is, `plan.rs` decides from that alone which steps are left, and `carry_out.rs` takes
//! them. So a command that was interrupted goes on when it is run again.

mod build;
mod carry_out;
mod compute;
pub(crate) mod error;
mod look;
mod names;
mod package;
mod place;
mod plan;
pub(crate) mod prune;
pub(crate) mod rollback;
mod routing;
mod states;
pub(crate) mod status;
mod step;
pub(crate) mod up;
