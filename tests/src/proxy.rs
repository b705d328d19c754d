//! A TCP proxy that cuts, swallows and delays.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// A proxy on a loopback port. Dropping it closes everything.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    /// What the connections that are open now hang on; replaced when they are cut or swallowed.
    current: Mutex<Fate>,
    delay: Duration,
    accepted: watch::Sender<usize>,
}

#[derive(Clone, Debug)]
struct Fate {
    cut: CancellationToken,
    black_hole: CancellationToken,
}

impl Fate {
    fn under(stop: &CancellationToken) -> Self {
        Self { cut: stop.child_token(), black_hole: CancellationToken::new() }
    }
}

impl Proxy {
    /// A proxy to `target`, written as `127.0.0.1:<port>`.
    pub async fn to(target: &str) -> Self {
        Self::with_round_trip(target, Duration::ZERO).await
    }

    /// A proxy that adds `round_trip`, half of it in each direction, and one for the handshake of a connection.
    pub async fn with_round_trip(target: &str, round_trip: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            current: Mutex::new(Fate::under(&stop)),
            delay: round_trip / 2,
            accepted: watch::Sender::new(0),
        });
        let accept = accept(listener, target.to_owned(), shared.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept));
        Self { address, shared, stop }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// How many connections it has accepted so far.
    pub fn accepted(&self) -> usize {
        *self.shared.accepted.borrow()
    }

    /// Closes every connection. New ones are served.
    pub fn cut(&self) {
        self.renew().cut.cancel();
    }

    /// Lets every connection stand, but forwards nothing on it any more and never tells either
    /// side: as a NAT does that forgot about it. New ones are served.
    pub fn black_hole(&self) {
        self.renew().black_hole.cancel();
    }

    fn renew(&self) -> Fate {
        let mut current = self.shared.current.lock().expect("nobody panics under it");
        std::mem::replace(&mut current, Fate::under(&self.stop))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, target: String, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.accepted.send_modify(|count| *count += 1);
        let fate = shared.current.lock().expect("nobody panics under it").clone();
        tokio::spawn(serve(client, target.clone(), fate, shared.delay));
    }
}

async fn serve(client: TcpStream, target: String, fate: Fate, delay: Duration) {
    let Ok(server) = TcpStream::connect(&target).await else { return };
    // Nagle's algorithm would add delays of its own.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let both = async {
        // Here the handshake of TCP took no time. So the first bytes come later by what it would take.
        tokio::time::sleep(2 * delay).await;
        tokio::join!(
            forward(from_client, to_server, &fate.black_hole, delay),
            forward(from_server, to_client, &fate.black_hole, delay),
        )
    };
    // The streams are dropped with `both`, which closes the sockets.
    fate.cut.run_until_cancelled(both).await;
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    black_hole: &CancellationToken,
    delay: Duration,
) {
    let (sender, mut chunks) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            // Swallowed bytes are still taken, as a network would take them.
            if !black_hole.is_cancelled()
                && sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err()
            {
                return;
            }
        }
    };
    let write = async move {
        while let Some((at, chunk)) = chunks.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        if black_hole.is_cancelled() {
            std::future::pending::<()>().await;
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
