//! A span processor that exports the spans of workflows which outlive the invocation in which they began.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, SpanId, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use temporalio_sdk::opentelemetry::WorkflowSpanProcessor;

use crate::invocation::telemetry::{at_end_of_workflow_thread, is_workflow_thread};

/// A span processor for workers that come and go.
///
/// A workflow's span ends when the workflow does. One that outlives the invocation, as most that
/// wait for something do, would never be exported: the worker is gone by then, and when the
/// workflow goes on elsewhere, its beginning is replayed. This processor hands such a span on when
/// its worker ends, with the attribute `temporal.workflow.open`.
///
/// It is a [`WorkflowSpanProcessor`] too: what is replayed is not exported again. Wrap each
/// processor of a tracer provider of your own in it.
#[derive(Debug)]
pub struct LambdaSpanProcessor<P> {
    inner: Arc<WorkflowSpanProcessor<P>>,
}

impl<P: SpanProcessor + 'static> LambdaSpanProcessor<P> {
    /// Wraps a processor.
    pub fn new(inner: P) -> Self {
        Self { inner: Arc::new(WorkflowSpanProcessor::new(inner)) }
    }
}

type Key = (TraceId, SpanId);

struct Open {
    span: SpanData,
    processor: Arc<dyn SpanProcessor>,
}

thread_local! {
    /// The spans that began on this thread, a worker's, and have not ended.
    static OPEN: RefCell<HashMap<Key, Open>> = RefCell::default();
}

/// Ends and hands on the spans of workflows that have not ended with this thread's worker.
fn end_open_spans() {
    let left = OPEN.take();
    let now = SystemTime::now();
    for Open { mut span, processor } in left.into_values() {
        span.end_time = now;
        span.attributes.push(KeyValue::new("temporal.workflow.open", true));
        processor.on_end(span);
    }
}

impl<P: SpanProcessor + 'static> SpanProcessor for LambdaSpanProcessor<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
        if is_workflow_thread()
            && let Some(data) = span.exported_data()
        {
            let key = (span.span_context().trace_id(), span.span_context().span_id());
            let open = Open { span: data, processor: self.inner.clone() };
            OPEN.with_borrow_mut(|all| {
                if all.is_empty() {
                    at_end_of_workflow_thread(end_open_spans);
                }
                all.insert(key, open)
            });
        }
    }

    fn on_end(&self, span: SpanData) {
        let key = (span.span_context.trace_id(), span.span_context.span_id());
        // A span may end while its thread ends.
        let _ = OPEN.try_with(|all| all.borrow_mut().remove(&key));
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Called while the provider is built, when nobody else has the processor yet.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.set_resource(resource);
        }
    }
}
