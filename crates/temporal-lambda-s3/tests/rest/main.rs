//! The S3 client against a server that answers as it is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod requests;
mod server;
