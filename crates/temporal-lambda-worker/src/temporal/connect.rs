//! Connecting, and keeping the connection for the next invocation.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use temporalio_client::errors::ClientConnectError;
use temporalio_client::tonic::{Code, IntoRequest, Status};
use temporalio_client::{Connection, ConnectionOptions};
use temporalio_common::protos::temporal::api::workflowservice::v1::GetSystemInfoRequest;

use super::Link;
use super::gate::Namespaces;
pub(crate) use crate::config::conceal;
use crate::config::{ConfigError, LambdaWorkerConfig};
use crate::error::Fault;
use crate::report::ConnectionUse;

/// How long a kept connection may take to prove that it is alive: 0.5 s. A healthy one answers
/// within a round trip; beyond this, connecting anew is the better bet.
pub(crate) const PROBE_CAP: Duration = Duration::from_millis(500);

/// How long an invocation waits for the connection that another one is making: 1 s.
const TURN_CAP: Duration = Duration::from_secs(1);

/// The connection of the last invocation.
#[derive(Clone, Default)]
pub(crate) struct ConnectionCache {
    kept: Arc<Mutex<Option<Kept>>>,
    /// Held while a connection is made: invocations that begin together wait for one, and share it.
    making: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone)]
struct Kept {
    connection: Connection,
    fingerprint: String,
    /// By wall clock, since the monotonic clock may stand still while the environment is frozen.
    made: SystemTime,
    /// Kept so that the next worker on this connection need not ask again.
    namespaces: Namespaces,
}

/// What connecting depends on, taken from the configuration.
pub(crate) struct Request {
    options: ConnectionOptions,
    identity: String,
    reuse: bool,
    max_age: Duration,
}

impl Request {
    pub(crate) fn of(config: &LambdaWorkerConfig) -> Self {
        Self {
            options: config.connection_options.clone(),
            identity: config.identity(),
            reuse: config.reuse_connection,
            max_age: config.max_connection_age,
        }
    }
}

impl ConnectionCache {
    /// A connection: the kept one if it fits and answers, else a new one.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the cache as it was.
    pub(crate) async fn connect(self, request: Request) -> Result<Link, Fault> {
        let fingerprint = fingerprint(&request.options);
        if !request.reuse {
            let connection = connect(&request).await?;
            let namespaces = Namespaces::default();
            self.keep(None);
            return Ok(Link { connection, how: ConnectionUse::New, namespaces });
        }
        let tried = self.kept();
        let mut how = match &tried {
            None => ConnectionUse::New,
            Some(kept) => match kept.take_over(&request, &fingerprint).await {
                Ok(link) => return Ok(link),
                Err(how) => how,
            },
        };
        // Beyond the cap the other one is in trouble, which may be its own.
        let _making = tokio::time::timeout(TURN_CAP, self.making.lock()).await;
        // While this one waited, another may have made the connection that it wants.
        let made = tried.map(|kept| kept.made);
        if let Some(kept) = self.kept().filter(|kept| Some(kept.made) != made) {
            match kept.take_over(&request, &fingerprint).await {
                Ok(link) => return Ok(link),
                Err(why_not) => how = why_not,
            }
        }
        let connection = connect(&request).await?;
        let namespaces = Namespaces::default();
        self.keep(Some(Kept {
            connection: connection.clone(),
            fingerprint,
            made: SystemTime::now(),
            namespaces: namespaces.clone(),
        }));
        Ok(Link { connection, how, namespaces })
    }

    /// Forgets the kept connection, so that its socket closes when nobody uses it any more.
    pub(crate) fn forget(&self) {
        self.keep(None);
    }

    fn kept(&self) -> Option<Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, kept: Option<Kept>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }
}

impl Kept {
    /// This connection under the identity of `request`; or why it is of no use.
    async fn take_over(&self, request: &Request, fingerprint: &str) -> Result<Link, ConnectionUse> {
        let age = SystemTime::now().duration_since(self.made);
        // A clock that went backwards says nothing about the age, so it counts as too old.
        if self.fingerprint != fingerprint || !age.is_ok_and(|it| it <= request.max_age) {
            return Err(ConnectionUse::Replaced);
        }
        self.connection.set_api_key(request.options.api_key.clone());
        if !answers(&self.connection).await {
            tracing::info!("the kept connection does not answer; connecting anew");
            return Err(ConnectionUse::Revived);
        }
        let connection = under_identity(self.connection.clone(), request.identity.clone());
        let namespaces = self.namespaces.clone();
        Ok(Link { connection, how: ConnectionUse::Reused, namespaces })
    }
}

