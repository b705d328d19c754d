//! Each example on a real server: it answers the question that it asks. `crashing`, `hello` and
//! `quickstart` are tested with the command that runs them, `s3-payloads` with an S3 server, and
//! `testing` has its tests beside it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod closure;
mod embedding;
mod list;
mod managed_instances;
mod mtls;
mod otel;
mod resource;
mod resuming;
mod versions;
