//! A listener whose connections end with it.

use std::future::Future;

use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, yield_now},
};
use tokio_util::sync::CancellationToken;

/// A listener at work. Stopping or dropping it cancels the token that it was started with, and closes
/// every connection.
#[derive(Debug)]
pub(crate) struct Listening {
    stop: CancellationToken,
    accepting: JoinHandle<Option<()>>,
}

impl Listening {
    /// Runs `serve` for each connection, as tasks of the current runtime.
    pub(crate) fn start<F>(
        listener: TcpListener,
        stop: CancellationToken,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let connections = stop.clone();
        let accept = async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // The client is gone already; the next one may fare better.
                    yield_now().await;
                    continue;
                };
                // Answers are small and somebody waits for them.
                let _ = stream.set_nodelay(true);
                let serving = serve(stream);
                tokio::spawn(connections.clone().run_until_cancelled_owned(serving));
            }
        };
        let accepting = tokio::spawn(stop.clone().run_until_cancelled_owned(accept));
        Self { stop, accepting }
    }

    /// Returns when nobody listens any more. Dropped half-way, it goes on stopping.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        // It only fails if the task panicked, and then it does not listen either.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