/// A new connection.
async fn connect(request: &Request) -> Result<Connection, Fault> {
    let connecting = Connection::connect(request.options.clone());
    let connection = connecting.await.map_err(|error| fault(error, &request.options))?;
    Ok(under_identity(connection, request.identity.clone()))
}

/// The connection as one invocation sees it: the socket is shared, the identity is its own.
fn under_identity(mut connection: Connection, identity: String) -> Connection {
    *connection.identity_mut() = identity;
    connection
}

async fn answers(connection: &Connection) -> bool {
    let mut service = connection.workflow_service();
    let probe = service.get_system_info(GetSystemInfoRequest::default().into_request());
    matches!(tokio::time::timeout(PROBE_CAP, probe).await, Ok(Ok(_)))
}

/// What a connection depends on besides the API key, which can be changed in place. Kept in
/// memory only and never shown: it holds headers.
fn fingerprint(options: &ConnectionOptions) -> String {
    let mut bare = options.clone();
    bare.api_key = None;
    bare.identity = String::new();
    // Maps print in an order of their own.
    let headers = bare.headers.take().map(BTreeMap::from_iter);
    let binary_headers = bare.binary_headers.take().map(BTreeMap::from_iter);
    // The SDK prints certificates as their lengths and services as their names.
    let tls = options.tls_options.as_ref().map(|tls| {
        let mut hasher = DefaultHasher::new();
        tls.server_root_ca_cert.hash(&mut hasher);
        if let Some(client) = &tls.client_tls_options {
            (&client.client_cert, &client.client_private_key).hash(&mut hasher);
        }
        let verifier = tls.server_cert_verifier.as_ref().map(Arc::as_ptr);
        (hasher.finish(), verifier.map(|it| it.cast::<()>() as usize))
    });
    let service =
        options.service_override.as_ref().map(|it| Arc::as_ptr(&it.callback).cast::<()>() as usize);
    format!("{bare:?}{headers:?}{binary_headers:?}{tls:?}{service:?}")
}

fn fault(error: ClientConnectError, options: &ConnectionOptions) -> Fault {
    let target = options.target.to_string();
    let conceal = |text: String| conceal(text, options);
    match error {
        ClientConnectError::SystemInfoCallError(status) => {
            status_fault(&status, target, conceal(status.message().to_owned()))
        }
        ClientConnectError::TonicTransportError(error) => {
            let reason = format!("{}{}", conceal(chain(&error)), about_the_port(options));
            Fault::Unreachable { target, reason }
        }
        ClientConnectError::DnsResolutionError { host, source } => {
            Fault::Unreachable { target, reason: format!("{host} does not resolve: {source}") }
        }
        other => ConfigError::Profile { reason: conceal(other.to_string()) }.into(),
    }
}

/// Why a port may be the wrong one, if the address names none.
fn about_the_port(options: &ConnectionOptions) -> String {
    match (options.target.port(), options.target.port_or_known_default()) {
        (None, Some(default)) => format!(
            " (the address names no port, so {default} was tried; Temporal listens on 7233, as a rule)"
        ),
        _ => String::new(),
    }
}

/// What a gRPC status of an early call means.
pub(crate) fn status_fault(status: &Status, target: String, reason: String) -> Fault {
    let code = format!("{:?}", status.code());
    // One that comes with a cause was made on this side: nobody has answered.
    if let Some(cause) = std::error::Error::source(status) {
        return Fault::Unreachable { target, reason: format!("{reason}: {}", chain(cause)) };
    }
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => Fault::Refused { target, code, reason },
        Code::Unavailable | Code::DeadlineExceeded => Fault::Unreachable { target, reason },
        _ => Fault::Answered { target, code, reason },
    }
}

/// An error with all its causes; the outermost alone often says only "transport error".
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}
