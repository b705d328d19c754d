//! The configuration of an invocation: defaults, then `temporal.toml`, then the environment, then `configure`. Each
//! overrides what comes before it. Nothing is refused in silence, and no message shows a secret.

pub mod defaults;
mod limits;
mod plugins;
mod read;
mod replaced;
mod secrets;
mod settle;
#[cfg(test)]
mod tests;
mod version;
mod warnings;
mod worker_options;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use temporalio_client::{ClientOptions, ConnectionOptions, TlsOptions};
use temporalio_common::WorkflowDefinition;
use temporalio_common::telemetry::metrics::CoreMeter;
use temporalio_sdk::activities::ActivityImplementer;
use temporalio_sdk::workflows::WorkflowImplementation;
use temporalio_sdk::{WorkerOptions, WorkflowRegistrationError};

use crate::error::ConfigError;
use crate::hooks::ShutdownHooks;
use crate::invocation::{Invocation, Telemetry};
use crate::lifecycle::{Allowance, BUFFER_OVER_GRACE};

pub use limits::Limits;
pub use read::source::ConfigSource;
pub use version::LambdaVersion;

pub(crate) use plugins::LastPlugin;
pub(crate) use read::source::Origin;
pub(crate) use read::variables::Variables;
pub(crate) use secrets::conceal;
pub(crate) use settle::is_nothing_registered;
pub(crate) use warnings::LoggedWarnings;

use read::file::File;
use read::keys::Keys;
use read::profile::Profile;
use read::{names, profile};
use secrets::secure;
use warnings::Warnings;
use worker_options::worker_options;

/// The settings of an invocation's worker. `configure` gets them filled in and may change them.
///
/// The fields are filled from the defaults, `temporal.toml` and the environment, in that order.
/// What `configure` sets wins, with two exceptions: worker versioning is on, and eager activities
/// are off (they would run past the deadline unseen), so that
/// `max_eager_activity_reservations_per_workflow_task` is overwritten with zero, and a warning says so.
#[non_exhaustive]
pub struct LambdaWorkerConfig {
    /// The SDK's worker options: register workflows and activities here. The task queue, tuner,
    /// pollers, cache, grace period and deployment version are filled in.
    ///
    /// They may be replaced as a whole, by `WorkerOptions::new("orders")..build()`: what such options
    /// leave at the SDK's own default is filled in after `configure`, so an explicit value that equals the
    /// SDK's default counts as not set.
    ///
    /// Worker plugins belong in [`client_options`](Self::client_options): those of a
    /// `WorkerOptions::new(..).worker_plugin(..)` would run after everything else and could undo what
    /// this crate keeps, so they are refused by name.
    pub worker_options: WorkerOptions,
    /// How many tasks of each kind are worked on at a time, unless `configure` sets a tuner in
    /// `worker_options`.
    pub limits: Limits,
    /// The SDK's connection options. Its `Debug` shows the API key: do not print it.
    ///
    /// An API key (or an `authorization` header) means TLS, also one that `configure` sets, unless
    /// the server is on this machine; so do `https://` and TLS options. See
    /// [`clear_text_credentials`](Self::clear_text_credentials).
    pub connection_options: ConnectionOptions,
    /// Whether an API key may be sent to another machine without TLS, where everybody on the network
    /// path can read it. Default: only where `TEMPORAL_TLS` or the profile's `tls.disabled` turn TLS off; then
    /// a warning is logged.
    pub clear_text_credentials: bool,
    /// The endpoint of the remote codec that the profile or `TEMPORAL_CODEC_ENDPOINT` names. The Rust
    /// SDK has none, and payloads would go out unencoded, so an invocation with one is refused. Set a
    /// data converter with a codec in `client_options` and take the endpoint out:
    /// `config.codec_endpoint = None`.
    pub codec_endpoint: Option<String>,
    /// The SDK's client options: namespace, data converter, interceptors, plugins.
    ///
    /// Plugins run once in each invocation: after `configure` on the connection and client options, as
    /// in the SDK's `Client::connect`, and when the worker is made on the worker options. What these
    /// options hold after `configure` for the deployment version, versioning, eager activities and the
    /// grace period stays, whatever a plugin sets.
    pub client_options: ClientOptions,
    /// How long before the deadline polling stops; also the most that draining, hooks and
    /// `on_shutdown` may take together. `None`: the grace period + 2 s.
    pub shutdown_deadline_buffer: Option<Duration>,
    /// Polling ends when no task has been in flight for this long. `None`: it goes on to the deadline.
    /// The last polls are waited for: up to 1.85 s, unless the server ends the polls of a worker
    /// that shuts down.
    pub idle_timeout: Option<Duration>,
    /// With an idle timeout: the least time that the worker polls. Default 1 s.
    pub minimum_stay: Duration,
    /// Whether the connection is kept for the next invocation in this environment. Default: yes.
    pub reuse_connection: bool,
    /// The oldest a kept connection may be, by wall clock. Default 340 s.
    pub max_connection_age: Duration,
    /// How often the worker reports itself to Temporal. `None`, the default: never. The SDK takes
    /// 1 s to 60 s. The first worker of an environment decides for all.
    pub worker_heartbeat_interval: Option<Duration>,
    /// The hooks that run when the invocation ends.
    pub shutdown_hooks: ShutdownHooks,
    /// The facts of the invocation.
    pub invocation: Invocation,
    /// Whether the invocation's figures are written to stdout in CloudWatch's Embedded Metric
    /// Format, which needs the feature `emf`. Default: no.
    pub emf: bool,
    pub(crate) telemetry: Telemetry,
    pub(crate) warnings: Warnings,
    /// `None` if there are no plugins, or before they have run.
    pub(crate) last_plugin: Option<LastPlugin>,
    loaded: Loaded,
}

