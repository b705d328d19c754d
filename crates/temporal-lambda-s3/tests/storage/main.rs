//! Storage, driver and codec layer, with a client that is no S3 and drivers that misbehave.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod codec;
mod fake;
mod options;
mod retrieve;
mod routing;
mod store;
mod trouble;
