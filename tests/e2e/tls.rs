//! TLS and credentials, with a frontend that asks for them.

use std::path::PathBuf;

use temporal_lambda_testkit::{
    frontend::{MockFrontend, MockTls, Rpc, ServedFrontend, WorkflowStart},
    lambda::FunctionConfig,
};
use temporal_lambda_tests::{API_KEY, Invoked as _, World};
use temporalio_client::tonic::Code;

use crate::HELLO;

/// A frontend with TLS, and a function that trusts it.
struct Secure {
    frontend: MockFrontend,
    served: ServedFrontend,
    world: World,
}

impl Secure {
    async fn new(name: &str, tls: MockTls) -> Self {
        let frontend = MockFrontend::new();
        let served = frontend.serve_tls(tls).await.unwrap();
        let address = format!("localhost:{}", served.address().port());
        Self { frontend, served, world: World::at(&address, name).await }
    }

    fn hello(&self, name: &str) -> FunctionConfig {
        self.world
            .config_with_short_idle(name, HELLO)
            .env("TEMPORAL_LAMBDA_MINIMUM_STAY", "500ms")
            .env("TEMPORAL_TLS", "true")
            .env("TEMPORAL_TLS_SERVER_CA_CERT_PATH", self.file("ca", self.served.ca_pem().unwrap()))
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.world.task_root().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Invokes a function that completes a workflow.
    async fn complete(&self, config: FunctionConfig) {
        let function = self.world.add(config);
        let id = self.world.id(function.name());
        let start = WorkflowStart::new(&self.world.name, "HelloWorkflow", &id).arg(&"you");
        self.frontend.start_workflow(start);
        function.invoke("{}").await.unwrap().report();
        let result: String = self.frontend.workflow_result(&id).await.unwrap().json().unwrap();
        assert_eq!(result, "Hello, you!");
    }

    /// Invokes a function that fails: its error's type and message.
    async fn fail(&self, config: FunctionConfig) -> (String, String) {
        self.world.add(config).invoke("{}").await.unwrap().error()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_right_certificate_and_key_it_works() {
    let secure = Secure::new("tls", MockTls::new().unwrap()).await;
    secure.frontend.require_api_key(API_KEY);
    secure.complete(secure.hello("right")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_names_the_authority_of_the_profile_while_the_certificate_is_the_servers() {
    const PROFILE: &str = "[profile.default]\nauthority = \"temporal.internal\"\n";
    let secure = Secure::new("authority", MockTls::new().unwrap()).await;
    let file = secure.file("elsewhere.toml", PROFILE);
    // A certificate is good for the host that was dialed, not for the authority.
    secure.complete(secure.hello("secure").env("TEMPORAL_CONFIG_FILE", &file)).await;
    let plain = secure.frontend.serve().await.unwrap();
    let config = secure.hello("plain").env("TEMPORAL_CONFIG_FILE", &file);
    let config = config.env("TEMPORAL_ADDRESS", plain.address().to_string());
    secure.complete(config.env("TEMPORAL_TLS", "false")).await;
    let authorities: Vec<_> =
        secure.frontend.seen().iter().map(|call| call.authority().map(str::to_owned)).collect();
    assert!(
        authorities.iter().all(|it| it.as_deref() == Some("temporal.internal")),
        "{authorities:?}"
    );
    secure.complete(secure.hello("without")).await;
    let last = secure.frontend.seen().pop().unwrap();
    assert_eq!(
        last.authority(),
        Some(format!("localhost:{}", secure.served.address().port()).as_str())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_refused_is_a_typed_error_that_does_not_show_it() {
    let secure = Secure::new("keys", MockTls::new().unwrap()).await;
    secure.frontend.require_api_key("another-key");
    let (kind, message) = secure.fail(secure.hello("wrong")).await;
    assert_eq!(kind, "TemporalRefused");
    assert!(message.contains("Unauthenticated"), "{message}");
    assert!(message.contains("TEMPORAL_API_KEY"), "{message}");

    let keyless = secure.hello("keyless").env("TEMPORAL_API_KEY", "");
    let (kind, message) = secure.fail(keyless).await;
    assert_eq!(kind, "TemporalRefused", "{message}");

    // A careless server quotes it.
    secure.frontend.require_api_key(API_KEY);
    let quote = format!("no such key: {API_KEY}");
    secure.frontend.on(Rpc::GetSystemInfo).fail(Code::PermissionDenied, quote);
    let (kind, message) = secure.fail(secure.hello("quoted")).await;
    assert_eq!(kind, "TemporalRefused");
    assert!(message.contains("no such key: [API key]"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_rights_is_refused_too() {
    let secure = Secure::new("denied", MockTls::new().unwrap()).await;
    // Everybody may ask for the system info; the namespace is what it has no rights for.
    secure.frontend.permission_denied();
    let (kind, message) = secure.fail(secure.hello("denied")).await;
    assert_eq!(kind, "TemporalRefused", "{message}");
    assert!(message.contains("PermissionDenied"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_said_to_be_that() {
    let secure = Secure::new("untrusted", MockTls::new().unwrap()).await;
    let stranger = MockTls::new().unwrap();
    let config = secure.hello("stranger");
    let config =
        config.env("TEMPORAL_TLS_SERVER_CA_CERT_PATH", secure.file("stranger", stranger.ca_pem()));
    let (kind, message) = secure.fail(config).await;
    assert_eq!(kind, "TemporalUnreachable");
    assert!(message.contains("certificate"), "{message}");
    assert!(message.contains("TLS settings"), "{message}");
    // Plain text to a TLS port, which is what a forgotten setting looks like.
    let plain = secure.hello("plain").env("TEMPORAL_TLS", "false");
    let (kind, message) = secure.fail(plain).await;
    assert_eq!(kind, "TemporalUnreachable", "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_nobody_vouches_for_is_taken_where_host_verification_is_off() {
    let secure = Secure::new("unverified", MockTls::new().unwrap()).await;
    let stranger = MockTls::new().unwrap();
    let config = secure
        .hello("unverified")
        .env("TEMPORAL_TLS_SERVER_CA_CERT_PATH", secure.file("stranger", stranger.ca_pem()))
        .env("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "true");
    secure.complete(config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_lost_their_line_breaks_are_understood() {
    let tls = MockTls::new().unwrap().require_client_certificate();
    let secure = Secure::new("one-line", tls.clone()).await;
    let in_one_line = |pem: &str| pem.trim().replace('\n', "\\n");
    let config = secure
        .world
        .config_with_short_idle("one-line", HELLO)
        .env("TEMPORAL_TLS", "true")
        .env("TEMPORAL_TLS_SERVER_CA_CERT_DATA", in_one_line(tls.ca_pem()))
        .env("TEMPORAL_TLS_CLIENT_CERT_DATA", in_one_line(tls.client_certificate_pem()))
        .env("TEMPORAL_TLS_CLIENT_KEY_DATA", in_one_line(tls.client_key_pem()));
    secure.complete(config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_holds_no_certificate_is_a_configuration_error_and_no_network_problem() {
    let secure = Secure::new("no-certificate", MockTls::new().unwrap()).await;
    let path = secure.file("no-certificate", "not a certificate");
    let config = secure.hello("none").env("TEMPORAL_TLS_SERVER_CA_CERT_PATH", &path);
    let (kind, message) = secure.fail(config).await;
    assert_eq!(kind, "Configuration", "{message}");
    for part in ["TEMPORAL_TLS_SERVER_CA_CERT_PATH", path.to_str().unwrap()] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_where_one_is_asked_for() {
    let tls = MockTls::new().unwrap().require_client_certificate();
    let secure = Secure::new("mtls", tls.clone()).await;
    let (kind, message) = secure.fail(secure.hello("without")).await;
    assert_eq!(kind, "TemporalUnreachable", "{message}");
    let with = secure
        .hello("with")
        .env("TEMPORAL_TLS_CLIENT_CERT_PATH", secure.file("cert", tls.client_certificate_pem()))
        .env("TEMPORAL_TLS_CLIENT_KEY_PATH", secure.file("key", tls.client_key_pem()));
    secure.complete(with).await;
}
