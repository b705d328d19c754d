//! Tests of the driver under paused time, with a scripted user's worker and a scripted Temporal.
//!
//! A [`script`] says how long everything takes and how it ends. A [`performance`] plays it with the
//! real driver, between the user's side of the [`stage`] and Temporal's, the [`theatre`], and
//! writes down what was seen. The [`rehearsal`] plays it with the bare machine. The lifecycle's own
//! rules judge both, and both must have seen the same.
//!
//! Code that never yields cannot be tested on one thread in paused time.

mod ends;
mod missing;
mod order;
mod performance;
mod random;
mod rehearsal;
mod script;
mod stage;
mod states;
mod theatre;
