//! The emulator: functions, and the control plane that they are called through.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::broadcast;

use crate::{
    aws::{self, Account, Deployed, Name},
    config::FunctionConfig,
    environment::EnvCore,
    error::EmulatorError,
    event::EmulatorEvent,
    function::Function,
    schedule,
    shared::{SHUTDOWN_TIME, Shared},
};

const IDLE_EXPIRY: Duration = Duration::from_secs(600);

/// Settings of an emulator. Made by [`LambdaEmulator::builder`].
#[derive(Debug, Clone, Default)]
pub struct LambdaEmulatorBuilder {
    port: u16,
    external_id: Option<String>,
    idle_expiry: Option<Duration>,
}

impl LambdaEmulatorBuilder {
    /// The port of the control plane. Default: 0, any free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Makes STS `AssumeRole` refuse callers without this external ID. Default: every caller may
    /// assume every role.
    #[must_use]
    pub fn expect_external_id(mut self, external_id: impl Into<String>) -> Self {
        self.external_id = Some(external_id.into());
        self
    }

    /// How long an idle environment is kept. Default: 10 minutes; Lambda promises nothing. Then it is
    /// killed, or, when it has registered an extension, asked by SIGTERM and killed 500 ms later.
    #[must_use]
    pub fn idle_expiry(mut self, idle: Duration) -> Self {
        self.idle_expiry = Some(idle);
        self
    }

    /// Starts the emulator on 127.0.0.1, within the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::Listen`] when the port cannot be had.
    pub async fn start(self) -> Result<LambdaEmulator, EmulatorError> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", self.port))
            .await
            .map_err(EmulatorError::Listen)?;
        let address = listener.local_addr().map_err(EmulatorError::Listen)?;
        let account = Arc::new(Account {
            shared: Arc::new(Shared::new(self.idle_expiry.unwrap_or(IDLE_EXPIRY))),
            external_id: self.external_id,
            functions: Default::default(),
        });
        aws::serve(account.clone(), listener);
        Ok(LambdaEmulator { account, address })
    }
}

/// An emulator of AWS Lambda on a loopback port. Dropping it kills every environment.
#[derive(Debug)]
pub struct LambdaEmulator {
    account: Arc<Account>,
    address: SocketAddr,
}

impl LambdaEmulator {
    /// Starts an emulator with default settings.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::Listen`] when no port can be had.
    pub async fn start() -> Result<Self, EmulatorError> {
        Self::builder().start().await
    }

    /// Settings for an emulator.
    pub fn builder() -> LambdaEmulatorBuilder {
        LambdaEmulatorBuilder::default()
    }

    /// Adds a function.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::DuplicateFunction`], [`EmulatorError::InvalidConfig`], or
    /// [`EmulatorError::ShutDown`] after [`shutdown`](Self::shutdown).
    pub fn add_function(&self, config: FunctionConfig) -> Result<Function, EmulatorError> {
        config.validate()?;
        if self.account.shared.closed.is_cancelled() {
            return Err(EmulatorError::ShutDown);
        }
        let mut functions = self.account.functions.lock();
        if functions.contains_key(&config.name) {
            return Err(EmulatorError::DuplicateFunction(config.name));
        }
        let function = Function::new(config, self.account.shared.clone());
        functions.insert(function.name().to_owned(), Deployed::new(function.clone()));
        Ok(function)
    }

    /// The function of this name, added or created through the API. A name or ARN with a qualifier,
    /// such as `worker:7`, is that version, or what that alias leads to.
    pub fn function(&self, name: &str) -> Option<Function> {
        let name = Name::parse(name);
        self.account.functions.lock().get(&name.function)?.resolve(name.qualifier.as_deref())
    }

    /// Every version of every function, by name; `$LATEST` first.
    pub fn functions(&self) -> Vec<Function> {
        self.account.versions()
    }

    /// `http://127.0.0.1:<port>`: what `AWS_ENDPOINT_URL` is set to, so that the AWS SDKs call
    /// this emulator for Lambda and STS.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The control plane's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happens from now on. A receiver that falls 4096 events behind loses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<EmulatorEvent> {
        self.account.shared.events.subscribe()
    }

    /// Takes every environment down as Lambda does: SIGTERM, up to 500 ms, SIGKILL. Returns when
    /// they are gone; new invocations are refused from the start.
    ///
    /// Lambda sends SIGTERM only to environments with an extension; this sends it to all.
    /// Not cancel safe: environments that are left are killed when the emulator is dropped.
    pub async fn shutdown(&self) {
        self.account.shared.closed.cancel();
        let environments = self.environments();
        for env in &environments {
            env.terminate();
        }
        let all_gone = async {
            for env in &environments {
                env.gone.cancelled().await;
            }
        };
        let left = tokio::time::timeout(SHUTDOWN_TIME, all_gone).await;
        if left.is_err() {
            for env in &environments {
                schedule::end(env).await;
            }
        }
    }

    fn environments(&self) -> Vec<Arc<EnvCore>> {
        let versions = self.account.versions();
        let cores = versions.iter().flat_map(Function::environment_cores);
        cores.filter(|env| !env.is_gone()).collect()
    }
}

impl Drop for LambdaEmulator {
    fn drop(&mut self) {
        self.account.shared.closed.cancel();
        for env in self.environments() {
            env.kill();
        }
    }
}
