//! Running a function that only serves workers: `run_worker`, and [`WorkerFunction`] with more settings.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{
    LambdaEvent, Runtime, SnapStartResource, service_fn, spawn_graceful_shutdown_handler,
    tracing as lambda_tracing,
};
use serde_json::Value;
use temporalio_common::worker::WorkerDeploymentVersion;

use super::runtime_api;
use crate::config::{ConfigSource, Variables};
use crate::driver::environment::Environment;
use crate::error::{BoxError, panic_message};
use crate::lambda::handler::{LambdaWorkerHandler, LambdaWorkerHandlerBuilder};
use crate::lambda::payload::{Payload, Payloads, TakesPayload, Ticket};
use crate::report::LambdaWorkerError;
use crate::telemetry::logs;
use crate::worker::LambdaWorker;

/// Runs a Temporal worker in every invocation of this Lambda function, until Lambda ends the
/// environment. Most functions need nothing else in `main`; [`WorkerFunction`] has more settings.
///
/// A worker runs for any event, whatever its payload, which is not read. The event
/// `{"temporal_lambda_worker": {"check": true}}` asks for a [check](crate::CheckVerdict) instead; it may
/// come as the body of a request to a function URL or API Gateway, or through SQS, SNS or EventBridge.
///
/// If the application has installed no `tracing` subscriber, one is installed that writes to stderr:
/// JSON, or text where `AWS_LAMBDA_LOG_FORMAT` is `Text` or where it is unset and stderr is a terminal;
/// from the level in `AWS_LAMBDA_LOG_LEVEL`, else by `RUST_LOG`, else from `INFO`. Errors of this crate
/// and of `lambda_runtime` are written at any level. Every line of an invocation carries its request ID.
///
/// # Errors
/// [`Fault::Configuration`](crate::Fault::Configuration) if a variable that Lambda sets is missing or wrong,
/// [`Fault::Runtime`](crate::Fault::Runtime)
/// if the Runtime API fails. A failed invocation is posted to Lambda and is no error here.
///
/// # Exit
/// If something of an invocation could not be stopped, its error is posted first and then the
/// process exits with [`POISONED_EXIT_CODE`](crate::POISONED_EXIT_CODE), so that Lambda replaces the environment. (It exits
/// instead of returning, because an async runtime waits for a blocked thread for ever.)
///
/// # Cancel safety
/// Dropping the future cancels the invocation that is under way; draining goes on in the
/// background if its runtime goes on.
pub async fn run_worker<W: LambdaWorker>(
    version: WorkerDeploymentVersion,
    worker: W,
) -> Result<(), LambdaWorkerError> {
    WorkerFunction::new(version, worker).run().await
}

type EndHook = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// A Lambda function that only serves workers.
pub struct WorkerFunction<W> {
    handler: LambdaWorkerHandlerBuilder<W>,
    end: Option<EndHook>,
}

impl<W: LambdaWorker> WorkerFunction<W> {
    /// A function that runs `worker` as `version` of its worker deployment.
    pub fn new(version: WorkerDeploymentVersion, worker: W) -> Self {
        Self { handler: LambdaWorkerHandler::builder(version, worker), end: None }
    }

    /// The task queue where neither `temporal.toml` nor the environment names one. Default: none.
    #[must_use]
    pub fn task_queue(mut self, task_queue: impl Into<String>) -> Self {
        self.handler = self.handler.task_queue(task_queue);
        self
    }

    /// Where the configuration comes from. Default: `temporal.toml` and the environment.
    #[must_use]
    pub fn config_source(mut self, source: ConfigSource) -> Self {
        self.handler = self.handler.config_source(source);
        self
    }

