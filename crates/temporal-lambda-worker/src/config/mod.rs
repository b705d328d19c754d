//! Configuration: defaults, `temporal.toml`, the environment, and last `configure`.

pub mod defaults;
mod error;
mod keys;
mod nearest;
mod profile;
mod source;
#[cfg(test)]
mod tests;
mod version;

use std::fmt;
use std::time::Duration;

use temporalio_client::{ClientOptions, ConnectionOptions};
use temporalio_common::worker::{WorkerDeploymentOptions, WorkerDeploymentVersion};
use temporalio_sdk::WorkerOptions;
use temporalio_sdk::runtime::PollerBehavior;
use temporalio_sdk::runtime::worker_tuner::{FixedSizeSlotSupplier, TunerHolder, WorkerTuner};

use crate::hooks::ShutdownHooks;
use crate::invocation::Invocation;
use crate::lifecycle::{Allowance, BUFFER_OVER_GRACE};
use crate::telemetry::Telemetry;

pub use error::ConfigError;
pub use version::LambdaVersion;

pub(crate) use profile::is_header_value;
pub(crate) use source::Environment;

use keys::Keys;
use source::File;

/// What a worker is made of, before `configure` and after it.
///
/// The fields are filled from the defaults, `temporal.toml` and the environment, in that order.
/// What `configure` sets wins, with two exceptions: worker versioning is on, and eager activities
/// are off (they would run past the deadline unseen).
#[non_exhaustive]
pub struct LambdaWorkerConfig {
    /// The SDK's worker options: register workflows and activities here. The task queue, tuner,
    /// pollers, cache, grace period and deployment version are filled in.
    pub worker_options: WorkerOptions,
    /// The SDK's connection options. Its `Debug` shows the API key: do not print it.
    pub connection_options: ConnectionOptions,
    /// The SDK's client options: namespace, data converter, interceptors.
    pub client_options: ClientOptions,
    /// How long before the deadline polling stops; also the most that draining, hooks and
    /// `on_shutdown` may take together. `None`: the grace period + 2 s.
    pub shutdown_deadline_buffer: Option<Duration>,
    /// Polling ends when nothing was in flight for this long. `None`: it goes on to the deadline.
    /// The last polls are waited for: up to 1.55 s, unless the server ends the polls of a worker
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
    /// What runs when the invocation ends.
    pub shutdown_hooks: ShutdownHooks,
    /// The facts of the invocation.
    pub invocation: Invocation,
    /// Whether the invocation's figures are written to stdout in CloudWatch's Embedded Metric
    /// Format. Default: no.
    #[cfg(feature = "emf")]
    pub emf: bool,
    pub(crate) telemetry: Telemetry,
}

