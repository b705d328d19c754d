//! An OpenTelemetry collector that remembers what it was sent: OTLP over gRPC and over HTTP with
//! protobuf, on one port, plain or compressed by gzip; traces and metrics.
//!
//! [`OtlpReceiver::behave`] makes it one that refuses, hangs or answers late. One that is missing
//! is an address on which nothing listens: [`OtlpReceiver::stop`] makes it so.

mod received;
mod serve;
mod shared;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use received::{ReceivedMetric, ReceivedPoint, ReceivedRequest, ReceivedSpan};
pub use shared::Behavior;

use shared::{Received, Shared};

use crate::net::Listening;

/// A collector on a port of 127.0.0.1, until it is stopped or dropped.
///
/// Its tasks live on the runtime on which it was started.
#[derive(Debug)]
pub struct OtlpReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<Listening>,
}

impl OtlpReceiver {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let serving = shared.clone();
        let serve = move |stream| serve::serve(stream, serving.clone());
        let listening = Some(Listening::start(listener, CancellationToken::new(), serve));
        Ok(Self { address, shared, listening })
    }

    /// What to put into `OTEL_EXPORTER_OTLP_ENDPOINT`: `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it treats requests like this.
    pub fn behave(&self, behavior: Behavior) {
        *self.shared.behavior.lock() = behavior;
    }

    /// Stops listening and closes every connection: from then on there is no collector. Does
    /// nothing when it is stopped already. Dropped half-way, it goes on stopping.
    pub async fn stop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.stop().await;
        }
    }

    /// The spans so far, in the order in which they came.
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.shared.received.lock().spans.clone()
    }

    /// The metrics so far, in the order in which they came. A metric that is exported often is
    /// here often.
    pub fn metrics(&self) -> Vec<ReceivedMetric> {
        self.shared.received.lock().metrics.clone()
    }

    /// The requests so far, in the order in which they came, whatever became of them.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.received.lock().requests.clone()
    }

    /// Forgets what it was sent.
    pub fn clear(&self) {
        *self.shared.received.lock() = Received::default();
    }
}
