//! Certificates for a frontend served over TLS, made on the spot.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::sync::Arc;
use temporalio_client::{ClientTlsOptions, TlsOptions};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
        server::WebPkiClientVerifier,
    },
};

use crate::frontend::error::FrontendError;

/// The names that the server's certificate is good for.
const SERVER_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "frontend.test"];

/// A certificate authority of its own, with a certificate for the frontend (good for `localhost`,
/// `127.0.0.1` and `frontend.test`) and one for its clients.
///
/// Nothing outside of the test trusts it, and nothing is written to disk.
#[derive(Clone)]
pub struct MockTls {
    ca_pem: String,
    ca: CertificateDer<'static>,
    server: Pair,
    client: Pair,
    client_required: bool,
}

#[derive(Clone)]
struct Pair {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: Vec<u8>,
    key_pem: String,
}

impl MockTls {
    /// Makes the certificates. Clients need none, see [`MockTls::require_client_certificate`].
    ///
    /// # Errors
    /// [`FrontendError::Tls`] when a key cannot be made.
    pub fn new() -> Result<Self, FrontendError> {
        let mut ca = CertificateParams::new(Vec::new()).map_err(tls)?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_key = KeyPair::generate().map_err(tls)?;
        let certificate = ca.self_signed(&ca_key).map_err(tls)?;
        let issuer = Issuer::new(ca, ca_key);
        let server = ExtendedKeyUsagePurpose::ServerAuth;
        let client = ExtendedKeyUsagePurpose::ClientAuth;
        Ok(Self {
            ca_pem: certificate.pem(),
            ca: certificate.der().clone(),
            server: Pair::issue(&issuer, SERVER_NAMES, server)?,
            client: Pair::issue(&issuer, ["worker.test"], client)?,
            client_required: false,
        })
    }

    /// Turns clients away that do not show the certificate of this authority (mTLS).
    pub fn require_client_certificate(mut self) -> Self {
        self.client_required = true;
        self
    }

    /// The certificate that a client must trust, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The client's certificate, in PEM.
    pub fn client_certificate_pem(&self) -> &str {
        &self.client.certificate_pem
    }

    /// The client's private key, in PEM.
    pub fn client_key_pem(&self) -> &str {
        &self.client.key_pem
    }

    /// What an SDK client needs: to trust this authority, and its client certificate if that is
    /// required.
    pub fn tls_options(&self) -> TlsOptions {
        let identity = self.client_required.then(|| {
            ClientTlsOptions::builder()
                .client_cert(self.client.certificate_pem.clone().into_bytes())
                .client_private_key(self.client.key_pem.clone().into_bytes())
                .build()
        });
        TlsOptions::builder()
            .server_root_ca_cert(self.ca_pem.clone().into_bytes())
            .maybe_client_tls_options(identity)
            .build()
    }

    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, FrontendError> {
        // Named, not looked up: another crate may have installed another provider.
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(tls)?;
        let config = if self.client_required {
            let mut roots = RootCertStore::empty();
            roots.add(self.ca.clone()).map_err(tls)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .map_err(tls)?;
            config.with_client_cert_verifier(verifier)
        } else {
            config.with_no_client_auth()
        };
        let key = PrivatePkcs8KeyDer::from(self.server.key.clone());
        let mut config = config
            .with_single_cert(vec![self.server.certificate.clone()], PrivateKeyDer::Pkcs8(key))
            .map_err(tls)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl Pair {
    fn issue(
        issuer: &Issuer<'_, KeyPair>,
        names: impl IntoIterator<Item = &'static str>,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Result<Self, FrontendError> {
        let names = names.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).map_err(tls)?;
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().map_err(tls)?;
        let certificate = params.signed_by(&key, issuer).map_err(tls)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key: key.serialize_der(),
            key_pem: key.serialize_pem(),
        })
    }
}

impl std::fmt::Debug for MockTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MockTls")
            .field("client_required", &self.client_required)
            .finish_non_exhaustive()
    }
}

fn tls(error: impl std::fmt::Display) -> FrontendError {
    FrontendError::Tls(error.to_string())
}
