//! Tests of the driver under paused time, with a scripted user's worker and a scripted Temporal.
//!
//! A [`scripted_invocation`] says how long each part takes and how it ends. The real driver runs it ([`driven`]),
//! between the user's side ([`scripted_user`]) and Temporal's ([`scripted_temporal`]), and a trace is written. The
//! [`bare_machine`] runs it without a driver. The lifecycle's own rules judge both traces, and both must be the
//! same.
//!
//! Code that never yields cannot be tested on one thread in paused time.

mod bare_machine;
mod driven;
mod ends;
mod missing;
mod order;
mod random;
mod scripted_invocation;
mod scripted_temporal;
mod scripted_user;
mod states;

use std::time::Duration;

use crate::lifecycle::{Allowance, Moment};

/// The moment `millis` after the origin.
const fn at(millis: u64) -> Moment {
    Moment::new(Duration::from_millis(millis))
}

/// So many milliseconds.
const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The defaults: 5 s of grace, a buffer of 7 s, no idle timeout.
const fn defaults() -> Allowance {
    Allowance { grace: ms(5_000), buffer: ms(7_000), idle_timeout: None, minimum_stay: ms(1_000) }
}
