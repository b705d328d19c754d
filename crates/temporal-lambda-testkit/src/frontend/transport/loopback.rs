//! The frontend as real gRPC on the loopback interface.

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, rt::Executor, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::{Future, pending},
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    time::Duration,
};
use temporalio_client::{ConnectionOptions, Url};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::tls::MockTls;
use crate::{
    frontend::{
        error::FrontendError,
        mock::MockFrontend,
        service::{Answer, Call},
    },
    grpc,
    net::Listening,
};

/// A [`MockFrontend`] that listens on a port of 127.0.0.1, until it is stopped or dropped.
///
/// Its tasks live on the runtime on which it was started.
#[derive(Debug)]
pub struct ServedFrontend {
    frontend: MockFrontend,
    address: SocketAddr,
    tls: Option<MockTls>,
    listening: Option<Listening>,
    /// Ends the listener and every connection.
    stop: CancellationToken,
    /// Of the connections that are accepted from now on.
    fate: watch::Sender<Fate>,
}

/// How connections end. Each new token or grace is for those that are made later.
#[derive(Clone, Debug, Default)]
struct Fate {
    cut: CancellationToken,
    /// How long calls may go on once the connection is said to be going away.
    grace: watch::Sender<Option<Duration>>,
}

impl Fate {
    fn under(stop: &CancellationToken) -> Self {
        Self { cut: stop.child_token(), grace: watch::Sender::default() }
    }
}

impl MockFrontend {
    /// Serves the frontend over plain gRPC on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// [`FrontendError::Listen`].
    pub async fn serve(&self) -> Result<ServedFrontend, FrontendError> {
        self.serve_with(None).await
    }

    /// Serves the frontend over gRPC with TLS on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// [`FrontendError::Listen`], [`FrontendError::Tls`].
    pub async fn serve_tls(&self, tls: MockTls) -> Result<ServedFrontend, FrontendError> {
        self.serve_with(Some(tls)).await
    }

    async fn serve_with(&self, tls: Option<MockTls>) -> Result<ServedFrontend, FrontendError> {
        let mut served = ServedFrontend {
            frontend: self.clone(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls,
            listening: None,
            stop: CancellationToken::new(),
            fate: watch::Sender::default(),
        };
        served.start().await?;
        Ok(served)
    }
}

impl ServedFrontend {
    /// The address that it listens on. It stays the same over a stop and a start.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL: `http://127.0.0.1:<port>`, or `https://localhost:<port>` with TLS.
    pub fn url(&self) -> String {
        match self.tls {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    /// The certificate that clients must trust, in PEM, when it is served with TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.tls.as_ref().map(MockTls::ca_pem)
    }

    /// Options for a [`temporalio_client::Connection`] to it. The fields are public: set an API
    /// key, an identity or a timeout on them.
    pub fn connection_options(&self) -> ConnectionOptions {
        let target = Url::parse(&self.url()).expect("made of a port number and constants");
        ConnectionOptions::new(target)
            .maybe_tls_options(self.tls.as_ref().map(MockTls::tls_options))
            .dns_load_balancing(None)
            .build()
    }

    /// Closes every connection, whatever it was doing. New ones are accepted.
    pub fn drop_connections(&self) {
        self.fate.send_replace(Fate::under(&self.stop)).cut.cancel();
    }

    /// Ends every connection as a server does when it is too old: the client is told to begin no call
    /// on it any more (`GOAWAY`), and what is still under way after `grace` is cut with the
    /// connection. New connections are accepted, and live on.
    pub fn go_away(&self, grace: Duration) {
        self.fate.send_modify(|fate| {
            std::mem::take(&mut fate.grace).send_replace(Some(grace));
        });
    }

    /// Stops listening and closes every connection; connecting is refused from then on. Does
    /// nothing when it is stopped already. Dropped half-way, it goes on stopping.
    pub async fn stop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.stop().await;
        }
    }

    /// Listens again on the same port, after a [`ServedFrontend::stop`].
    ///
    /// # Errors
    /// [`FrontendError::AlreadyServing`], [`FrontendError::Listen`] when somebody else took the
    /// port meanwhile.
    pub async fn start(&mut self) -> Result<(), FrontendError> {
        if self.listening.is_some() {
            return Err(FrontendError::AlreadyServing(self.address));
        }
        let acceptor = self.tls.as_ref().map(MockTls::acceptor).transpose()?;
        let address = self.address;
        let error = |source| FrontendError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(error)?;
        self.address = listener.local_addr().map_err(error)?;

        self.stop = CancellationToken::new();
        self.fate = watch::Sender::new(Fate::under(&self.stop));
        let (frontend, fate) = (self.frontend.clone(), self.fate.subscribe());
        self.listening = Some(Listening::start(listener, self.stop.clone(), move |stream| {
            // A token of its own, so that a script can cut this connection alone.
            let Fate { cut, grace } = fate.borrow().clone();
            let fate = Fate { cut: cut.child_token(), grace };
            let cut = fate.cut.clone();
            let serving = Box::pin(connect(stream, acceptor.clone(), frontend.clone(), fate));
            async move {
                cut.run_until_cancelled_owned(serving).await;
            }
        }));
        Ok(())
    }
}

async fn connect(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    frontend: MockFrontend,
    fate: Fate,
) {
    match acceptor {
        None => serve(stream, frontend, fate).await,
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => serve(stream, frontend, fate).await,
            Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
        },
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    frontend: MockFrontend,
    Fate { cut, grace }: Fate,
) {
    let executor = UntilCut(cut.clone());
    let cut_by_script = cut.clone();
    let service =
        service_fn(move |request| answer(request, frontend.clone(), cut_by_script.clone()));
    let mut connection = pin!(
        http2::Builder::new(executor)
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut grace = grace.subscribe();
    let ended = tokio::select! {
        ended = &mut connection => ended,
        grace = told(&mut grace) => {
            connection.as_mut().graceful_shutdown();
            let Ok(ended) = timeout(grace, connection).await else { return cut.cancel() };
            ended
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Waits until the connection is to go away.
async fn told(grace: &mut watch::Receiver<Option<Duration>>) -> Duration {
    match grace.wait_for(Option::is_some).await.map(|grace| *grace) {
        Ok(Some(grace)) => grace,
        // Nobody is left to say it.
        _ => pending().await,
    }
}

async fn answer(
    request: Request<Incoming>,
    frontend: MockFrontend,
    cut: CancellationToken,
) -> Result<Response<grpc::Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let proto = match body.collect().await {
        Ok(body) => grpc::read(&parts.headers, &body.to_bytes()),
        // The client hung up: nobody reads the answer.
        Err(error) => Err(tonic::Status::cancelled(error.to_string())),
    };
    let answer = match proto {
        Ok(proto) => {
            let call = Call::over_the_wire(&parts.uri, parts.headers, proto);
            frontend.handle(call).await
        }
        Err(status) => Err(status),
    };
    Ok(match answer {
        Ok(Answer::Message(proto)) => grpc::message(&proto),
        Err(status) => grpc::status(&status),
        Ok(Answer::Cut) => {
            cut.cancel();
            pending().await
        }
    })
}

/// Runs a connection's calls for as long as the connection lives: a call that hangs must not
/// outlive it.
#[derive(Clone)]
struct UntilCut(CancellationToken);

impl<F> Executor<F> for UntilCut
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, call: F) {
        let cut = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                // First: a poll on a cut connection must not take a task with it.
                biased;
                () = cut.cancelled() => {}
                _ = call => {}
            }
        });
    }
}
