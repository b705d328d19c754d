//! Connecting, and keeping the channel for the next invocation.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use prost::Message as _;
use temporalio_client::callback_based::{GrpcRequest, GrpcSuccessResponse};
use temporalio_client::errors::ClientConnectError;
use temporalio_client::tonic::{Code, Status};
use temporalio_client::{Connection, ConnectionOptions};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceResponse, GetSystemInfoResponse,
};
use tokio::time::Instant;

use super::Link;
use super::channel::{Answer, DialError, Route, chain, is_unanswered, service};
pub(crate) use crate::config::conceal;
use crate::config::{ConfigError, LambdaWorkerConfig};
use crate::error::Fault;
use crate::report::ConnectionUse;

/// How long a kept channel may take to prove that it is alive: 0.5 s. A healthy one answers within
/// a round trip; beyond this, dialing anew is the better bet.
pub(crate) const PROBE_CAP: Duration = Duration::from_millis(500);

/// How long an invocation waits for the channel that another one is dialing: 1 s.
const TURN_CAP: Duration = Duration::from_secs(1);

/// A server that has refused a call because there were too many is taken to do so again for this long:
/// 60 s.
const THROTTLED_FOR: Duration = Duration::from_secs(60);

/// The channel of the last invocation.
#[derive(Clone, Default)]
pub(crate) struct ChannelCache {
    kept: Arc<Mutex<Option<Kept>>>,
    /// Held while a channel is dialed: invocations that begin together wait for one, and share it.
    dialing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone)]
struct Kept {
    server: Server,
    fingerprint: String,
    /// By wall clock, since the monotonic clock may stand still while the environment is frozen.
    dialed: SystemTime,
}

/// A channel, and what is known of the server at its other end.
#[derive(Clone)]
pub(crate) struct Server {
    pub(super) route: Route,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
pub(super) struct Known {
    pub(super) info: Option<GetSystemInfoResponse>,
    pub(super) namespaces: HashMap<String, DescribeNamespaceResponse>,
    /// When the server last refused a call because there were too many.
    throttled: Option<Instant>,
}

/// What connecting depends on, taken from the configuration.
pub(crate) struct Request {
    options: ConnectionOptions,
    reuse: bool,
    max_age: Duration,
}

impl Request {
    pub(crate) fn of(config: &LambdaWorkerConfig) -> Self {
        let mut options = config.connection_options.clone();
        options.identity = config.identity();
        Self { options, reuse: config.reuse_connection, max_age: config.max_connection_age }
    }
}

impl ChannelCache {
    /// A connection for one invocation: over the kept channel if it fits and the server answers,
    /// else over a new one.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the cache as it was.
    pub(crate) async fn connect(self, request: Request) -> Result<Link, Fault> {
        if !request.reuse {
            self.keep(None);
            return dial(&request.options, ConnectionUse::New).await;
        }
        let fingerprint = fingerprint(&request.options);
        let tried = self.kept();
        let mut how = match &tried {
            None => ConnectionUse::New,
            Some(kept) => match self.take_over(kept, &request, &fingerprint).await {
                Ok(link) => return link,
                Err(how) => how,
            },
        };
        // Beyond the cap the other one is in trouble, which may be its own.
        let _dialing = tokio::time::timeout(TURN_CAP, self.dialing.lock()).await;
        // While this one waited, another may have dialed the channel that it wants.
        let dialed = tried.map(|kept| kept.dialed);
        if let Some(kept) = self.kept().filter(|kept| Some(kept.dialed) != dialed) {
            match self.take_over(&kept, &request, &fingerprint).await {
                Ok(link) => return link,
                Err(why_not) => how = why_not,
            }
        }
        let link = dial(&request.options, how).await?;
        let server = link.server.clone();
        self.keep(Some(Kept { server, fingerprint, dialed: SystemTime::now() }));
        Ok(link)
    }

    /// Forgets the kept channel, so that its socket closes when nobody uses it any more.
    pub(crate) fn forget(&self) {
        self.keep(None);
    }

    fn kept(&self) -> Option<Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, kept: Option<Kept>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    /// A connection over this channel: what the server says to it, or why the channel is of no use.
    async fn take_over(
        &self,
        kept: &Kept,
        request: &Request,
        fingerprint: &str,
    ) -> Result<Result<Link, Fault>, ConnectionUse> {
        let age = SystemTime::now().duration_since(kept.dialed);
        // After a step backwards of the clock the age is unknown, so the channel counts as too old.
        if kept.fingerprint != fingerprint || !age.is_ok_and(|it| it <= request.max_age) {
            return Err(ConnectionUse::Replaced);
        }
        let linking = kept.server.link(&request.options, ConnectionUse::Reused);
        match tokio::time::timeout(PROBE_CAP, linking).await {
            Ok(Err(Fault::Unreachable { .. })) | Err(_) => {
                tracing::info!("the kept connection does not answer; connecting anew");
                // Or the next invocation would wait for it, too, if dialing fails.
                self.forget();
                Err(ConnectionUse::Reconnected)
            }
            Ok(answered) => Ok(answered),
        }
    }
}

impl Server {
    pub(super) fn new(route: Route) -> Self {
        Self { route, known: Arc::default() }
    }

    /// A server that answers every call with an empty message.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self::new(Route::Overridden(service(|_| Box::pin(async { Ok(answered_with(Vec::new())) }))))
    }

