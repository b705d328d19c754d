//! Trace and span IDs.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::IdGenerator;
use temporalio_sdk::opentelemetry::WorkflowIdGenerator;

use crate::invocation::telemetry::is_workflow_thread;

/// Makes trace IDs that AWS X-Ray takes: the first four bytes are the time in seconds.
///
/// Inside of workflow code, IDs are the ones of the SDK's
/// [`WorkflowIdGenerator`](temporalio_sdk::opentelemetry::WorkflowIdGenerator) instead: they must
/// be the same when the workflow is replayed. A workflow gets a trace ID there only if whoever
/// started it passed no trace on; such an ID is a W3C one without a time in it.
///
/// Put it into a tracer provider of your own.
#[derive(Clone, Debug, Default)]
pub struct XRayIdGenerator {
    workflows: WorkflowIdGenerator,
}

impl IdGenerator for XRayIdGenerator {
    fn new_trace_id(&self) -> TraceId {
        let id = self.workflows.new_trace_id();
        if is_workflow_thread() { id } else { stamped(id, SystemTime::now()) }
    }

    fn new_span_id(&self) -> SpanId {
        self.workflows.new_span_id()
    }
}

fn stamped(id: TraceId, now: SystemTime) -> TraceId {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut bytes = id.to_bytes();
    // X-Ray's field has 32 bits, which last until 2106.
    bytes[..4].copy_from_slice(&(seconds as u32).to_be_bytes());
    TraceId::from_bytes(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_four_bytes_are_the_seconds_and_the_rest_stays() {
        let id = TraceId::from_bytes([0xab; 16]);
        let at = UNIX_EPOCH + Duration::from_secs(0x5759_e988);
        assert_eq!(stamped(id, at).to_string(), "5759e988abababababababababababab");
    }

    #[test]
    fn ids_are_of_now_and_no_two_are_alike() {
        let ids = XRayIdGenerator::default();
        let (one, two) = (ids.new_trace_id(), ids.new_trace_id());
        assert_ne!(one, two);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32;
        let stamp = u32::from_be_bytes(one.to_bytes()[..4].try_into().unwrap());
        assert!(now.abs_diff(stamp) <= 2);
        assert_ne!(ids.new_span_id(), ids.new_span_id());
    }
}
