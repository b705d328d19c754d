//! The interface between the crate and its exporters: what an exporter keeps for the environment, the scope
//! in which all code of one invocation runs, and the end of a worker's thread. Exporters import this file,
//! and it imports no exporter.
#![allow(dead_code, reason = "exporters are features, and some of this is for them only")]

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use temporalio_common::telemetry::metrics::CoreMeter;
use tracing::Instrument as _;

use crate::report::InvocationReport;

/// Writes the figures of an invocation.
pub(crate) type WriteFigures = fn(&InvocationReport);

/// What telemetry keeps for the environment, as one invocation's configuration sees it.
#[derive(Clone, Default)]
pub(crate) struct Telemetry {
    /// Where the SDK's own metrics go. The SDK's runtime takes it when it is made.
    pub(crate) core_meter: Option<Arc<dyn CoreMeter>>,
    /// Writes the figures of an invocation; `None`: nothing that does is built in.
    pub(crate) figures: Option<WriteFigures>,
    /// Whether this invocation has its flush.
    pub(crate) flushes: bool,
    kept: Arc<OnceLock<Arc<dyn Any + Send + Sync>>>,
}

impl Telemetry {
    pub(crate) fn new(figures: Option<WriteFigures>) -> Self {
        Self { figures, ..Self::default() }
    }

    /// What an exporter keeps from one invocation to the next.
    pub(crate) fn kept<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let kept = self.kept.get_or_init(|| Arc::new(T::default())).clone();
        kept.downcast().unwrap_or_default()
    }
}

/// What an exporter makes current wherever something of an invocation runs.
pub(crate) trait Surroundings: Any + fmt::Debug + Send + Sync {
    /// Makes it current on this thread, until the result is dropped.
    fn enter(&self) -> Box<dyn Any>;
}

/// What everything of one invocation runs in: a span for logs, and an exporter's surroundings once there
/// are some.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    logs: tracing::Span,
    surroundings: Arc<OnceLock<Box<dyn Surroundings>>>,
}

impl Scope {
    pub(crate) fn of(request_id: &str) -> Self {
        // At the highest level, so that no filter for events takes the request ID from them.
        let logs = tracing::error_span!("invocation", request_id);
        Self { logs, surroundings: Arc::default() }
    }

    /// Runs `future` such that its logs carry the request ID.
    pub(crate) fn logged<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        future.instrument(self.logs.clone())
    }

    /// Runs `future` such that its logs carry the request ID and its spans are the invocation's.
    pub(crate) fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let surroundings = self.surroundings.clone();
        self.logged(async move {
            let mut future = pin!(future);
            // Asked at every poll, since `configure` may bring them into being half-way.
            poll_fn(|task| {
                let _entered = surroundings.get().map(|it| it.enter());
                future.as_mut().poll(task)
            })
            .await
        })
    }

    /// Gives the invocation its surroundings, unless it has some.
    pub(crate) fn surround<S: Surroundings>(&self, make: impl FnOnce() -> S) {
        self.surroundings.get_or_init(|| Box::new(make()));
    }

    /// The invocation's surroundings, if they are of this kind.
    pub(crate) fn surroundings<S: Surroundings>(&self) -> Option<&S> {
        let surroundings: &dyn Any = &**self.surroundings.get()?;
        surroundings.downcast_ref()
    }
}

/// What is to be done at the end of a thread's workflow code.
type AtEnd = Vec<fn()>;

thread_local! {
    /// `None` where no workflow code runs.
    static AT_END: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
}

/// Runs `live`, which runs workflow code on this thread, and then what was asked for its end.
pub(crate) fn as_workflow_thread<T>(live: impl FnOnce() -> T) -> T {
    AT_END.set(Some(AtEnd::new()));
    let lived = live();
    for end in AT_END.take().unwrap_or_default() {
        end();
    }
    lived
}

/// Whether the calling code runs where workflow code runs.
pub(crate) fn is_workflow_thread() -> bool {
    // Not where a thread's own values are dropped already.
    AT_END.try_with(|it| it.borrow().is_some()).unwrap_or(false)
}

/// Has `end` run when the workflow code of this thread has ended; nothing on other threads.
pub(crate) fn at_end_of_workflow_thread(end: fn()) {
    AT_END.with_borrow_mut(|it| it.iter_mut().for_each(|ends| ends.push(end)));
}
