//! Certificates and keys for TLS: the forms that are accepted, and refusals that name the setting.

use temporal_lambda_testkit::frontend::MockTls;

use super::connection::settled;
use super::*;

/// A place with files for TLS.
struct Certificates {
    place: Place,
    tls: MockTls,
}

impl Certificates {
    fn new() -> Self {
        let place = Place::empty().set("TEMPORAL_TLS", "true");
        Self { place, tls: MockTls::new().unwrap().require_client_certificate() }
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.place.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn with(self, name: &str, value: &str) -> Place {
        self.place.set(&format!("TEMPORAL_TLS_{name}"), value)
    }
}

/// A PEM without its line breaks, as some variables hold it.
fn in_one_line(pem: &str, line_break: &str) -> String {
    pem.trim().replace('\n', line_break)
}

#[tokio::test]
async fn certificates_in_one_line_are_understood() {
    let tls = MockTls::new().unwrap().require_client_certificate();
    for line_break in ["\n", "\\n", "\\r\\n", " "] {
        let place = Place::empty()
            .set("TEMPORAL_TLS_SERVER_CA_CERT_DATA", &in_one_line(tls.ca_pem(), line_break))
            .set(
                "TEMPORAL_TLS_CLIENT_CERT_DATA",
                &in_one_line(tls.client_certificate_pem(), line_break),
            )
            .set("TEMPORAL_TLS_CLIENT_KEY_DATA", &in_one_line(tls.client_key_pem(), line_break));
        let config = place.load().unwrap_or_else(|error| panic!("{line_break:?}: {error}"));
        assert!(config.connection_options.tls_options.unwrap().client_tls_options.is_some());
    }
}

#[tokio::test]
async fn tls_material_that_cannot_work_is_refused_by_setting_path_and_reason() {
    let new = Certificates::new;
    let (ca, client, key) = {
        let tls = new().tls;
        let own = |pem: &str| pem.to_owned();
        (own(tls.ca_pem()), own(tls.client_certificate_pem()), own(tls.client_key_pem()))
    };
    let stranger = new().tls.client_key_pem().to_owned();
    let at = |variable: &str, name: &str, content: &str| {
        let certificates = new();
        let path = certificates.file(name, content);
        (certificates.with(variable, &path), path)
    };
    let cut = &ca[..ca.len() / 2];
    let cases = [
        (at("SERVER_CA_CERT_PATH", "none", "no certificate"), "no certificate"),
        (at("SERVER_CA_CERT_PATH", "cut", cut), "cut off"),
        (at("SERVER_CA_CERT_PATH", "key", &key), "private key"),
        (at("SERVER_CA_CERT_PATH", "der", "\u{1}0\u{2}"), "no certificate"),
    ];
    for ((place, path), reason) in cases {
        let message = place.refused();
        for part in ["TEMPORAL_TLS_SERVER_CA_CERT_PATH", &path, reason] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }

    let pair = |certificate: &str, key: &str| {
        let place = new().with("CLIENT_CERT_DATA", certificate);
        place.set("TEMPORAL_TLS_CLIENT_KEY_DATA", key)
    };
    pair(&client, &key).load().unwrap();
    for (place, parts) in [
        (
            pair(&client, &stranger),
            ["TEMPORAL_TLS_CLIENT_CERT_DATA", "TEMPORAL_TLS_CLIENT_KEY_DATA"],
        ),
        (pair(&key, &client), ["TEMPORAL_TLS_CLIENT_CERT_DATA", "swapped"]),
        (pair(&client, "no key"), ["TEMPORAL_TLS_CLIENT_KEY_DATA", "no private key"]),
        (
            new().with("CLIENT_CERT_DATA", &client),
            ["TEMPORAL_TLS_CLIENT_CERT_DATA", "needs its key"],
        ),
        (
            new().with("CLIENT_KEY_DATA", &key),
            ["TEMPORAL_TLS_CLIENT_KEY_DATA", "needs its certificate"],
        ),
        (
            new().with("SERVER_CA_CERT_DATA", "/etc/ca.pem"),
            ["TEMPORAL_TLS_SERVER_CA_CERT_DATA", "path"],
        ),
        (
            new().with("SERVER_CA_CERT_PATH", "~/ca.pem"),
            ["TEMPORAL_TLS_SERVER_CA_CERT_PATH", "whole path"],
        ),
        (new().with("CLIENT_KEY_PATH", &key), ["TEMPORAL_TLS_CLIENT_KEY_PATH", "DATA"]),
    ] {
        let message = place.refused();
        for part in parts {
            assert!(message.contains(part), "{part} is not in {message}");
        }
        let secret = key.lines().nth(1).unwrap();
        assert!(!message.contains(secret), "{message}");
    }
}

#[tokio::test]
async fn a_bad_certificate_that_the_file_names_is_refused_with_its_key() {
    let place = Place::with("[profile.p.tls]\nserver_ca_cert_path = \"/no/such/ca.pem\"\n");
    let message = place.set("TEMPORAL_PROFILE", "p").refused();
    for part in ["profile.p.tls.server_ca_cert_path", "temporal.toml", "/no/such/ca.pem"] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
}

#[tokio::test]
async fn certificates_are_not_checked_where_tls_is_off() {
    let place = Place::empty().set("TEMPORAL_TLS", "false");
    assert!(place.set("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "/no/such/ca.pem").load().is_ok());
}

#[tokio::test]
async fn certificates_that_configure_sets_are_checked_too() {
    let place = Place::empty().set("TEMPORAL_TASK_QUEUE", "q").set("TEMPORAL_TLS", "true");
    let tls = MockTls::new().unwrap();
    let set = |pem: &str| {
        let mut config = registered(&place);
        let options = config.connection_options.tls_options.as_mut().unwrap();
        options.server_root_ca_cert = Some(pem.as_bytes().to_vec());
        config.settle().map(|()| config)
    };
    let Err(error) = set("no certificate") else { panic!("it must be refused") };
    assert!(error.to_string().contains("server_root_ca_cert"), "{error}");
    let config = set(&in_one_line(tls.ca_pem(), "\\n")).unwrap_or_else(|error| panic!("{error}"));
    let options = config.connection_options.tls_options.unwrap();
    assert!(
        options.server_root_ca_cert.unwrap().iter().filter(|byte| **byte == b'\n').count() >= 2
    );
}

#[tokio::test]
async fn without_host_verification_any_server_is_accepted_and_a_warning_says_so() {
    let tls = MockTls::new().unwrap();
    let place = Place::empty()
        .set("TEMPORAL_TASK_QUEUE", "q")
        .set("TEMPORAL_TLS_SERVER_CA_CERT_DATA", tls.ca_pem())
        .set("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "true");
    let verifier = || {
        let config = settled(&place);
        let text = &config.warnings.texts()[0];
        assert!(text.contains("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"), "{text}");
        let options = config.connection_options.tls_options.unwrap();
        assert_eq!(options.server_root_ca_cert, None, "the SDK refuses both");
        std::sync::Arc::as_ptr(&options.server_cert_verifier.unwrap()).cast::<()>()
    };
    assert_eq!(verifier(), verifier(), "a kept connection fits the next invocation");
}
