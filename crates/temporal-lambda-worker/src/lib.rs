#![doc = include_str!("docs/guide.md")]

mod check;
mod codec_work;
mod config;
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
pub use check::{CheckVerdict, CheckedConfiguration, Finding, Level};
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
pub use temporal_lambda_lifecycle as lifecycle;
pub use temporalio_common::telemetry::metrics::CoreMeter;
pub use temporalio_common::worker::WorkerDeploymentVersion;
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
