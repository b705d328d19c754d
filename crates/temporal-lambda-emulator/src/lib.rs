//! A Lambda emulator: real processes, the real Runtime API, and Lambda's rules about time.
//!
//! A [`LambdaEmulator`] runs functions as Lambda does: it starts an execution environment when
//! one is needed, gives it one event at a time over the Runtime API, freezes it in between, kills
//! it at the deadline, and tries failed `Event` invocations again. A function is a child process
//! ([`FunctionConfig::process`]) or a handler of the test itself ([`FunctionConfig::in_process`]).
//! What it did is on record: every [`Invocation`], and every step in the life of every
//! [`Environment`]. For a handler that the test calls itself, [`context`] makes events without an emulator.
//!
//! The emulator also answers AWS's API: give [`LambdaEmulator::endpoint_url`] as `AWS_ENDPOINT_URL` to
//! a Temporal server, which then invokes the functions, or to a tool that deploys them. A zip that is
//! uploaded is unpacked into a folder of its own, and its `bootstrap` runs there with the variables that
//! Lambda and the function set, and no others. [`LambdaEmulator::function`] finds what was deployed.
//!
//! ```
//! use serde_json::json;
//! use temporal_lambda_emulator::{FunctionConfig, LambdaEmulator};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let lambda = LambdaEmulator::start().await?;
//! let greet = lambda.add_function(FunctionConfig::in_process("greet", |event| async move {
//!     Ok(json!(format!("Hello, {}!", event.payload["name"].as_str().unwrap_or("you"))))
//! }))?;
//! let invocation = greet.invoke(r#"{"name":"Ada"}"#).await?;
//! assert_eq!(invocation.json(), Some(json!("Hello, Ada!")));
//! assert!(invocation.cold);
//! # Ok::<_, temporal_lambda_emulator::EmulatorError>(())
//! # }).unwrap();
//! ```
//!
//! # What of AWS's API there is
//!
//! - Functions: `CreateFunction`, `UpdateFunctionCode` (zips in the request), `UpdateFunctionConfiguration`,
//!   `GetFunction`, `GetFunctionConfiguration`, `ListFunctions`, `DeleteFunction`.
//! - Versions: `PublishVersion`, `ListVersionsByFunction`. A version does not change; what did not change
//!   since the last one makes no other.
//! - Aliases: `CreateAlias`, `UpdateAlias`, `GetAlias`, `ListAliases`, `DeleteAlias`, weights included.
//! - `Invoke` with a version, an alias or `$LATEST` as the qualifier, and with the log's tail.
//! - `Put`-, `Get`- and `DeleteFunctionConcurrency`; `Put`-, `Update`-, `Get`- and
//!   `DeleteFunctionEventInvokeConfig`.
//! - STS: `AssumeRole`, `GetCallerIdentity`.
//!
//! What Lambda refuses is refused with its errors. So is what the emulator does not have: code in S3,
//! images, runtimes other than `provided`, programs for another architecture, layers, networks, file
//! systems, dead-letter queues, destinations.
//!
//! # Where it differs from Lambda
//!
//! - A failed init ends the invocation; Lambda runs it once more. After a crash or a timeout the next
//!   invocation has an init with 10 s of its own; Lambda runs that one within the invocation's timeout.
//! - Retries of `Event` invocations come after 100 ms by default, the second after 200 ms; Lambda's after one
//!   minute and two. Throttled ones are tried again after 10 ms to 3 s; Lambda's after 1 s to 5 minutes.
//!   None comes twice unless [`FunctionConfig::event_deliveries`] says so.
//! - Memory and CPU are not limited, so that times and costs are those of a whole core; the sizes of
//!   payloads and packages are not checked.
//! - A function is active at once. Its folder can be written to, and is not `/var/task`:
//!   `LAMBDA_TASK_ROOT` names it. Processes see the machine's own files.
//! - [`Function::invoke`] delivers any payload; the API refuses what is not JSON.
//! - Callers, roles and permissions are not checked, but for an external ID. Settings of tracing, logging,
//!   storage and SnapStart are taken from the API and change nothing.
//! - At [`LambdaEmulator::shutdown`] every environment gets SIGTERM, with or without extensions.
//! - Extensions get SHUTDOWN whether they registered for it or not, the errors that they post change
//!   nothing, and an environment is frozen without waiting for them. There is no Telemetry API.
//! - All that happened stays on record, logs included, for as long as the emulator lives.
//! - Freezing is SIGSTOP: time passes, timers are late, but sockets stay up.
//! - SnapStart: `/restore/next` answers at once, without a snapshot.

mod aws;
mod config;
pub mod context;
mod emulator;
mod environment;
mod error;
mod event;
mod function;
mod invocation;
mod log;
mod package;
mod process;
mod queue;
mod request;
mod schedule;
mod shared;
mod slots;

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
