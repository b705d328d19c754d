//! The Lambda emulator, with real child processes and over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aliases;
mod boto3;
mod control_plane;
mod deploy;
mod event_config;
mod expiry;
mod http;
mod in_process;
mod lifecycle;
mod outcomes;
mod package;
mod process;
mod python;
mod queue;
mod refusals;
