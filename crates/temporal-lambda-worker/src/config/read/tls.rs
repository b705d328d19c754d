//! Certificates and keys for TLS, checked before connecting: a bad one is a configuration error that names the
//! setting, not a failed connection.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use temporalio_client::envconfig::DataSource;
use temporalio_client::{ClientTlsOptions, TlsOptions};
use temporalio_common::envconfig::ClientConfigTLS;
use tokio_rustls::rustls;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::error::ConfigError;

/// A setting, as a message names it.
pub(crate) struct Setting {
    pub(crate) name: String,
}

/// Reads the certificates and keys that the TLS settings name, and checks them. `setting` names the setting that
/// a source is from, given the beginnings of the variable's and of the key's name.
pub(crate) fn read(
    tls: &mut ClientConfigTLS,
    setting: &dyn Fn(&DataSource, &str, &str) -> Setting,
) -> Result<(), ConfigError> {
    let read = |source: &mut Option<DataSource>, variable, key| {
        let Some(source) = source else { return Ok(None) };
        let material = Material::read(source, setting(source, variable, key).name)?;
        *source = DataSource::Data(material.pem.clone());
        Ok(Some(material))
    };
    let authority =
        read(&mut tls.server_ca_cert, "TEMPORAL_TLS_SERVER_CA_CERT", "tls.server_ca_cert")?;
    let certificate = read(&mut tls.client_cert, "TEMPORAL_TLS_CLIENT_CERT", "tls.client_cert")?;
    let key = read(&mut tls.client_key, "TEMPORAL_TLS_CLIENT_KEY", "tls.client_key")?;
    if let Some(authority) = &authority {
        authority.judge_as_authority()?;
    }
    match (&certificate, &key) {
        (Some(certificate), Some(key)) => certificate.judge_with_key(key),
        (Some(alone), None) => {
            Err(alone.bad("a client certificate needs its key, which is not set"))
        }
        (None, Some(alone)) => {
            Err(alone.bad("a client key needs its certificate, which is not set"))
        }
        (None, None) => Ok(()),
    }
}

/// Checks the TLS options that `configure` has set, and restores the line breaks of certificates in one line.
pub(crate) fn judge(tls: &mut TlsOptions) -> Result<(), ConfigError> {
    let place = "config.connection_options.tls_options";
    let of_code = |part: &str, bytes: &mut Vec<u8>| {
        let material = Material::of_bytes(format!("{place}.{part}"), None, bytes);
        bytes.clone_from(&material.pem);
        material
    };
    // The SDK refuses a verifier together with a certificate.
    if let Some(authority) = &mut tls.server_root_ca_cert {
        of_code("server_root_ca_cert", authority).judge_as_authority()?;
    }
    if let Some(ClientTlsOptions { client_cert, client_private_key, .. }) =
        &mut tls.client_tls_options
    {
        let certificate = of_code("client_tls_options.client_cert", client_cert);
        let key = of_code("client_tls_options.client_private_key", client_private_key);
        certificate.judge_with_key(&key)?;
    }
    Ok(())
}

/// Turns off the verification of the server's certificate.
pub(crate) fn accept_any_server(tls: &mut TlsOptions) {
    // One verifier for the process: a kept connection is reused only if the verifier is the same object.
    static ANY_SERVER: OnceLock<Arc<AnyServer>> = OnceLock::new();
    let verifier = ANY_SERVER.get_or_init(|| Arc::new(AnyServer(ring::default_provider())));
    tls.server_cert_verifier = Some(verifier.clone());
    // The SDK refuses a verifier beside a certificate, and nothing is verified by it.
    tls.server_root_ca_cert = None;
}

/// The bytes of certificates or keys, and the setting that they are from.
struct Material {
    setting: String,
    path: Option<PathBuf>,
    pem: Vec<u8>,
}

impl Material {
    fn read(source: &DataSource, setting: String) -> Result<Self, ConfigError> {
        match source {
            DataSource::Path(path) if path.contains("-----BEGIN") => {
                let reason = "it holds a certificate or key where the path of a file belongs: the \
                              setting that ends in DATA (data) takes it"
                    .to_owned();
                Err(ConfigError::TlsMaterial { setting, path: None, reason })
            }
            DataSource::Path(path) => match std::fs::read(path) {
                Ok(bytes) => Ok(Self::of_bytes(setting, Some(path.into()), &bytes)),
                Err(source) => Err(ConfigError::named_file(&setting, path.into(), source)),
            },
            DataSource::Data(bytes) => Ok(Self::of_bytes(setting, None, bytes)),
            _ => Ok(Self::of_bytes(setting, None, &[])),
        }
    }

