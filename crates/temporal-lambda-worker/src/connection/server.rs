//! The server at the other end of a channel: calls to it, and the facts that are known of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt as _, TryFutureExt as _};
use prost::Message as _;
use temporalio_client::callback_based::{GrpcRequest, GrpcSuccessResponse};
use temporalio_client::errors::ClientConnectError;
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::tonic::{Code, IntoRequest as _, Status};
use temporalio_client::{Connection, ConnectionOptions, RetryOptions};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, GetSystemInfoResponse,
};
use tokio::time::timeout;

use super::Link;
use super::channel::{Answer, DialError, Route, is_unanswered, service};
use super::known::{Credentials, Known};
use crate::config::conceal;
use crate::error::{ConfigError, Fault, with_sources};
use crate::report::ConnectionUse;

/// How long an invocation waits for the description of its namespace before the worker asks for it again: 0.5 s.
const DESCRIBED_WITHIN: Duration = Duration::from_millis(500);

/// The codes with which a server refuses credentials.
pub(super) const ABOUT_CREDENTIALS: [Code; 2] = [Code::Unauthenticated, Code::PermissionDenied];

/// A channel, and the facts that are known of the server at its other end.
#[derive(Clone)]
pub(crate) struct Server {
    route: Route,
    known: Arc<Mutex<Known>>,
}

impl Server {
    pub(crate) fn new(route: Route) -> Self {
        Self { route, known: Arc::default() }
    }

