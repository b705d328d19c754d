//! The requests on their way to a collector. One that fails for a passing reason is kept and sent before later ones,
//! as long as there is room.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use super::collector::{Collector, Failure};
use super::requests::Export;

/// How many bytes of requests may wait: as many as a collector accepts in one message.
const ROOM: usize = 4 * 1024 * 1024;

/// Which of the waiting requests are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::telemetry::otel) enum Keep {
    /// All of them: each has data that no other has.
    All,
    /// The last one, which contains the earlier ones.
    Last,
}

/// Requests on their way.
pub(in crate::telemetry::otel) struct Outbox<R> {
    collector: Collector,
    keep: Keep,
    waiting: Mutex<Waiting<R>>,
    /// Held while sending, so that requests are sent one at a time and in order.
    turn: tokio::sync::Mutex<()>,
}

struct Waiting<R> {
    requests: VecDeque<R>,
    /// How many requests were lost since [`Outbox::take_lost`] was called.
    lost: usize,
}

impl<R: Export> Outbox<R> {
    pub(in crate::telemetry::otel) fn new(collector: Collector, keep: Keep) -> Self {
        let waiting = Waiting { requests: VecDeque::new(), lost: 0 };
        Self { collector, keep, waiting: Mutex::new(waiting), turn: tokio::sync::Mutex::default() }
    }

    /// Sends a request after those that wait.
    ///
    /// # Cancel safety
    /// The request that is being sent is lost, those after it wait.
    pub(in crate::telemetry::otel) async fn send(&self, request: R) -> OTelSdkResult {
        self.lock().put_last(request, self.keep);
        self.send_waiting().await
    }

    /// Sends the waiting requests, until one fails.
    ///
    /// # Cancel safety
    /// The request that is being sent is lost, those after it wait.
    pub(in crate::telemetry::otel) async fn send_waiting(&self) -> OTelSdkResult {
        let _turn = self.turn.lock().await;
        loop {
            let Some(request) = self.lock().requests.pop_front() else { return Ok(()) };
            if let Err(Failure { reason, again }) = self.collector.send(request.clone()).await {
                if again {
                    self.lock().put_first(request, self.keep);
                } else {
                    self.lock().lost += 1;
                }
                return Err(OTelSdkError::InternalFailure(reason));
            }
        }
    }

    /// How many requests were lost since the last call.
    pub(in crate::telemetry::otel) fn take_lost(&self) -> usize {
        std::mem::take(&mut self.lock().lost)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<R>> {
        // No panic can leave the state half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Export> Waiting<R> {
    fn put_last(&mut self, request: R, keep: Keep) {
        if keep == Keep::Last {
            self.requests.clear();
        }
        self.requests.push_back(request);
        self.fit();
    }

    /// Puts a request back that was taken out to be sent.
    fn put_first(&mut self, request: R, keep: Keep) {
        if keep == Keep::All || self.requests.is_empty() {
            self.requests.push_front(request);
            self.fit();
        }
    }

    /// Drops the oldest until the rest has room, but never the newest.
    fn fit(&mut self) {
        let mut size: usize = self.requests.iter().map(R::encoded_len).sum();
        while size > ROOM && self.requests.len() > 1 {
            size -= self.requests.pop_front().map_or(0, |oldest| oldest.encoded_len());
            self.lost += 1;
        }
    }
}

impl<R> fmt::Debug for Outbox<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("keep", &self.keep).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;
    use temporal_lambda_testkit::otlp::{Behavior, OtlpReceiver};
    use temporalio_client::tonic::Code;
    use tokio::runtime::Handle;

    use super::*;
    use crate::telemetry::otel::settings::{Target, Transport};

    /// A request of about this size.
    fn request(schema_url: String) -> ExportTraceServiceRequest {
        let of_one = ResourceSpans { schema_url, ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![of_one] }
    }

    fn waiting() -> Waiting<ExportTraceServiceRequest> {
        Waiting { requests: VecDeque::new(), lost: 0 }
    }

    #[test]
    fn the_oldest_requests_make_room_and_are_counted() {
        let mut waiting = waiting();
        let megabyte = "x".repeat(1024 * 1024);
        for number in 0..100 {
            waiting.put_last(request(format!("{number}{megabyte}")), Keep::All);
        }
        let size: usize = waiting.requests.iter().map(|it| it.encoded_len()).sum();
        assert!(size <= ROOM, "{size}");
        assert_eq!(waiting.requests.len() + waiting.lost, 100);
        assert!(waiting.requests.back().unwrap().resource_spans[0].schema_url.starts_with("99"));

        // A request that was taken out to be sent is the oldest when it is put back.
        waiting.put_first(request(megabyte), Keep::All);
        assert_eq!(waiting.requests.len() + waiting.lost, 101);
        assert!(waiting.requests.front().unwrap().resource_spans[0].schema_url.starts_with("97"));
    }

    #[tokio::test]
    async fn a_request_that_failed_is_sent_before_later_ones() {
        let receiver = OtlpReceiver::start().await.unwrap();
        let target = Target {
            uri: receiver.endpoint().parse().unwrap(),
            transport: Transport::Grpc,
            gzip: false,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(60),
        };
        let outbox = Outbox::new(Collector::new(target, Handle::current()).unwrap(), Keep::All);
        let named = |name: &str| {
            let span = Span { name: name.to_owned(), ..Span::default() };
            let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
            let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
            ExportTraceServiceRequest { resource_spans }
        };
        let sent = || -> Vec<_> { receiver.spans().into_iter().map(|span| span.name).collect() };
        receiver.behave(Behavior::Refuse(Code::Unavailable));
        outbox.send(named("first")).await.unwrap_err();
        outbox.send(named("second")).await.unwrap_err();
        receiver.behave(Behavior::Accept);
        outbox.send(named("third")).await.unwrap();
        assert_eq!(sent(), ["first", "second", "third"]);

        receiver.behave(Behavior::Refuse(Code::Unavailable));
        outbox.send(named("fourth")).await.unwrap_err();
        receiver.behave(Behavior::Accept);
        outbox.send_waiting().await.unwrap();
        assert_eq!(sent().last().unwrap(), "fourth");
        assert_eq!(outbox.take_lost(), 0);

        receiver.behave(Behavior::Refuse(Code::InvalidArgument));
        outbox.send(named("refused for good")).await.unwrap_err();
        assert_eq!((outbox.take_lost(), outbox.take_lost()), (1, 0));
        receiver.behave(Behavior::Accept);
        outbox.send_waiting().await.unwrap();
        assert_eq!(sent().len(), 4);
    }

    #[test]
    fn a_request_that_is_too_large_is_sent_all_the_same() {
        let mut waiting = waiting();
        waiting.put_last(request("x".repeat(2 * ROOM)), Keep::All);
        assert_eq!((waiting.requests.len(), waiting.lost), (1, 0));
    }

    #[test]
    fn of_cumulative_requests_only_the_last_is_kept() {
        let mut waiting = waiting();
        waiting.put_last(request("first".to_owned()), Keep::Last);
        waiting.put_last(request("second".to_owned()), Keep::Last);
        waiting.put_first(request("first".to_owned()), Keep::Last);
        assert_eq!((waiting.requests.len(), waiting.lost), (1, 0));
        assert_eq!(waiting.requests[0].resource_spans[0].schema_url, "second");
    }
}
