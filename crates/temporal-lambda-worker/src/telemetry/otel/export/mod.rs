//! On the way to a collector: what waits, what is sent, and how long an invocation waits for it.

mod collector;
mod flush;
mod outbox;
mod requests;
mod signals;

pub(super) use collector::Collector;
pub(super) use flush::{Flushed, Flusher};
pub(super) use outbox::{Keep, Outbox};
pub(super) use requests::Export;
pub(super) use signals::{MetricOutbox, Points, SpanOutbox, Spans, keep};
