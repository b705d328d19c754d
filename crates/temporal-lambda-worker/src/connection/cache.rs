//! Keeping the channel of an invocation for the next. One that is old, of other options or silent is replaced.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use temporalio_client::ConnectionOptions;

use super::Link;
use super::server::{Server, dial};
use crate::config::LambdaWorkerConfig;
use crate::error::Fault;
use crate::report::ConnectionUse;

/// How long the server may take to answer over a kept channel: 0.5 s. A healthy one answers within a round trip;
/// after this, dialing anew is likely to be faster.
const PROBE_CAP: Duration = Duration::from_millis(500);

/// How long an invocation waits for the channel that another one is dialing: 1 s.
const TURN_CAP: Duration = Duration::from_secs(1);

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
    /// When it was dialed, by wall clock: the monotonic clock may stand still while the environment is frozen.
    dialed: SystemTime,
}

/// The settings that connecting depends on.
pub(crate) struct Request {
    options: ConnectionOptions,
    namespace: String,
    reuse: bool,
    max_age: Duration,
}

impl Request {
    pub(crate) fn of(config: &LambdaWorkerConfig) -> Self {
        let mut options = config.connection_options.clone();
        options.identity = config.identity();
        Self {
            options,
            namespace: config.client_options.namespace.clone(),
            reuse: config.reuse_connection,
            max_age: config.max_connection_age,
        }
    }
}

impl ChannelCache {
    /// A connection for one invocation: over the kept channel if it fits and the server answers,
    /// else over a new one.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the cache as it was.
    pub(crate) async fn connect(self, request: Request) -> Result<Link, Fault> {
        let namespace = Some(request.namespace.as_str());
        if !request.reuse {
            self.keep(None);
            return dial(&request.options, namespace, ConnectionUse::New).await;
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
        // After the cap this invocation dials for itself: the other one may have trouble of its own.
        let _dialing = tokio::time::timeout(TURN_CAP, self.dialing.lock()).await;
        // Meanwhile another invocation may have dialed a channel that fits.
        let dialed = tried.map(|kept| kept.dialed);
        if let Some(kept) = self.kept().filter(|kept| Some(kept.dialed) != dialed) {
            match self.take_over(&kept, &request, &fingerprint).await {
                Ok(link) => return link,
                Err(why_not) => how = why_not,
            }
        }
        let link = dial(&request.options, namespace, how).await?;
        let server = link.server.clone();
        self.keep(Some(Kept { server, fingerprint, dialed: SystemTime::now() }));
        Ok(link)
    }

    /// Drops the kept channel; its socket closes when no invocation uses it any more.
    pub(crate) fn forget(&self) {
        self.keep(None);
    }

    fn kept(&self) -> Option<Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, kept: Option<Kept>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    /// A connection over the kept channel, or the reason why it cannot be used.
    async fn take_over(
        &self,
        kept: &Kept,
        request: &Request,
        fingerprint: &str,
    ) -> Result<Result<Link, Fault>, ConnectionUse> {
        let age = SystemTime::now().duration_since(kept.dialed);
        // If the clock was set back the age is unknown, and the channel counts as too old.
        if kept.fingerprint != fingerprint || !age.is_ok_and(|it| it <= request.max_age) {
            return Err(ConnectionUse::Replaced);
        }
        let namespace = Some(request.namespace.as_str());
        let linking = kept.server.link(&request.options, namespace, ConnectionUse::Reused);
        match tokio::time::timeout(PROBE_CAP, linking).await {
            Ok(Err(Fault::Unreachable { .. })) | Err(_) => {
                tracing::info!("the kept connection does not answer; connecting anew");
                // Otherwise the next invocation would wait for the channel, too, if dialing fails.
                self.forget();
                Err(ConnectionUse::Reconnected)
            }
            Ok(answered) => Ok(answered),
        }
    }
}

/// The options that a channel depends on, as one text. It is kept in memory only and never shown.
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
