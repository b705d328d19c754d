//! An OpenTelemetry collector that remembers what it was sent: OTLP over gRPC and over HTTP with
//! protobuf, on one port, plain or compressed by gzip; traces and metrics.
//!
//! [`OtlpReceiver::behave`] makes it one that refuses, hangs or answers late. One that is missing
//! is an address nobody listens on: [`OtlpReceiver::stop`] makes it so.

mod received;
mod serve;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use received::{ReceivedMetric, ReceivedPoint, ReceivedRequest, ReceivedSpan};

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

/// A collector on a port of 127.0.0.1, until it is stopped or dropped.
///
/// Its tasks live on the runtime on which it was started.
#[derive(Debug)]
pub struct OtlpReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<Listening>,
}

#[derive(Debug)]
struct Listening {
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    behavior: Mutex<Behavior>,
    received: Mutex<Received>,
    /// Counts the requests that came in, whatever became of them.
    requests: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Received {
    requests: Vec<ReceivedRequest>,
    spans: Vec<ReceivedSpan>,
    metrics: Vec<ReceivedMetric>,
}

impl OtlpReceiver {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behavior: Mutex::default(),
            received: Mutex::default(),
            requests: watch::Sender::new(0),
        });
        let stop = CancellationToken::new();
        let accept = serve::accept(listener, shared.clone(), stop.clone());
        let stopping = stop.clone();
        let accepting = tokio::spawn(async move {
            stopping.run_until_cancelled_owned(accept).await;
        });
        Ok(Self { address, shared, listening: Some(Listening { stop, accepting }) })
    }

    /// What to put into `OTEL_EXPORTER_OTLP_ENDPOINT`: `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it treats requests like this.
    pub fn behave(&self, behavior: Behavior) {
        *lock(&self.shared.behavior) = behavior;
    }

    /// Stops listening and closes every connection: from then on there is no collector. Does
    /// nothing when it is stopped already. Dropped half-way, it goes on stopping.
    pub async fn stop(&mut self) {
        if let Some(mut listening) = self.listening.take() {
            listening.stop.cancel();
            // It only fails if the task panicked, and then it does not listen either.
            let _ = (&mut listening.accepting).await;
        }
    }

    /// The spans so far, in the order in which they came.
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        lock(&self.shared.received).spans.clone()
    }

    /// The metrics so far, in the order in which they came. A metric that is exported often is
    /// here often.
    pub fn metrics(&self) -> Vec<ReceivedMetric> {
        lock(&self.shared.received).metrics.clone()
    }

    /// The requests so far, in the order in which they came, whatever became of them.
    pub fn received_requests(&self) -> Vec<ReceivedRequest> {
        lock(&self.shared.received).requests.clone()
    }

    /// How many requests have come in so far, whatever became of them.
    pub fn requests(&self) -> usize {
        *self.shared.requests.borrow()
    }

    /// Waits until so many requests have come in, whatever became of them. Cancel safe.
    pub async fn wait_for_requests(&self, count: usize) {
        // It fails when the sender is gone, and that lives as long as `self`.
        let _ = self.shared.requests.subscribe().wait_for(|so_far| *so_far >= count).await;
    }

    /// Forgets what it was sent.
    pub fn clear(&self) {
        *lock(&self.shared.received) = Received::default();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under the locks can leave anything half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