    /// A connection of the SDK over this channel, under the identity and with the credentials of
    /// `options`. The server is asked for its capabilities, which proves both.
    async fn link(&self, options: &ConnectionOptions, how: ConnectionUse) -> Result<Link, Fault> {
        let server = self.clone();
        let mut bare = without_network(options);
        bare.service_override = Some(service(move |call| {
            let server = server.clone();
            Box::pin(async move {
                match call.rpc.as_str() {
                    "GetSystemInfo" => {
                        let answer = server.call(call).await;
                        server.system_info(answer)
                    }
                    _ => server.call(call).await,
                }
            })
        }));
        let connection = Connection::connect(bare).await.map_err(|error| fault(error, options))?;
        Ok(Link { connection, how, server: self.clone() })
    }

    /// What the server is: as it has just said, or as it said before if it is only busy now.
    fn system_info(&self, answer: Answer) -> Answer {
        match answer {
            Ok(answer) => {
                if let Ok(info) = GetSystemInfoResponse::decode(&*answer.proto) {
                    self.known().info = Some(info);
                }
                Ok(answer)
            }
            Err(status) if is_unanswered(&status) || is_about_credentials(&status) => Err(status),
            Err(status) => {
                let known = self.known().info.as_ref().map(GetSystemInfoResponse::encode_to_vec);
                known.map(answered_with).ok_or(status)
            }
        }
    }

    /// A call over the channel.
    pub(super) async fn call(&self, call: GrpcRequest) -> Answer {
        let answer = self.route.call(call).await;
        let code = answer.as_ref().err().map(Status::code);
        if code == Some(Code::ResourceExhausted) {
            self.known().throttled = Some(Instant::now());
        }
        answer
    }

    /// Whether the server may refuse calls because there are too many, as it did not long ago.
    pub(super) fn is_throttling(&self) -> bool {
        self.known().throttled.is_some_and(|last| last.elapsed() < THROTTLED_FOR)
    }

    /// What the server said of itself and of its namespaces.
    pub(super) fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer with this message.
pub(super) fn answered_with(proto: Vec<u8>) -> GrpcSuccessResponse {
    GrpcSuccessResponse { headers: Default::default(), proto }
}

/// The options of a connection that does not dial: what is for the network is the channel's.
pub(super) fn without_network(options: &ConnectionOptions) -> ConnectionOptions {
    let mut options = options.clone();
    options.dns_load_balancing = None;
    options.http_connect_proxy = None;
    options.tls_options = None;
    options
}

/// A connection over a new channel.
async fn dial(options: &ConnectionOptions, how: ConnectionUse) -> Result<Link, Fault> {
    // The SDK has a kind of certificate that is looked up for each handshake, in a field that is
    // there with a feature of its client only. Nothing here could hand it on.
    if format!("{:?}", options.tls_options).contains("client_cert_resolver: Some") {
        return Err(ConfigError::Profile {
            reason: "client_cert_resolver is not supported: set client_tls_options in configure, \
                     which runs for every invocation"
                .to_owned(),
        }
        .into());
    }
    let said = |error| conceal(chain(&error), options);
    let route = Route::dial(options).await.map_err(|error| match error {
        DialError::Options(error) => ConfigError::Profile { reason: said(error) }.into(),
        DialError::Network(error) => {
            let reason = format!("{}{}", said(error), about_the_port(options));
            Fault::Unreachable { target: options.target.to_string(), reason }
        }
    })?;
    match Server::new(route.clone()).link(options, how).await {
        Err(Fault::Answered { reason, .. }) if is_about_compression(&reason) => {
            Server::new(route.uncompressed()).link(options, how).await
        }
        link => link,
    }
}

/// The SDK compresses unless the server does not understand it, and so it is here.
fn is_about_compression(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    ["decompress", "grpc-encoding", "compressor"].iter().any(|word| reason.contains(word))
}

/// What a channel depends on. Kept in memory only and never shown.
fn fingerprint(options: &ConnectionOptions) -> String {
    // The SDK prints certificates as their lengths and services as their names.
    let tls = options.tls_options.as_ref().map(|tls| {
        let mut hasher = DefaultHasher::new();
        tls.server_root_ca_cert.hash(&mut hasher);
        if let Some(client) = &tls.client_tls_options {
            (&client.client_cert, &client.client_private_key).hash(&mut hasher);
        }
        let verifier = tls.server_cert_verifier.as_ref().map(Arc::as_ptr);
        (tls.domain.clone(), hasher.finish(), verifier.map(|it| it.cast::<()>() as usize))
    });
    let service =
        options.service_override.as_ref().map(|it| Arc::as_ptr(&it.callback).cast::<()>() as usize);
    format!(
        "{:?}",
        (
            options.target.as_str(),
            &options.override_origin,
            options.connect_timeout,
            &options.keep_alive,
            &options.http_connect_proxy,
            options.grpc_compression,
            tls,
            service,
        )
    )
}

fn fault(error: ClientConnectError, options: &ConnectionOptions) -> Fault {
    let target = options.target.to_string();
    match error {
        ClientConnectError::SystemInfoCallError(status) => {
            let reason = conceal(status.message().to_owned(), options);
            status_fault(&status, target, reason)
        }
        other => ConfigError::Profile { reason: conceal(other.to_string(), options) }.into(),
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

fn is_about_credentials(status: &Status) -> bool {
    matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied)
}

/// What a gRPC status of an early call means.
pub(crate) fn status_fault(status: &Status, target: String, reason: String) -> Fault {
    let code = format!("{:?}", status.code());
    if is_unanswered(status) {
        return Fault::Unreachable { target, reason };
    }
    match status.code() {
        _ if is_about_credentials(status) => Fault::Refused { target, code, reason },
        Code::Unavailable | Code::DeadlineExceeded => Fault::Unreachable { target, reason },
        _ => Fault::Answered { target, code, reason },
    }
}