    fn of_bytes(setting: String, path: Option<PathBuf>, bytes: &[u8]) -> Self {
        let pem = match std::str::from_utf8(bytes) {
            Ok(text) => unfolded(text).into_owned().into_bytes(),
            Err(_) => bytes.to_vec(),
        };
        Self { setting, path, pem }
    }

    /// Checks that these can be the authorities that sign a server's certificate.
    fn judge_as_authority(&self) -> Result<(), ConfigError> {
        let certificates = self.certificates()?;
        let (usable, _) = RootCertStore::empty().add_parsable_certificates(certificates);
        if usable == 0 {
            return Err(self.bad("it holds no certificate that can be read (is it cut off?)"));
        }
        Ok(())
    }

    fn judge_with_key(&self, key: &Self) -> Result<(), ConfigError> {
        let certificates = self.certificates()?;
        let private = PrivateKeyDer::from_pem_slice(&key.pem)
            .map_err(|_| key.bad(&format!("it holds no private key{}", key.what_it_holds())))?;
        let provider = ring::default_provider();
        provider
            .key_provider
            .load_private_key(private.clone_key())
            .map_err(|_| key.bad("its private key is of a kind that cannot be used, or damaged"))?;
        CertifiedKey::from_der(certificates, private, &provider).map(drop).map_err(|error| {
            match error {
                rustls::Error::InconsistentKeys(_) => {
                    let path = key.path.as_deref().map(Path::to_string_lossy).unwrap_or_default();
                    let other = format!("{} {path}", key.setting);
                    self.bad(&format!("it is not the certificate for the key in {}", other.trim()))
                }
                _ => self.bad("it holds no certificate that can be read (is it cut off?)"),
            }
        })
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.pem).collect();
        match found {
            Ok(found) if found.is_empty() => {
                Err(self.bad(&format!("it holds no certificate{}", self.what_it_holds())))
            }
            Ok(found) => Ok(found),
            Err(_) => Err(self.bad("it is damaged: its PEM cannot be decoded (is it cut off?)")),
        }
    }

    /// For a message: what the setting holds instead of what is expected. Never shows a key.
    fn what_it_holds(&self) -> &'static str {
        let Ok(text) = std::str::from_utf8(&self.pem) else {
            return ": it is in binary form (DER); turn it into PEM, e.g. with openssl x509 or pkey";
        };
        let text = text.trim();
        if text.contains("ENCRYPTED") {
            ", but one that is encrypted with a password: decrypt it, e.g. with openssl pkey"
        } else if text.contains("PRIVATE KEY-----") {
            ", but a private key: were certificate and key swapped?"
        } else if text.contains("-----BEGIN CERTIFICATE-----") {
            ", but a certificate: were certificate and key swapped?"
        } else if text.starts_with("LS0tLS1CRUdJTi") {
            ", but the base64 of one: decode it first"
        } else if text.starts_with(['/', '~', '.']) && !text.contains('\n') {
            ", but a path: the setting that ends in PATH (path) takes it"
        } else {
            " in PEM form, which begins with -----BEGIN"
        }
    }

    fn bad(&self, reason: &str) -> ConfigError {
        ConfigError::TlsMaterial {
            setting: self.setting.clone(),
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// Restores the line breaks of a PEM that lost them in a variable: they are `\n` as two characters, or blanks.
fn unfolded(text: &str) -> Cow<'_, str> {
    if !text.contains("-----BEGIN") || text.trim().lines().count() > 2 {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\\r", "").replace("\\n", "\n");
    let mut lines = String::with_capacity(text.len());
    let mut rest = text.trim();
    // A boundary may hold blanks: -----BEGIN PRIVATE KEY-----.
    while let Some((before, boundary, after)) = next_boundary(rest) {
        let body: String = before.split_whitespace().collect();
        for line in [body.as_str(), boundary] {
            if !line.is_empty() {
                lines.push_str(line);
                lines.push('\n');
            }
        }
        rest = after;
    }
    Cow::Owned(lines)
}

/// The text before the next boundary of a PEM block, the boundary, and what follows it.
fn next_boundary(text: &str) -> Option<(&str, &str, &str)> {
    const DASHES: &str = "-----";
    let start = text.find(DASHES)?;
    let label = &text[start + DASHES.len()..];
    let end = start + DASHES.len() + label.find(DASHES)? + DASHES.len();
    Some((&text[..start], &text[start..end], &text[end..]))
}

/// Accepts any certificate, but checks that the handshake is signed with that certificate's key.
#[derive(Debug)]
struct AnyServer(CryptoProvider);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
