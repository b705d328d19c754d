//! The settings of a function, as it would read them: `temporal.toml` and the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lambda_runtime::{Context, LambdaEvent};
use temporal_lambda_worker::check::{self, Code, Finding};
use temporal_lambda_worker::{
    BoxError, LambdaWorkerConfig, LambdaWorkerHandler, WorkerDeploymentVersion,
};
use temporalio_client::{Client, ClientOptions, ConnectionOptions};

use crate::error::CliError;

/// What the names of all settings' variables begin with.
const PREFIX: &str = "TEMPORAL_";
/// The variable of the idle timeout.
pub(crate) const IDLE_TIMEOUT: &str = "TEMPORAL_LAMBDA_IDLE_TIMEOUT";
/// Stands in a version for what is not set outside of the code.
const UNSET: &str = "";
/// How long connecting to a server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings by the names of their variables.
pub(crate) type Chosen = BTreeMap<String, String>;

/// Makes settings that arguments have chosen this process's own, by running it again with them: the library
/// reads them from the environment. Returns where nothing has to change.
pub(crate) fn take(chosen: &Chosen) -> Result<(), CliError> {
    let is_set = |(name, value): (&String, &String)| {
        std::env::var_os(name).is_some_and(|it| it == value.as_str())
    };
    if chosen.iter().all(is_set) {
        return Ok(());
    }
    let this = std::env::current_exe().map_err(CliError::Folder)?;
    Err(CliError::Folder(Command::new(this).args(std::env::args_os().skip(1)).envs(chosen).exec()))
}

/// Those of a function's variables that are settings.
pub(crate) fn among(variables: &[(String, String)]) -> Chosen {
    variables.iter().filter(|(name, _)| name.starts_with(PREFIX)).cloned().collect()
}

/// The settings of this process's environment, for a function that shall have them, too. The idle timeout is
/// not among them: it is set for every function.
pub(crate) fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| {
        name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) && name != IDLE_TIMEOUT
    })
}

/// The settings in force.
pub(crate) struct Settings {
    /// Its `Debug` shows the API key.
    pub(crate) connection: ConnectionOptions,
    pub(crate) namespace: String,
    pub(crate) task_queue: Option<String>,
    pub(crate) deployment_name: Option<String>,
    pub(crate) build_id: Option<String>,
    pub(crate) idle_timeout: Option<Duration>,
    /// What the library judges of them.
    pub(crate) findings: Vec<Finding>,
}

/// Reads the settings from this process's environment, with the very code that reads them in
/// Lambda, and judges them for a function with this timeout. `Err` is why a function would refuse them.
pub(crate) async fn resolve(timeout: Option<Duration>) -> Result<Settings, Finding> {
    let found = Arc::new(Mutex::new(None));
    let find = found.clone();
    // The worker's code hands its settings to `configure`. An error there ends the invocation
    // before anything else happens.
    let configure = move |config: &mut LambdaWorkerConfig| -> Result<(), BoxError> {
        *find.lock().unwrap_or_else(PoisonError::into_inner) = Some(Settings::of(config, timeout));
        Err("that was all".into())
    };
    let version = WorkerDeploymentVersion::builder().deployment_name(UNSET).build_id(UNSET).build();
    let handler = LambdaWorkerHandler::new(version, configure);
    let handler = handler.map_err(|error| Finding::from(error.fault()))?;
    let mut context = Context::default();
    context.deadline = far_deadline();
    let ended = handler.handle(LambdaEvent::new((), context)).await;
    let found = found.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (found, ended) {
        (Some(settings), _) => Ok(settings),
        (None, Err(error)) => Err(Finding::from(error.fault())),
        (None, Ok(_)) => {
            let message = "the settings could not be read";
            Err(Finding::new("settings", Code::InvocationFailed, message))
        }
    }
}

/// Lambda's longest timeout from now, in milliseconds since 1970: an event without a deadline would be
/// warned about.
fn far_deadline() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let deadline = now + Duration::from_secs(900);
    u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)
}

impl Settings {
    fn of(config: &LambdaWorkerConfig, timeout: Option<Duration>) -> Self {
        let mut findings = check::settings(config);
        findings.extend(check::time(config, timeout));
        let worker = &config.worker_options;
        let deployment = &worker.deployment_options;
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            connection: config.connection_options.clone(),
            namespace: config.client_options.namespace.clone(),
            task_queue: set(&worker.task_queue),
            deployment_name: set(&deployment.version.deployment_name),
            build_id: set(&deployment.version.build_id),
            idle_timeout: config.idle_timeout,
            findings,
        }
    }

    /// The server's address, with its port.
    pub(crate) fn address(&self) -> String {
        let target = &self.connection.target;
        let host = target.host_str().unwrap_or_default();
        let address = target.port_or_known_default().map(|port| format!("{host}:{port}"));
        address.unwrap_or_else(|| host.to_owned())
    }

    /// The server in words: address, namespace, TLS. No secret is shown.
    pub(crate) fn server(&self) -> String {
        let address = self.address();
        let tls = match &self.connection.tls_options {
            Some(tls) if tls.client_tls_options.is_some() => "with TLS and a client certificate",
            Some(_) => "with TLS",
            None => "without TLS",
        };
        format!("server at {address}, namespace {}, {tls}", self.namespace)
    }

    /// Connects as a worker would, for this command's own calls.
    pub(crate) async fn connect(&self) -> Result<Client, Finding> {
        let mut options = self.connection.clone();
        options.identity = "temporal-lambda".to_owned();
        let connecting = check::connect(&options);
        let connection = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connection) => connection?,
            Err(_) => {
                let target = &options.target;
                return Err(unreachable(format!(
                    "{target} does not answer within {CONNECT_TIMEOUT:?}"
                )));
            }
        };
        Client::new(connection, ClientOptions::new(&*self.namespace).build())
            .map_err(|error| unreachable(error.to_string()))
    }
}

fn unreachable(message: String) -> Finding {
    Finding::new("connection", Code::Unreachable, message).advice(
        "check TEMPORAL_ADDRESS and the TLS settings (TEMPORAL_TLS); in Lambda, also the VPC and its \
         security groups",
    )
}
