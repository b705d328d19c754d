//! The command, end to end: a real server, real functions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod demo;
mod deploy;
mod dev;
mod doctor;
mod invoke;
mod packages;
mod picture;
mod quickstart;
mod scaling;
mod support;
mod svg;
mod terminal;
mod watch;
