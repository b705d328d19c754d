//! Payloads in S3, end to end: a real Temporal server, a real S3 API, functions as child processes
//! behind the real Runtime API, and the Python and TypeScript SDKs with their own S3 drivers. What
//! these need from PyPI and npm is brought by the first test that needs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod interop;
mod kinds;
mod peers;
mod round_trip;
mod s3_server;
mod scene;
mod targets;
mod tools;
mod trouble;
#[path = "../functions/stored/workflows.rs"]
mod workflows;

/// The function that keeps payloads of all kinds in S3.
const STORED: &str = env!("CARGO_BIN_EXE_stored");
/// The example.
const EXAMPLE: &str = env!("CARGO_BIN_EXE_s3-payloads-under-test");
