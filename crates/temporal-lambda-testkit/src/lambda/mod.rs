//! A Lambda emulator: real processes, the real Runtime API, and Lambda's rules about time.
//!
//! A [`LambdaEmulator`] runs functions as Lambda does: it starts an execution environment when
//! one is needed, gives it one event at a time over the Runtime API, freezes it in between, kills
//! it at the deadline, and tries failed `Event` invocations again. A function is a child process
//! ([`FunctionConfig::process`]) or a handler of the test itself ([`FunctionConfig::in_process`]).
//! What it did is on record: every [`Invocation`], and every step in the life of every
//! [`Environment`].
//!
//! The emulator also answers the part of AWS's API that a Temporal server calls, so that a real
//! one can invoke the functions: give it [`LambdaEmulator::endpoint_url`] as `AWS_ENDPOINT_URL`.
//!
//! ```
//! use serde_json::json;
//! use temporal_lambda_testkit::lambda::{FunctionConfig, LambdaEmulator};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let lambda = LambdaEmulator::start().await?;
//! let greet = lambda.add_function(FunctionConfig::in_process("greet", |event| async move {
//!     Ok(json!(format!("Hello, {}!", event.payload["name"].as_str().unwrap_or("you"))))
//! }))?;
//! let invocation = greet.invoke(r#"{"name":"Ada"}"#).await?;
//! assert_eq!(invocation.json(), Some(json!("Hello, Ada!")));
//! assert!(invocation.cold);
//! # Ok::<_, temporal_lambda_testkit::lambda::EmulatorError>(())
//! # }).unwrap();
//! ```
//!
//! # Where it differs from Lambda
//!
//! - A failed init ends the invocation; Lambda runs it once more.
//! - Retries of `Event` invocations come after 100 ms by default; Lambda's after minutes.
//! - Memory and CPU are not limited, and payload sizes are not checked.
//! - At [`LambdaEmulator::shutdown`] every environment gets SIGTERM, with or without extensions.
//! - Freezing is SIGSTOP: time passes, timers are late, but sockets stay up.
//! - SnapStart: `/restore/next` answers at once, without a snapshot.

mod aws;
mod config;
mod emulator;
mod environment;
mod error;
mod event;
mod function;
mod invocation;
mod log;
mod process;
mod schedule;
mod shared;

pub use self::{
    config::FunctionConfig,
    emulator::{LambdaEmulator, LambdaEmulatorBuilder},
    environment::{Environment, EnvironmentState, EnvironmentView},
    error::EmulatorError,
    event::{EmulatorEvent, EnvEvent},
    function::Function,
    invocation::{Invocation, InvocationType, Outcome},
    log::LogLine,
    process::{ProcessStats, ProcessStatsError},
};
