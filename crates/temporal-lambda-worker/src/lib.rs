#![doc = include_str!("docs/guide.md")]

mod check;
mod codec_work;
mod config;
mod driver;
#[cfg(feature = "emf")]
pub mod emf;
mod environment;
mod error;
mod handler;
mod hooks;
mod invocation;
pub mod lifecycle;
mod logs;
mod observe;
#[cfg(feature = "otel")]
pub mod otel;
pub mod report;
mod rotating;
mod run;
mod telemetry;
mod temporal;
#[doc = include_str!("docs/testing.md")]
pub mod testing_guide {}
mod worker;

pub use async_trait::async_trait;
pub use check::{CheckVerdict, CheckedConfiguration, Finding, Level};
pub use codec_work::{CodecWork, CodecWorkGuard};
pub use config::{ConfigError, LambdaVersion, LambdaWorkerConfig, defaults};
pub use error::{Fault, LambdaWorkerError};
pub use handler::LambdaWorkerHandler;
pub use hooks::ShutdownHooks;
pub use invocation::{Invocation, current_invocation, remaining_time};
pub use observe::{LIFECYCLE_TARGET, Observed};
pub use report::{InvocationReport, Reason};
pub use rotating::Rotating;
pub use run::{POISONED_EXIT_CODE, WorkerFunction, run_worker};
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

/// An environment variable that says something.
#[cfg(any(feature = "otel", feature = "emf"))]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeExamples;
