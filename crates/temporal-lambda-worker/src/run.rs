//! `run_worker`: the whole `main` of a function that is nothing but a worker.

use std::env::VarError;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{
    LambdaEvent, LambdaInvocation, Runtime, Service, service_fn, tracing as lambda_tracing,
};
use serde::de::IgnoredAny;
use temporalio_common::worker::WorkerDeploymentVersion;

use crate::config::ConfigError;
use crate::error::{Fault, LambdaWorkerError};
use crate::handler::LambdaWorkerHandler;
use crate::panic_message;
use crate::worker::{BoxError, LambdaWorker};

/// The exit code after a [poisoned](crate::LambdaWorkerError::is_poisoned) invocation: 70, the
/// `EX_SOFTWARE` of BSD's `sysexits`. Any other than zero would do; this one is told apart.
pub const POISONED_EXIT_CODE: i32 = 70;

/// Runs a Temporal worker in every invocation of this Lambda function, until Lambda ends the
/// environment.
///
/// Any event is accepted, an empty one or one that is not JSON included. If the application has
/// installed no `tracing` subscriber, `lambda_runtime`'s is installed, writing to stderr; it
/// follows `AWS_LAMBDA_LOG_FORMAT`, `AWS_LAMBDA_LOG_LEVEL` and `RUST_LOG`.
///
/// # Errors
/// [`Fault::Configuration`] if a variable that Lambda sets is missing or wrong, [`Fault::Runtime`]
/// if the Runtime API fails. A failed invocation is posted to Lambda and is no error here.
///
/// # Exit
/// If something of an invocation could not be stopped, its error is posted first and then the
/// process exits with [`POISONED_EXIT_CODE`], so that Lambda replaces the environment. (It exits
/// instead of returning, because an async runtime waits for a blocked thread for ever.)
///
/// # Cancel safety
/// Dropping the future cancels the invocation that is under way; draining goes on in the
/// background if its runtime goes on.
pub async fn run_worker<W: LambdaWorker + Sync>(
    version: WorkerDeploymentVersion,
    worker: W,
) -> Result<(), LambdaWorkerError> {
    if !lambda_tracing::dispatcher::has_been_set() {
        lambda_tracing::init_default_subscriber_with_writer(std::io::stderr);
    }
    check_environment()?;
    let handler = LambdaWorkerHandler::new(version, worker)?;
    let outermost = handler.clone();
    let run = async move {
        let serve = service_fn(move |event: LambdaEvent<IgnoredAny>| handler.handle(event));
        Runtime::new(serve)
            .layer(TracingLayer::new())
            .layer(tower::layer::layer_fn(move |inner| Outermost {
                inner,
                handler: outermost.clone(),
            }))
            .run()
            .await
    };
    // `lambda_runtime` panics where the Runtime API leaves out a header.
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Fault::Runtime(error.to_string()).into()),
        Err(panic) => Err(Fault::Runtime(panic_message(&*panic)).into()),
    }
}

/// `lambda_runtime` panics where one of these is missing.
fn check_environment() -> Result<(), ConfigError> {
    let names =
        ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"];
    for name in names {
        read(name)?;
    }
    let name = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
    read(name)?
        .parse::<i32>()
        .map_err(|error| ConfigError::BadLambdaVariable { name, reason: error.to_string() })?;
    Ok(())
}

fn read(name: &'static str) -> Result<String, ConfigError> {
    std::env::var(name).map_err(|error| match error {
        VarError::NotPresent => ConfigError::NotInLambda { name },
        VarError::NotUnicode(_) => {
            ConfigError::BadLambdaVariable { name, reason: "it is not valid Unicode".to_owned() }
        }
    })
}

/// The outermost layer: it sees an event before anything reads it, and a response only after it
/// was posted.
#[derive(Clone)]
struct Outermost<S, W> {
    inner: S,
    handler: LambdaWorkerHandler<W>,
}

impl<S, W> Service<LambdaInvocation> for Outermost<S, W>
where
    S: Service<LambdaInvocation, Response = (), Error = BoxError>,
    S::Future: Send + 'static,
    W: LambdaWorker + Sync,
{
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        if serde_json::from_slice::<IgnoredAny>(&invocation.body).is_err() {
            // No payload, or none that is JSON: `lambda_runtime` would refuse it, but nobody here
            // looks at it.
            invocation.body = b"null".as_slice().into();
        }
        let posted = self.inner.call(invocation);
        let handler = self.handler.clone();
        Box::pin(async move {
            let result = posted.await;
            // Others that are under way in this environment end first.
            if handler.is_poisoned() && handler.active_invocations() == 0 {
                std::process::exit(POISONED_EXIT_CODE);
            }
            result
        })
    }
}