impl LambdaWorkerConfig {
    /// The configuration before `configure`.
    pub(crate) fn load(
        version: &WorkerDeploymentVersion,
        environment: &Environment,
        invocation: Invocation,
        shutdown_hooks: ShutdownHooks,
    ) -> Result<Self, ConfigError> {
        let file = File::find(environment)?;
        let keys = file.keys.clone().overlaid(environment.keys()?);
        keys.check()?;
        let api_key = keys.api_key_file.as_deref().map(read_api_key).transpose()?;
        let (mut connection_options, client_options) = profile::load(&file, environment, api_key)?;
        // The SDK's balancer connects lazily and looks the name up again every 30 s: for a process
        // that lives for minutes and is frozen in between, one connection is better.
        connection_options.dns_load_balancing = None;
        connection_options.connect_timeout = Some(defaults::CONNECT_TIMEOUT);
        let duration = |key: Option<keys::Human>| key.map(|human| human.0);
        Ok(Self {
            worker_options: worker_options(&keys, version, &invocation),
            connection_options,
            client_options,
            shutdown_deadline_buffer: duration(keys.shutdown_deadline_buffer),
            idle_timeout: duration(keys.idle_timeout),
            minimum_stay: duration(keys.minimum_stay).unwrap_or(defaults::MINIMUM_STAY),
            reuse_connection: keys.reuse_connection.unwrap_or(true),
            max_connection_age: duration(keys.max_connection_age)
                .unwrap_or(defaults::MAX_CONNECTION_AGE),
            worker_heartbeat_interval: duration(keys.worker_heartbeat_interval),
            shutdown_hooks,
            invocation,
            #[cfg(feature = "emf")]
            emf: keys.emf.unwrap_or(false),
            telemetry: Telemetry::default(),
        })
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

    /// What `configure` left, made whole: the settings that are not the user's to change are set,
    /// and what cannot work is refused.
    pub(crate) fn settle(&mut self) -> Result<(), ConfigError> {
        let worker = &mut self.worker_options;
        if worker.task_queue.is_empty() {
            return Err(ConfigError::NoTaskQueue);
        }
        let version = &worker.deployment_options.version;
        if version.deployment_name.is_empty() || version.build_id.is_empty() {
            return Err(ConfigError::IncompleteVersion {
                deployment_name: version.deployment_name.clone(),
                build_id: version.build_id.clone(),
            });
        }
        worker.deployment_options.use_worker_versioning = true;
        worker.max_eager_activity_reservations_per_workflow_task = 0;
        // What the SDK would refuse later is refused before anybody connects.
        let namespace = self.client_options.namespace.clone();
        if let Err(reason) = worker.to_core_options(namespace, self.invocation.identity()) {
            return Err(if reason.contains("must be registered") {
                ConfigError::NothingRegistered
            } else {
                ConfigError::WorkerOptions { reason }
            });
        }
        let Some(grace) = worker.graceful_shutdown_period else {
            return Err(ConfigError::NoGracePeriod);
        };
        // An identity that the user gave to the connection is the user's wish for the worker too.
        if !self.connection_options.identity.is_empty()
            && worker.client_identity_override.as_deref() == Some(&self.invocation.identity())
        {
            worker.client_identity_override = Some(self.connection_options.identity.clone());
        }
        let buffer = self.effective_shutdown_deadline_buffer();
        let least = Allowance::least_buffer(grace);
        if buffer < least {
            return Err(ConfigError::BufferTooSmall { buffer, grace, least });
        }
        Ok(())
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

impl Keys {
    /// Bounds that would otherwise show up as a failure deep in the SDK.
    fn check(&self) -> Result<(), ConfigError> {
        let at_least = |key: &'static str, value: Option<usize>, least: usize| match value {
            Some(value) if value < least => Err(ConfigError::TooSmall { key, value, least }),
            _ => Ok(()),
        };
        at_least("max_concurrent_activities", self.max_concurrent_activities, 1)?;
        at_least("max_concurrent_workflow_tasks", self.max_concurrent_workflow_tasks, 1)?;
        at_least("max_concurrent_local_activities", self.max_concurrent_local_activities, 1)?;
        at_least("max_concurrent_nexus_tasks", self.max_concurrent_nexus_tasks, 1)?;
        at_least("activity_task_pollers", self.activity_task_pollers, 1)?;
        at_least("nexus_task_pollers", self.nexus_task_pollers, 1)?;
        // With a workflow cache, one poll is for the sticky queue and one for the normal queue.
        let cached = self.max_cached_workflows.unwrap_or(defaults::MAX_CACHED_WORKFLOWS) > 0;
        at_least("workflow_task_pollers", self.workflow_task_pollers, if cached { 2 } else { 1 })
    }
}

fn worker_options(
    keys: &Keys,
    version: &WorkerDeploymentVersion,
    invocation: &Invocation,
) -> WorkerOptions {
    let mut version = version.clone();
    if let Some(name) = &keys.deployment_name {
        version.deployment_name.clone_from(name);
    }
    if let Some(build_id) = &keys.build_id {
        version.build_id.clone_from(build_id);
    }
    let deployment = WorkerDeploymentOptions::new(version)
        .use_worker_versioning(true)
        .default_versioning_behavior(
            keys.versioning_behavior.map_or(defaults::VERSIONING_BEHAVIOR, Into::into),
        )
        .build();
    let pollers =
        |key: Option<usize>, default| PollerBehavior::SimpleMaximum(key.unwrap_or(default));
    let grace = keys.graceful_shutdown_timeout.map(|human| human.0);
    WorkerOptions::new(keys.task_queue.clone().unwrap_or_default())
        .deployment_options(deployment)
        .client_identity_override(invocation.identity())
        .max_cached_workflows(keys.max_cached_workflows.unwrap_or(defaults::MAX_CACHED_WORKFLOWS))
        .tuner(tuner(keys))
        .workflow_task_poller_behavior(pollers(
            keys.workflow_task_pollers,
            defaults::WORKFLOW_TASK_POLLERS,
        ))
        .activity_task_poller_behavior(pollers(
            keys.activity_task_pollers,
            defaults::ACTIVITY_TASK_POLLERS,
        ))
        .nexus_task_poller_behavior(pollers(keys.nexus_task_pollers, defaults::NEXUS_TASK_POLLERS))
        .max_eager_activity_reservations_per_workflow_task(0)
        .graceful_shutdown_period(grace.unwrap_or(defaults::GRACEFUL_SHUTDOWN_TIMEOUT))
        .build()
}

fn tuner(keys: &Keys) -> WorkerTuner {
    let slots = |key: Option<usize>, default| FixedSizeSlotSupplier::new(key.unwrap_or(default));
    TunerHolder::builder()
        .workflow_task_slot_supplier(slots(
            keys.max_concurrent_workflow_tasks,
            defaults::MAX_CONCURRENT_WORKFLOW_TASKS,
        ))
        .activity_task_slot_supplier(slots(
            keys.max_concurrent_activities,
            defaults::MAX_CONCURRENT_ACTIVITIES,
        ))
        .local_activity_task_slot_supplier(slots(
            keys.max_concurrent_local_activities,
            defaults::MAX_CONCURRENT_LOCAL_ACTIVITIES,
        ))
        .nexus_task_slot_supplier(slots(
            keys.max_concurrent_nexus_tasks,
            defaults::MAX_CONCURRENT_NEXUS_TASKS,
        ))
        .build()
        .into()
}

/// A key file as people write it: the key, maybe with a line break after it.
fn read_api_key(path: &str) -> Result<String, ConfigError> {
    let key = std::fs::read_to_string(path).map_err(|source| ConfigError::NamedFile {
        setting: "api_key_file",
        path: path.into(),
        source,
    })?;
    let key = key.trim();
    if !is_header_value(key) {
        return Err(ConfigError::Profile {
            reason: format!("api_key_file names {path:?}, which holds no usable API key"),
        });
    }
    Ok(key.to_owned())
}
