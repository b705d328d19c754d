//! What telemetry hangs on: the environment's own things in a configuration, and the scope that
//! everything of one invocation runs in.

use std::future::Future;
use std::sync::Arc;

use temporalio_common::telemetry::metrics::CoreMeter;
use tracing::Instrument as _;

/// What telemetry keeps for the environment, as one invocation's configuration sees it.
#[derive(Clone, Default)]
pub(crate) struct Telemetry {
    /// Where the SDK's own metrics go. The SDK's runtime takes it when it is made.
    pub(crate) core_meter: Option<Arc<dyn CoreMeter>>,
    #[cfg(feature = "otel")]
    pub(crate) otel: Arc<crate::otel::Kept>,
    /// Whether this invocation has its flush.
    #[cfg(feature = "otel")]
    pub(crate) flushes: bool,
}

/// What everything of one invocation runs in: a span for logs, and the current OpenTelemetry
/// context once there is one.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    logs: tracing::Span,
    #[cfg(feature = "otel")]
    pub(crate) context: Arc<std::sync::OnceLock<opentelemetry::Context>>,
}

impl Scope {
    pub(crate) fn of(request_id: &str) -> Self {
        Self {
            // At the highest level, so that no filter for events takes the request ID from them.
            logs: tracing::error_span!("invocation", request_id),
            #[cfg(feature = "otel")]
            context: Arc::default(),
        }
    }

    /// Runs `future` such that its logs carry the request ID.
    pub(crate) fn logged<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        future.instrument(self.logs.clone())
    }

    /// Runs `future` such that its logs carry the request ID and its spans are the invocation's.
    #[cfg(not(feature = "otel"))]
    pub(crate) fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.logged(future)
    }

    /// Runs `future` such that its logs carry the request ID and its spans are the invocation's.
    #[cfg(feature = "otel")]
    pub(crate) fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let context = self.context.clone();
        self.logged(async move {
            let mut future = std::pin::pin!(future);
            // Asked at every poll, since `configure` may bring the context into being half-way.
            std::future::poll_fn(|task| {
                let _attached = context.get().map(|context| context.clone().attach());
                future.as_mut().poll(task)
            })
            .await
        })
    }
}
