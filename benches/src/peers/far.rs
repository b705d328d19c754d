//! A server that is far away, behind TLS.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;
use temporal_lambda_tests::Proxy;
use temporal_lambda_tests::tls::{Authority, TlsProxy};

/// What is added to every round trip, those of the handshakes of TCP and TLS included.
const ROUND_TRIP: Duration = Duration::from_millis(25);

/// A way to a server that takes time and TLS. Dropping it closes the way.
pub(super) struct Far {
    delay: Proxy,
    _tls: TlsProxy,
    files: TempDir,
}

impl Far {
    /// A way to the server at this address.
    pub(super) async fn from(address: &str) -> Result<Self> {
        let clients = Authority::new();
        let tls = TlsProxy::to(address, &clients).await;
        let delay = Proxy::with_round_trip(&format!("127.0.0.1:{}", tls.port()), ROUND_TRIP).await;
        let files = tempfile::tempdir()?;
        let client = clients.issue_client();
        fs::write(files.path().join("ca.pem"), tls.ca_pem())?;
        fs::write(files.path().join("client.pem"), &client.certificate_pem)?;
        fs::write(files.path().join("client.key"), &client.key_pem)?;
        Ok(Self { delay, _tls: tls, files })
    }

    /// What all SDKs read to take it.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let port = self.delay.address().rsplit(':').next().unwrap_or_default().to_owned();
        let file = |name: &str| Path::new(self.files.path()).join(name).display().to_string();
        let variables = [
            ("TEMPORAL_ADDRESS", format!("localhost:{port}")),
            ("TEMPORAL_TLS", "true".to_owned()),
            ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", file("ca.pem")),
            ("TEMPORAL_TLS_CLIENT_CERT_PATH", file("client.pem")),
            ("TEMPORAL_TLS_CLIENT_KEY_PATH", file("client.key")),
        ];
        variables.map(|(key, value)| (key.to_owned(), value)).to_vec()
    }
}