/// The values before `configure`, as far as they are needed after it.
struct Loaded {
    /// The worker options, with nothing registered.
    worker_options: WorkerOptions,
    /// The limits of the tuner that this crate made. A tuner with others is the user's.
    limits: Limits,
    /// The TLS options whose certificates were checked.
    tls: Option<TlsOptions>,
    /// The setting that turns TLS off, if one does.
    tls_off: Option<String>,
    /// The setting that names a remote codec, if one does.
    codec: Option<String>,
}

impl LambdaWorkerConfig {
    /// The configuration before `configure`.
    pub(crate) fn load(
        origin: &Origin,
        variables: &Variables,
        invocation: Invocation,
        shutdown_hooks: ShutdownHooks,
    ) -> Result<Self, ConfigError> {
        let mut warnings = Warnings::default();
        if let Some(warning) = invocation.warning() {
            warnings.add(warning);
        }
        let nothing = Variables::default();
        let variables = if origin.source.reads_environment() { variables } else { &nothing };
        for near_miss in names::near_misses(variables) {
            warnings.add(near_miss);
        }
        let file = File::read(&origin.source.file, variables, &mut warnings)?;
        let in_code = Keys { task_queue: origin.task_queue.clone(), ..Keys::default() };
        let keys = in_code.overlaid(file.keys.clone()).overlaid(variables.keys()?);
        keys.check()?;
        let api_key = keys.api_key_file.as_deref().map(read_api_key).transpose()?;
        let profile = match origin.source.options.clone() {
            Some(options) => Profile::of(*options, api_key),
            None => profile::load(&file, variables, api_key, &mut warnings)?,
        };
        let Profile { mut connection_options, client_options, tls_off, codec, authority } = profile;
        let clear_text = tls_off.is_some();
        secure(&mut connection_options, tls_off.as_deref(), clear_text, &mut warnings)?;
        if let Some(authority) = authority {
            let origin = format!("{}://{authority}", connection_options.target.scheme());
            connection_options.override_origin = origin.parse().ok();
        }
        // The SDK's balancer connects lazily and looks the name up again every 30 s: for a process
        // that lives for minutes and is frozen in between, one connection is better.
        connection_options.dns_load_balancing = None;
        let own_timeout =
            connection_options.connect_timeout.filter(|_| origin.source.options.is_some());
        connection_options.connect_timeout = Some(own_timeout.unwrap_or(defaults::CONNECT_TIMEOUT));
        let limits = Limits::of(&keys);
        let worker_options = worker_options(&keys, limits, &origin.version, &invocation);
        let (codec_endpoint, codec) = codec.map(|it| (it.endpoint, it.setting)).unzip();
        let loaded = Loaded {
            worker_options: worker_options.clone(),
            limits,
            tls: connection_options.tls_options.clone(),
            tls_off,
            codec,
        };
        Ok(Self {
            worker_options,
            limits,
            connection_options,
            clear_text_credentials: clear_text,
            codec_endpoint,
            client_options,
            shutdown_deadline_buffer: keys.shutdown_deadline_buffer,
            idle_timeout: keys.idle_timeout,
            minimum_stay: keys.minimum_stay.unwrap_or(defaults::MINIMUM_STAY),
            reuse_connection: keys.reuse_connection.unwrap_or(true),
            max_connection_age: keys.max_connection_age.unwrap_or(defaults::MAX_CONNECTION_AGE),
            worker_heartbeat_interval: keys.worker_heartbeat_interval,
            shutdown_hooks,
            invocation,
            emf: keys.emf.unwrap_or(false),
            telemetry: Telemetry::default(),
            warnings,
            last_plugin: None,
            loaded,
        })
    }

