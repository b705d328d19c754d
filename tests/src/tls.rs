//! TLS in front of a server that has none, with client certificates asked for.

use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;

/// A certificate authority that nobody else knows.
pub struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate, and its private key.
pub struct Issued {
    /// The certificate, in PEM.
    pub certificate_pem: String,
    /// The private key, in PEM.
    pub key_pem: String,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "no two are equal")]
    pub fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let (pem, certificate) = (certificate.pem(), certificate.der().clone());
        Self { certificate, pem, issuer: Issuer::new(parameters, key) }
    }

    /// A certificate for a client.
    pub fn issue_client(&self) -> Issued {
        self.issue("client", ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> Issued {
        let mut parameters = CertificateParams::new([name.to_owned()]).expect("a name");
        parameters.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        Issued {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }
}

/// A proxy that takes TLS for `localhost`, from clients with a certificate of one authority. Dropping it closes everything.
pub struct TlsProxy {
    port: u16,
    authority: Authority,
    accepting: Arc<Mutex<Accepting>>,
    stop: CancellationToken,
}

/// What connections are accepted with, and what the present ones hang on.
struct Accepting {
    config: Arc<ServerConfig>,
    cut: CancellationToken,
}

impl TlsProxy {
    /// A proxy to `target`, written as `127.0.0.1:<port>`, for clients of this authority.
    pub async fn to(target: &str, clients: &Authority) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (authority, stop) = (Authority::new(), CancellationToken::new());
        let config = server_config(&authority, clients);
        let accepting = Arc::new(Mutex::new(Accepting { config, cut: stop.child_token() }));
        let accept = accept(listener, target.to_owned(), accepting.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept));
        Self { port, authority, accepting, stop }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate that clients must trust, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.authority.pem
    }

    /// From now on takes clients of another authority only, and closes all connections.
    pub fn takes_clients_of(&self, clients: &Authority) {
        let config = server_config(&self.authority, clients);
        let new = Accepting { config, cut: self.stop.child_token() };
        let old = std::mem::replace(&mut *self.accepting.lock().expect("no panic"), new);
        old.cut.cancel();
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn server_config(authority: &Authority, clients: &Authority) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.certificate.clone()).expect("a root");
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .expect("a verifier");
    let server = authority.issue("localhost", ExtendedKeyUsagePurpose::ServerAuth);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.certificate], server.key)
        .expect("a certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

async fn accept(listener: TcpListener, target: String, accepting: Arc<Mutex<Accepting>>) {
    while let Ok((client, _)) = listener.accept().await {
        let (config, cut) = {
            let accepting = accepting.lock().expect("no panic");
            (accepting.config.clone(), accepting.cut.clone())
        };
        let target = target.clone();
        tokio::spawn(cut.run_until_cancelled_owned(async move {
            // A client without the right certificate ends here.
            let mut client = TlsAcceptor::from(config).accept(client).await.ok()?;
            let mut server = TcpStream::connect(target).await.ok()?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await.ok()
        }));
    }
}