    /// Runs `hook` when Lambda ends the environment (SIGTERM), after the connection to Temporal
    /// was dropped. It has about 0.5 s, then Lambda kills the process.
    ///
    /// Lambda sends the signal only to functions with an extension, so this registers
    /// `lambda_runtime`'s empty one. Where that fails (in an emulator without extensions), a
    /// warning is logged and the hook never runs.
    #[must_use]
    pub fn on_environment_end<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.end = Some(Box::new(move || hook().boxed()));
        self
    }

    /// Serves invocations until Lambda ends the environment: several at once where
    /// `AWS_LAMBDA_MAX_CONCURRENCY` says so (Lambda Managed Instances), one at a time elsewhere.
    ///
    /// With SnapStart, the connection is dropped before the snapshot and made anew by the first
    /// invocation after it.
    ///
    /// # Errors
    /// As [`run_worker`].
    ///
    /// # Cancel safety
    /// As [`run_worker`].
    pub async fn run(self) -> Result<(), LambdaWorkerError> {
        if !lambda_tracing::dispatcher::has_been_set() {
            logs::install();
        }
        let variables = Variables::of_process();
        runtime_api::check(&variables)?;
        let handler = self.handler.build()?;
        let environment = handler.environment.clone();
        if let Some(hook) = self.end {
            watch_for_the_end(environment.clone(), hook).await;
        }
        let run = async move {
            let snapshots = Arc::new(DropsConnection(environment));
            let poison = handler.poison_layer();
            let payloads = Payloads::default();
            let kept = payloads.clone();
            Runtime::new(service_fn(move |event| serve(handler.clone(), &payloads, event)))
                .register_snapstart_resource(snapshots)
                .layer(TracingLayer::new())
                .layer(tower::layer::layer_fn(move |inner| TakesPayload {
                    inner,
                    payloads: kept.clone(),
                }))
                .layer(poison)
                .run_concurrent()
                .await
        };
        // `lambda_runtime` panics where the Runtime API leaves out a header.
        let run = AssertUnwindSafe(run).catch_unwind();
        let ended = tokio::select! {
            ended = run => ended,
            fault = runtime_api::gone(&variables) => return Err(fault.into()),
        };
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(runtime_api::failed(&error.to_string()).into()),
            Err(panic) => Err(runtime_api::failed(&panic_message(&*panic)).into()),
        }
    }
}

impl<W> fmt::Debug for WorkerFunction<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerFunction").field("handler", &self.handler).finish_non_exhaustive()
    }
}

/// Serves one event: an invocation, or the check that it asks for.
fn serve<W: LambdaWorker>(
    handler: LambdaWorkerHandler<W>,
    payloads: &Payloads,
    event: LambdaEvent<Ticket>,
) -> impl Future<Output = Result<Value, LambdaWorkerError>> + Send + use<W> {
    let Payload { asks, bytes } = payloads.take(event.payload);
    handler.answer(asks, LambdaEvent::new(bytes, event.context))
}

/// Waits for SIGTERM, then drops the connection and runs the hook for the environment's end.
async fn watch_for_the_end(environment: Arc<Environment>, hook: EndHook) {
    let ending = move || async move {
        environment.stop.cancel();
        environment.temporal.forget();
        hook().await;
    };
    let watching = AssertUnwindSafe(spawn_graceful_shutdown_handler(ending)).catch_unwind().await;
    if watching.is_err() {
        tracing::warn!(
            "no extension could be registered, so the end-of-environment hook never runs"
        );
    }
}

/// Drops the connection before a snapshot of SnapStart, since it does not survive one.
struct DropsConnection(Arc<Environment>);

impl SnapStartResource for DropsConnection {
    fn before_snapshot(&self) -> BoxFuture<'_, Result<(), BoxError>> {
        self.0.temporal.forget();
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LambdaWorkerConfig;
    use crate::lambda::event::Asked;

    #[tokio::test]
    async fn configure_finds_the_bytes_that_the_function_was_invoked_with() {
        let version = WorkerDeploymentVersion::builder().deployment_name("d").build_id("b").build();
        let says_its_payload = |config: &mut LambdaWorkerConfig| {
            let payload: Option<&Vec<u8>> = config.invocation.payload();
            Err::<(), BoxError>(format!("invoked with {payload:?}").into())
        };
        let handler = LambdaWorkerHandler::builder(version, says_its_payload)
            .config_source(ConfigSource::none())
            .build()
            .unwrap();
        let payloads = Payloads::default();
        let ticket = payloads.keep(Payload { asks: Asked::Work, bytes: vec![0xff, 7] });
        let event = LambdaEvent::new(ticket, lambda_runtime::Context::default());
        let error = serve(handler, &payloads, event).await.unwrap_err();
        let message = &error.report().errors[0].message;
        assert!(message.contains("invoked with Some([255, 7])"), "{message}");
    }
}
