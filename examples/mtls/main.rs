//! How does a warm environment follow a client certificate, or an API key, that changes?
//!
//! `Rotating` fetches it again when it is too old by wall clock, and `configure` puts it into the connection's
//! options. A changed one makes a new connection; an unchanged one keeps the connection of the last
//! invocation. Where the new one cannot be had, the earlier one is used. A certificate that never changes while the
//! function is deployed needs no code: `TEMPORAL_TLS_CLIENT_CERT_PATH` and `TEMPORAL_TLS_CLIENT_KEY_PATH`.

use std::path::PathBuf;
use std::time::Duration;

use temporal_lambda_worker::temporalio_client::ClientTlsOptions;
use temporal_lambda_worker::{
    BoxError, LambdaVersion, LambdaWorker, LambdaWorkerConfig, Rotating, WorkerFunction,
    async_trait,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkflowContext, WorkflowResult};

#[workflow]
#[derive(Default)]
struct Hello;

#[workflow_methods]
impl Hello {
    #[run]
    async fn run(_context: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        Ok(format!("Hello, {name}!"))
    }
}

#[derive(Clone)]
struct Greeter {
    /// Clones of the struct share it, so that all invocations of an environment do.
    identity: Rotating<ClientTlsOptions>,
}

#[async_trait]
impl LambdaWorker for Greeter {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        // What the environment and `temporal.toml` say stays: the server's name, and who vouches for it.
        let tls = config.connection_options.tls_options.get_or_insert_default();
        tls.client_tls_options = Some(self.identity.get().await?);
        // With an API key it is `config.connection_options.api_key = Some(self.key.get().await?)`.
        config.register_workflow::<Hello>()?;
        Ok(())
    }
}

/// Stands for a call of a secret store, which would bring both in one answer: certificate and key
/// must belong together.
async fn fetch(secrets: PathBuf) -> Result<ClientTlsOptions, BoxError> {
    let certificate = tokio::fs::read(secrets.join("client.pem")).await?;
    let key = tokio::fs::read(secrets.join("client.key")).await?;
    Ok(ClientTlsOptions::builder().client_cert(certificate).client_private_key(key).build())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let secrets = std::env::var_os("SECRETS").ok_or("set SECRETS to a folder")?;
    let secrets = PathBuf::from(secrets);
    // Shorter than the time for which the old certificate is still good.
    let time_to_live = match std::env::var("SECRETS_TTL_SECONDS") {
        Ok(seconds) => Duration::from_secs(seconds.parse()?),
        Err(_) => Duration::from_secs(300),
    };
    let worker = Greeter { identity: Rotating::new(time_to_live, move || fetch(secrets.clone())) };
    let version = LambdaVersion::new().resolve()?;
    WorkerFunction::new(version, worker).task_queue("hello").run().await?;
    Ok(())
}
