//! Ways to a server that are broken or long.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use temporal_lambda_testkit::frontend::{MockFrontend, MockTls, ServedFrontend};
use temporalio_client::callback_based::CallbackBasedGrpcService;
use temporalio_client::tonic::Status;
use temporalio_client::{ConnectionOptions, Url};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::strike::Network;

/// How long a call takes on its way to a server that is far away, and its answer on its way back.
const ONE_WAY: Duration = Duration::from_millis(50);

/// The way to a server that is far away. It hears of calls late, of their end, too.
pub(crate) fn far(frontend: &MockFrontend) -> ConnectionOptions {
    let mut options = frontend.connection_options();
    let near = frontend.service();
    let callback = move |call| {
        let near = near.clone();
        let hung_up = CancellationToken::new();
        let hangs_up = hung_up.clone().drop_guard();
        let (answers, answer) = oneshot::channel();
        tokio::spawn(async move {
            sleep(ONE_WAY).await;
            let gone = async {
                hung_up.cancelled().await;
                sleep(ONE_WAY).await;
            };
            tokio::select! {
                biased;
                answer = (near.callback)(call) => {
                    // Nobody waits for it any more if this fails: it is lost, as on the way.
                    let _ = answers.send((Instant::now() + ONE_WAY, answer));
                }
                () = gone => {}
            }
        });
        let answer = async move {
            let nobody = |_| Status::unavailable("the server is gone");
            let (at, answer) = answer.await.map_err(nobody)?;
            sleep_until(at).await;
            drop(hangs_up);
            answer
        };
        Box::pin(answer) as _
    };
    options.service_override = Some(CallbackBasedGrpcService { callback: Arc::new(callback) });
    options
}

/// A server that is, for the moment, the wrong one for these options.
pub(crate) async fn broken(
    network: Network,
    frontend: &MockFrontend,
) -> (ServedFrontend, ConnectionOptions) {
    let tls = || MockTls::new().expect("certificates");
    let mut served = match network {
        Network::Refused | Network::Silent | Network::TlsToPlain => frontend.serve().await,
        Network::PlainToTls | Network::WrongAuthority => frontend.serve_tls(tls()).await,
        Network::NoClientCertificate => {
            frontend.serve_tls(tls().require_client_certificate()).await
        }
    }
    .expect("a port");
    let mut options = served.connection_options();
    let with_scheme = |scheme| format!("{scheme}://localhost:{}", served.address().port());
    match network {
        Network::Refused | Network::Silent => served.stop().await,
        Network::PlainToTls => {
            options.target = Url::parse(&with_scheme("http")).expect("a URL");
            options.tls_options = None;
        }
        Network::TlsToPlain => {
            options.target = Url::parse(&with_scheme("https")).expect("a URL");
            options.tls_options = Some(tls().tls_options());
        }
        Network::WrongAuthority => options.tls_options = Some(tls().tls_options()),
        Network::NoClientCertificate => {
            let tls = options.tls_options.as_mut().expect("TLS is on");
            tls.client_tls_options = None;
        }
    }
    (served, options)
}

/// Accepts connections, as the kernel does for it, and never looks at them.
pub(crate) async fn listener(address: SocketAddr) -> TcpListener {
    TcpListener::bind(address).await.expect("the port is still free")
}
