#![doc = include_str!("docs/guide.md")]

mod config;
mod connection;
mod driver;
mod error;
mod from_fn;
pub mod guide;
mod hooks;
mod invocation;
mod lambda;
#[cfg(test)]
#[path = "../tests/support/nothing.rs"]
mod nothing;
mod observe;
pub mod report;
mod rotating;
mod telemetry;
mod temporal;
mod worker;

pub use async_trait::async_trait;
pub use config::{ConfigSource, LambdaVersion, LambdaWorkerConfig, Limits, defaults};
pub use error::{BoxError, ConfigError, Fault};
pub use from_fn::{FromFn, WithResource, from_fn, with_resource};
pub use hooks::{HookResult, Shutdown, ShutdownHooks};
pub use invocation::{CodecWork, CodecWorkGuard, Invocation, current_invocation, remaining_time};
pub use lambda::check::{self, CheckVerdict};
pub use lambda::{
    LambdaWorkerHandler, LambdaWorkerHandlerBuilder, POISONED_EXIT_CODE, PoisonLayer,
    PoisonService, WorkerFunction, run_worker,
};
pub use observe::{LIFECYCLE_TARGET, LifecycleMove, Transitions};
pub use report::error::LambdaWorkerError;
pub use report::{InvocationReport, Reason};
pub use rotating::Rotating;
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
#[cfg(feature = "emf")]
pub use telemetry::emf;
#[cfg(feature = "otel")]
pub use telemetry::otel;
#[doc(no_inline)]
pub use temporalio_client;
#[doc(no_inline)]
pub use temporalio_common;
#[doc(no_inline)]
pub use temporalio_sdk;
pub use tokio_util::sync::CancellationToken;
pub use worker::{LambdaWorker, PerInvocation, RunningWorker};

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeExamples;
