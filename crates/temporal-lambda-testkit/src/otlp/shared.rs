//! How a collector behaves, and what it remembers.

use std::time::Duration;

use parking_lot::Mutex;

use super::received::{ReceivedMetric, ReceivedRequest, ReceivedSpan};

/// What a collector does with a request.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Behavior {
    /// It takes what it is sent.
    #[default]
    Accept,
    /// It never answers. What it was sent is not remembered.
    Hang,
    /// It answers with this gRPC status; over HTTP with 503 for `Unavailable`, 429 for
    /// `ResourceExhausted`, 401 for `Unauthenticated` and 400 for the others. What it was sent is
    /// not remembered.
    Refuse(tonic::Code),
    /// It takes what it is sent, but answers only after this long.
    Late(Duration),
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) behavior: Mutex<Behavior>,
    pub(super) received: Mutex<Received>,
}

#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) requests: Vec<ReceivedRequest>,
    pub(super) spans: Vec<ReceivedSpan>,
    pub(super) metrics: Vec<ReceivedMetric>,
}