    /// Takes the interface to the telemetry that the environment keeps.
    pub(crate) fn begin_telemetry(&mut self, telemetry: Telemetry) {
        if self.emf && telemetry.figures.is_none() {
            self.warnings.add(
                "emf is on, but this function was built without the feature `emf` of \
                 temporal-lambda-worker, so no figures are written",
            );
        }
        self.telemetry = telemetry;
    }

    /// The task queue that the worker will poll; empty while there is none.
    pub fn task_queue(&self) -> &str {
        &self.worker_options.task_queue
    }

    /// Sets the task queue, whatever the file and the environment say. For one that they can change, see
    /// [`WorkerFunction::task_queue`](crate::WorkerFunction::task_queue).
    pub fn set_task_queue(&mut self, task_queue: impl Into<String>) -> &mut Self {
        self.worker_options.task_queue = task_queue.into();
        self
    }

    /// Registers a workflow, as `worker_options.register_workflow` does.
    ///
    /// # Errors
    /// The SDK's: a workflow of this type is registered already.
    pub fn register_workflow<W>(&mut self) -> Result<&mut Self, WorkflowRegistrationError>
    where
        W: WorkflowImplementation,
        <W::Run as WorkflowDefinition>::Input: Send,
    {
        self.worker_options.register_workflow::<W>()?;
        Ok(self)
    }

    /// Registers the activities of `instance`, as `worker_options.register_activities` does.
    pub fn register_activities<A: ActivityImplementer>(&mut self, instance: A) -> &mut Self {
        self.worker_options.register_activities(instance);
        self
    }

    /// Where the SDK's own metrics go: a meter of yours, or one of the SDK's exporters, without the feature
    /// `otel`. The first worker of an environment decides for all, since the SDK asks for its meter once.
    /// `otel::apply_metrics` sets one, too; the later call counts. Default: none.
    pub fn set_core_meter(&mut self, meter: Arc<dyn CoreMeter>) -> &mut Self {
        self.telemetry.core_meter = Some(meter);
        self
    }

    /// The shutdown deadline buffer in force: the one that was set, else the grace period + 2 s.
    pub fn effective_shutdown_deadline_buffer(&self) -> Duration {
        let grace = self.worker_options.graceful_shutdown_period.unwrap_or_default();
        self.shutdown_deadline_buffer.unwrap_or(grace.saturating_add(BUFFER_OVER_GRACE))
    }

    pub(crate) fn allowance(&self) -> Allowance {
        Allowance {
            grace: self.worker_options.graceful_shutdown_period.unwrap_or_default(),
            buffer: self.effective_shutdown_deadline_buffer(),
            idle_timeout: self.idle_timeout,
            minimum_stay: self.minimum_stay,
        }
    }

    /// The worker's identity.
    pub(crate) fn identity(&self) -> String {
        self.worker_options
            .client_identity_override
            .clone()
            .unwrap_or_else(|| self.invocation.identity())
    }
}

impl fmt::Debug for LambdaWorkerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the SDK's connection options nor its client options belong here: the former
        // show the API key.
        f.debug_struct("LambdaWorkerConfig")
            .field("task_queue", &self.worker_options.task_queue)
            .field("target", &self.connection_options.target.as_str())
            .field("namespace", &self.client_options.namespace)
            .field("graceful_shutdown_period", &self.worker_options.graceful_shutdown_period)
            .field("shutdown_deadline_buffer", &self.effective_shutdown_deadline_buffer())
            .field("idle_timeout", &self.idle_timeout)
            .field("shutdown_hooks", &self.shutdown_hooks)
            .field("invocation", &self.invocation)
            .finish_non_exhaustive()
    }
}

/// Reads an API key file: the key, without the line break that editors put after it.
fn read_api_key(path: &str) -> Result<String, ConfigError> {
    let key = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::named_file("api_key_file", path.into(), source))?;
    let key = key.trim();
    if !secrets::is_header_value(key) {
        return Err(ConfigError::BadApiKey {
            setting: format!("the file {path:?} (api_key_file)"),
        });
    }
    Ok(key.to_owned())
}