    /// A server that answers every call with an empty message.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self::new(Route::Overridden(service(|_| Box::pin(async { Ok(answered_with(Vec::new())) }))))
    }

    /// A connection of the SDK over this channel, under the identity and with the credentials of
    /// `options`. The server is asked for its capabilities, which proves both, unless it has answered just now;
    /// and in the same round trip for the description of `namespace`, if that is not known yet.
    pub(super) async fn link(
        &self,
        options: &ConnectionOptions,
        namespace: Option<&str>,
        how: ConnectionUse,
    ) -> Result<Link, Fault> {
        let server = self.clone();
        let mut bare = without_network(options);
        let credentials = Credentials::of(options);
        let is_asked = Arc::new(AtomicBool::new(false));
        let asked = is_asked.clone();
        bare.service_override = Some(service(move |call| {
            let (server, asked) = (server.clone(), asked.clone());
            Box::pin(async move {
                match call.rpc.as_str() {
                    "GetSystemInfo" => {
                        let fresh = server.known().fresh_info(credentials);
                        let Some(info) = fresh else {
                            asked.store(true, Ordering::Relaxed);
                            let answer = server.call(call).await;
                            return server.system_info(answer, credentials);
                        };
                        Ok(answered_with(info.encode_to_vec()))
                    }
                    _ => server.call(call).await,
                }
            })
        }));
        let describing = timeout(DESCRIBED_WITHIN, self.describe(bare.clone(), namespace));
        let connecting = Connection::connect(bare).map_err(|error| fault(error, options));
        // Boxed, so that the future of connecting stays small.
        let (connection, _) = tokio::try_join!(connecting.boxed(), describing.map(Ok).boxed())?;
        let has_answered = is_asked.load(Ordering::Relaxed);
        Ok(Link { connection, how, server: self.clone(), has_answered })
    }

    /// Asks for the description of a namespace. If the server refuses that, the worker asks again, and reports what
    /// it says.
    async fn describe(&self, mut options: ConnectionOptions, namespace: Option<&str>) {
        let unknown = |name: &&str| !self.known().namespaces.contains_key(*name);
        let Some(namespace) = namespace.filter(unknown) else { return };
        options.set_skip_get_system_info(true);
        options.retry_options = RetryOptions::no_retries();
        let Ok(mut connection) = Connection::connect(options).await else { return };
        let request =
            DescribeNamespaceRequest { namespace: namespace.to_owned(), ..Default::default() };
        if let Ok(answer) = connection.describe_namespace(request.into_request()).await {
            self.known().namespaces.insert(namespace.to_owned(), answer.into_inner());
        }
    }

    /// The server's answer to `GetSystemInfo`, or its earlier one if it is only busy now.
    fn system_info(&self, answer: Answer, credentials: Credentials) -> Answer {
        match answer {
            Ok(answer) => {
                if let Ok(info) = GetSystemInfoResponse::decode(&*answer.proto) {
                    self.known().takes(credentials, info);
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
    pub(crate) async fn call(&self, call: GrpcRequest) -> Answer {
        let answer = self.route.call(call).await;
        match &answer {
            Ok(_) => self.known().answers(),
            Err(status) if is_throttled(status) => self.known().throttles(),
            Err(status) if is_unanswered(status) || is_about_credentials(status) => {
                self.is_in_doubt();
            }
            Err(_) => {}
        }
        answer
    }

    /// The server has left a call unanswered, or has not taken its credentials: the next invocation asks.
    pub(crate) fn is_in_doubt(&self) {
        self.known().is_in_doubt();
    }

    /// Whether the server has refused calls for their number of late.
    pub(crate) fn is_throttling(&self) -> bool {
        self.known().is_throttling()
    }

    /// The facts that are known of the server and its namespaces.
    pub(crate) fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the server refused a call because there were too many. gRPC has the same code for a message that is too
/// large, which would be refused again.
pub(crate) fn is_throttled(status: &Status) -> bool {
    status.code() == Code::ResourceExhausted && !status.message().contains("larger than max")
}

/// An answer with this message.
pub(crate) fn answered_with(proto: Vec<u8>) -> GrpcSuccessResponse {
    GrpcSuccessResponse { headers: Default::default(), proto }
}

/// The options of a connection that does not dial, without those that only the channel needs.
pub(crate) fn without_network(options: &ConnectionOptions) -> ConnectionOptions {
    let mut options = options.clone();
    options.dns_load_balancing = None;
    options.http_connect_proxy = None;
    options.tls_options = None;
    options
}

/// A connection over a new channel.
pub(super) async fn dial(
    options: &ConnectionOptions,
    namespace: Option<&str>,
    how: ConnectionUse,
) -> Result<Link, Fault> {
    // With a feature of the SDK's client there is a certificate resolver, which is called in each handshake. It
    // cannot be given to a channel that is dialed here.
    if format!("{:?}", options.tls_options).contains("client_cert_resolver: Some") {
        return Err(ConfigError::Profile {
            reason: "client_cert_resolver is not supported: set client_tls_options in configure, \
                     which runs for every invocation"
                .to_owned(),
        }
        .into());
    }
    let said = |error| conceal(with_sources(&error), options);
    let route = Route::dial(options).await.map_err(|error| match error {
        DialError::Options(error) => ConfigError::Profile { reason: said(error) }.into(),
        DialError::Network(error) => {
            let reason = format!("{}{}", said(error), about_the_port(options));
            Fault::Unreachable { target: options.target.to_string(), reason }
        }
    })?;
    match Server::new(route.clone()).link(options, namespace, how).await {
        Err(Fault::Answered { reason, .. }) if is_about_compression(&reason) => {
            Server::new(route.uncompressed()).link(options, namespace, how).await
        }
        link => link,
    }
}

/// Whether the server refused compression; then calls are made without, as in the SDK.
fn is_about_compression(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    ["decompress", "grpc-encoding", "compressor"].iter().any(|word| reason.contains(word))
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

/// A hint about the port, if the address names none.
fn about_the_port(options: &ConnectionOptions) -> String {
    match (options.target.port(), options.target.port_or_known_default()) {
        (None, Some(default)) => format!(
            " (the address names no port, so {default} was tried; Temporal listens on 7233, as a rule)"
        ),
        _ => String::new(),
    }
}

fn is_about_credentials(status: &Status) -> bool {
    ABOUT_CREDENTIALS.contains(&status.code())
}

/// The fault that a gRPC status of a connection's first calls means.
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use temporalio_client::Url;
    use tokio::time::Instant;

    use super::*;

    /// A server whose probe is answered with `status`, or taken if there is none.
    fn server_that_says(status: Arc<Mutex<Option<Code>>>) -> Server {
        Server::new(Route::Overridden(service(move |_| {
            let refused = status.lock().unwrap().map(|code| Status::new(code, "not now"));
            Box::pin(async { refused.map_or_else(|| Ok(answered_with(Vec::new())), Err) })
        })))
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_channel_is_used_while_its_server_only_refuses_the_probe_for_the_moment() {
        let options = ConnectionOptions::new(Url::parse("http://nowhere:7233").unwrap()).build();
        let status = Arc::new(Mutex::new(None));
        let server = server_that_says(status.clone());
        let link = async |code| {
            *status.lock().unwrap() = code;
            server.is_in_doubt();
            server.link(&options, None, ConnectionUse::Reused).await.map(|link| link.how)
        };
        let refused = link(Some(Code::ResourceExhausted)).await;
        assert!(matches!(refused, Err(Fault::Answered { .. })), "nothing is known of it yet");
        assert_eq!(link(None).await.unwrap(), ConnectionUse::Reused);
        for code in [Code::ResourceExhausted, Code::Unavailable, Code::Unimplemented] {
            assert_eq!(link(Some(code)).await.unwrap(), ConnectionUse::Reused, "{code}");
        }
        for code in [Code::Unauthenticated, Code::PermissionDenied] {
            let refused = link(Some(code)).await;
            assert!(matches!(refused, Err(Fault::Refused { .. })), "{code}: these credentials");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_namespace_is_described_in_the_round_trip_of_the_probe_and_once() {
        let options = ConnectionOptions::new(Url::parse("http://nowhere:7233").unwrap()).build();
        for is_described in [true, false] {
            let asked = Arc::new(Mutex::new(Vec::new()));
            let calls = asked.clone();
            let server = Server::new(Route::Overridden(service(move |call| {
                calls.lock().unwrap().push(call.rpc.clone());
                let is_answered = is_described || call.rpc == "GetSystemInfo";
                Box::pin(async move {
                    tokio::time::sleep(Duration::from_millis(25)).await;
                    let refusal = || Status::permission_denied("not this one");
                    if is_answered { Ok(answered_with(Vec::new())) } else { Err(refusal()) }
                })
            })));
            for names in [2, if is_described { 3 } else { 4 }] {
                server.is_in_doubt();
                let began = Instant::now();
                server.link(&options, Some("n"), ConnectionUse::New).await.unwrap();
                assert_eq!(began.elapsed(), Duration::from_millis(25));
                assert_eq!(asked.lock().unwrap().len(), names, "{:?}", asked.lock().unwrap());
            }
            assert_eq!(server.known().namespaces.contains_key("n"), is_described);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_has_just_answered_is_not_asked_again() {
        let asked = Arc::new(Mutex::new(0));
        let calls = asked.clone();
        let server = Server::new(Route::Overridden(service(move |_| {
            *calls.lock().unwrap() += 1;
            Box::pin(async { Ok(answered_with(Vec::new())) })
        })));
        let mut options =
            ConnectionOptions::new(Url::parse("http://nowhere:7233").unwrap()).build();
        let asks = async |options: &ConnectionOptions| {
            let before = *asked.lock().unwrap();
            server.link(options, None, ConnectionUse::Reused).await.unwrap();
            *asked.lock().unwrap() - before
        };
        assert_eq!(asks(&options).await, 1);
        assert_eq!(asks(&options).await, 0, "it has just answered");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(asks(&options).await, 1, "it may be gone");
        server.is_in_doubt();
        assert_eq!(asks(&options).await, 1, "it left a call unanswered");
        options.api_key = Some("another".to_owned());
        assert_eq!(asks(&options).await, 1, "it has not taken this key yet");
        assert_eq!(asks(&options).await, 0);
    }
}
