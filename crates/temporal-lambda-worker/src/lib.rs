#![doc = include_str!("docs/guide.md")]

pub mod check;
mod codec_work;
mod config;
mod connection;
mod driver;
#[cfg(feature = "emf")]
pub mod emf;
mod environment;
mod error;
mod event;
mod from_fn;
mod handler;
mod hooks;
mod invocation;
mod load;
mod logs;
mod observe;
#[cfg(feature = "otel")]
pub mod otel;
mod payload;
mod poison;
pub mod report;
mod rotating;
mod run;
mod runtime_api;
mod telemetry;
mod temporal;
#[doc = include_str!("docs/testing.md")]
pub mod testing_guide {}
mod worker;

pub use async_trait::async_trait;
pub use check::CheckVerdict;
pub use codec_work::{CodecWork, CodecWorkGuard};
pub use config::{ConfigError, ConfigSource, LambdaVersion, LambdaWorkerConfig, Limits, defaults};
pub use error::{Fault, LambdaWorkerError};
pub use from_fn::{FromFn, WithResource, from_fn, with_resource};
pub use handler::{LambdaWorkerHandler, LambdaWorkerHandlerBuilder};
pub use hooks::{HookResult, ShutdownHooks};
pub use invocation::{Invocation, current_invocation, remaining_time};
pub use observe::{LIFECYCLE_TARGET, Observed, Transitions};
pub use poison::{POISONED_EXIT_CODE, PoisonLayer, PoisonService};
pub use report::{InvocationReport, Reason};
pub use rotating::Rotating;
pub use run::{WorkerFunction, run_worker};
/// The lifecycle of an invocation, as a pure machine. Its version is 0.x whatever this crate's is: `State`
/// is stable, everything else there may change with any release. Do not build on it beyond tests.
#[doc(inline)]
pub use temporal_lambda_lifecycle as lifecycle;
pub use temporalio_common::telemetry::metrics::CoreMeter;
pub use temporalio_common::worker::WorkerDeploymentVersion;
// The crates whose types stand in this API, in the versions that it is built with.
#[doc(no_inline)]
pub use lambda_runtime;
#[cfg(feature = "otel")]
#[doc(no_inline)]
pub use opentelemetry;
#[cfg(feature = "otel")]
#[doc(no_inline)]
pub use opentelemetry_sdk;
#[doc(no_inline)]
pub use temporalio_client;
#[doc(no_inline)]
pub use temporalio_common;
#[doc(no_inline)]
pub use temporalio_sdk;
pub use tokio_util::sync::CancellationToken;
pub use worker::{BoxError, LambdaWorker, PerInvocation, RunningWorker, Shutdown};

/// What a panic said.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// A variable that says something. One that is not Unicode says nothing.
#[cfg(any(feature = "otel", feature = "emf"))]
fn variable(name: &str) -> Option<String> {
    config::Variables::only(name).get(name).ok().flatten().map(str::to_owned)
}

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeExamples;
