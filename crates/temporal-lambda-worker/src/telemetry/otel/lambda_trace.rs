//! Reading Lambda's trace header, which names the trace of an invocation.

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};

/// A context whose span is the one in Lambda's trace header; empty if there is none.
pub(super) fn parent(header: Option<&str>) -> Context {
    match header.and_then(parse) {
        Some(span) => Context::new().with_remote_span_context(span),
        None => Context::new(),
    }
}

/// Reads `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
pub(super) fn parse(header: &str) -> Option<SpanContext> {
    let (mut trace, mut span, mut sampled) = (None, None, false);
    for (key, value) in header.split(';').filter_map(|field| field.split_once('=')) {
        match key.trim().to_ascii_lowercase().as_str() {
            "root" => trace = trace_id(value.trim()),
            "parent" => span = SpanId::from_hex(value.trim()).ok(),
            "sampled" => sampled = value.trim() == "1",
            // "Lineage", and fields that may be added.
            _ => {}
        }
    }
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let context = SpanContext::new(trace?, span?, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

/// `1-<8 digits>-<24 digits>`, the first the time in seconds.
fn trace_id(root: &str) -> Option<TraceId> {
    let (time, rest) = root.strip_prefix("1-")?.split_once('-')?;
    if (time.len(), rest.len()) != (8, 24) {
        return None;
    }
    TraceId::from_hex(&format!("{time}{rest}")).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const ROOT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

    #[test]
    fn lambdas_trace_header_is_read() {
        let header = format!("{ROOT};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a87bd80c:1");
        let span = parse(&header).unwrap();
        assert_eq!(span.trace_id().to_string(), "5759e988bd862e3fe1be46a994272793");
        assert_eq!(span.span_id().to_string(), "53995c3f42cd8ad8");
        assert!(span.is_sampled() && span.is_remote());
    }

    #[test]
    fn a_trace_that_is_not_sampled_stays_unsampled() {
        for sampled in ["Sampled=0", "Sampled=?", ""] {
            let header = format!("{ROOT}; parent=53995c3f42cd8ad8; {sampled}");
            assert!(!parse(&header).unwrap().is_sampled(), "{sampled}");
        }
    }

    #[test]
    fn a_malformed_trace_header_gives_no_parent() {
        let parents = ["", "Parent=53995c3f42cd8ad8", "Root=1-0-0;Parent=53995c3f42cd8ad8", ROOT];
        for header in parents {
            assert!(parse(header).is_none(), "{header}");
            assert!(!parent(Some(header)).has_active_span(), "{header}");
        }
        assert!(!parent(None).has_active_span());
    }
}
