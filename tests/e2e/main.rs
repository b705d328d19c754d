//! End to end: functions as child processes, behind the real Runtime API, on a real Temporal
//! server. What only a broken server or network shows has the mock frontend or a proxy instead.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod activities;
mod basics;
mod calls;
mod check;
mod concurrent;
mod configured;
mod credentials;
mod diagnoses;
mod endurance;
mod environment;
mod faults;
mod logs;
mod network;
mod odd_events;
mod peers;
mod poisoned;
mod polls;
mod settings;
mod telemetry;
mod tls;

/// The hello example.
const HELLO: &str = env!("CARGO_BIN_EXE_hello-under-test");
/// The function that misbehaves.
const PROBE: &str = env!("CARGO_BIN_EXE_probe");
/// The function of the swarm.
const SWARMING: &str = env!("CARGO_BIN_EXE_swarming");
/// The function that says when its environment ends.
const ENDING: &str = env!("CARGO_BIN_EXE_ending");
/// What `RUST_LOG` must be so that the moves of the lifecycle are in the log.
const LOGS_MOVES: &str = "info,temporal_lambda_worker::lifecycle=debug";
/// The function with telemetry.
const TRACED: &str = env!("CARGO_BIN_EXE_traced");
