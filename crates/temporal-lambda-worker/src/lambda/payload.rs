//! A layer that replaces an event's payload by a number, so that `lambda_runtime` accepts any event. The handler gets
//! the payload by that number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use lambda_runtime::{LambdaInvocation, Service};

use crate::lambda::event::{Asked, asked};

/// The number that replaces a payload. `lambda_runtime` can parse it, whatever the event was.
pub(crate) type Ticket = u64;

/// The payloads of the events that are under way.
#[derive(Clone, Default)]
pub(crate) struct Payloads(Arc<Kept>);

#[derive(Default)]
struct Kept {
    next: AtomicU64,
    payloads: Mutex<HashMap<Ticket, Payload>>,
}

/// A payload, and the work that it asks for.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) asks: Asked,
    pub(crate) bytes: Vec<u8>,
}

impl Payloads {
    /// The payload for this number. An unknown number runs a worker.
    pub(crate) fn take(&self, ticket: Ticket) -> Payload {
        let nothing = Payload { asks: Asked::Work, bytes: Vec::new() };
        self.lock().remove(&ticket).unwrap_or(nothing)
    }

    pub(crate) fn keep(&self, payload: Payload) -> Ticket {
        let ticket = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(ticket, payload);
        ticket
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Ticket, Payload>> {
        self.0.payloads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The layer's service. Clones belong to one function.
#[derive(Clone)]
pub(crate) struct TakesPayload<S> {
    pub(crate) inner: S,
    pub(crate) payloads: Payloads,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for TakesPayload<S>
where
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = futures_util::future::BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        let bytes = Vec::from(std::mem::take(&mut invocation.body));
        let ticket = self.payloads.keep(Payload { asks: asked(&bytes), bytes });
        invocation.body = ticket.to_string().into();
        let (served, payloads) = (self.inner.call(invocation), self.payloads.clone());
        Box::pin(async move {
            let result = served.await;
            // Dropped here if the event did not reach the handler.
            payloads.lock().remove(&ticket);
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records the bodies that it gets.
    #[derive(Clone, Default)]
    struct Inner(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Service<LambdaInvocation> for Inner {
        type Response = ();
        type Error = crate::BoxError;
        type Future = std::future::Pending<Result<(), crate::BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), crate::BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
            self.0.lock().unwrap().push(invocation.body.to_vec());
            std::future::pending()
        }
    }

    fn event(body: &'static [u8]) -> LambdaInvocation {
        let (parts, ()) = http::Response::new(()).into_parts();
        LambdaInvocation { parts, body: body.into(), context: lambda_runtime::Context::default() }
    }

    #[test]
    fn the_runtime_sees_a_number_and_the_handler_gets_the_payload_for_it() {
        let inner = Inner::default();
        let payloads = Payloads::default();
        let mut service = TakesPayload { inner: inner.clone(), payloads: payloads.clone() };
        let bodies: [(&'static [u8], Asked); 5] = [
            (b"{\"text\": \"\xff\xfe\"}", Asked::Work),
            (b"\xff", Asked::Work),
            (br#"{"temporal_lambda_worker": {"check": true}}"#, Asked::Check),
            (br#"{"temporal_lambda_worker": {"check": 1}}"#, Asked::Unclear),
            (
                br#"{"Records": [{"body": "{\"temporal_lambda_worker\": {\"check\": true}}"}]}"#,
                Asked::UnreadCheck,
            ),
        ];
        let under_way: Vec<_> = bodies.iter().map(|(body, _)| service.call(event(body))).collect();
        let seen = inner.0.lock().unwrap().clone();
        // In another order than the events came in.
        for (seen, (body, expected)) in seen.iter().zip(bodies).rev() {
            let payload = payloads.take(serde_json::from_slice::<Ticket>(seen).unwrap());
            assert_eq!((payload.asks, &*payload.bytes), (expected, body));
        }
        drop(under_way);
    }
}
