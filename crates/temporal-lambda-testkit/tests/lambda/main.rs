//! The Lambda emulator, with real child processes and over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod control_plane;
mod in_process;
mod lifecycle;
mod outcomes;
mod process;
mod python;
mod queue;
