use std::path::PathBuf;

use temporal_lambda_testkit::lambda::Function;
use temporal_lambda_tests::tls::{Authority, TlsProxy};
use temporal_lambda_tests::{Invoked as _, Temporal, World, server};

/// The folder in which the function looks for its certificate.
struct Secrets(PathBuf);

impl Secrets {
    /// A new client certificate of this authority.
    fn are_of(&self, authority: &Authority) {
        let client = authority.issue_client();
        std::fs::write(self.0.join("client.pem"), client.certificate_pem).unwrap();
        std::fs::write(self.0.join("client.key"), client.key_pem).unwrap();
    }
}

/// Has a workflow done, the first invocation for it over this `connection`.
async fn greets(temporal: &Temporal, world: &World, function: &Function, connection: &str) {
    let id = world.id(connection);
    temporal.start(&world.name, &id, "Hello", connection).await;
    let invocation = temporal.served_by(function, &id).await.remove(0);
    assert_eq!(invocation.report()["connection"], connection, "{}", invocation.log_text());
    assert_eq!(temporal.result(&id).await, format!("Hello, {connection}!"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_environment_takes_the_new_certificate_once_the_old_one_is_refused() {
    let (first, second) = (Authority::new(), Authority::new());
    let proxy = TlsProxy::to(server::shared().address(), &first).await;
    let world = World::at(&format!("localhost:{}", proxy.port()), "mtls").await;
    let temporal = Temporal::connect(server::shared().address()).await;
    temporal.make_current(world.version()).await;
    let secrets = Secrets(world.task_root().to_owned());
    let ca = world.task_root().join("ca.pem");
    std::fs::write(&ca, proxy.ca_pem()).unwrap();
    let config = world
        .config_with_short_idle("mtls", env!("CARGO_BIN_EXE_mtls"))
        .env("TEMPORAL_TLS", "true")
        .env("TEMPORAL_TLS_SERVER_CA_CERT_PATH", ca)
        .env("SECRETS", &secrets.0)
        .env("SECRETS_TTL_SECONDS", "0");
    let function = world.add(config);
    secrets.are_of(&first);
    greets(&temporal, &world, &function, "new").await;

    proxy.takes_clients_of(&second);
    let (kind, message) = function.invoke("{}").await.unwrap().error();
    assert_eq!(kind, "TemporalUnreachable", "{message}");
    secrets.are_of(&second);
    greets(&temporal, &world, &function, "replaced").await;
    assert_eq!(function.environments().len(), 1, "the same environment did all of it");
}
