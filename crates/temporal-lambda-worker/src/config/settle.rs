//! Completing the configuration after `configure`: settings that the user may not change are set, and a
//! configuration that cannot work is refused before connecting.

use temporalio_client::TlsOptions;
use temporalio_common::worker::WorkerDeploymentVersion;

use super::read::tls;
use super::secrets::secure;
use super::warnings::Warnings;
use super::{LambdaWorkerConfig, Limits, replaced};
use crate::error::ConfigError;
use crate::lifecycle::Allowance;

impl LambdaWorkerConfig {
    /// Settles the configuration. Doing so again changes nothing.
    pub(crate) fn settle(&mut self) -> Result<(), ConfigError> {
        self.settle_worker()?;
        self.settle_connection()?;
        let Some(grace) = self.worker_options.graceful_shutdown_period else {
            return Err(ConfigError::NoGracePeriod);
        };
        let buffer = self.effective_shutdown_deadline_buffer();
        let least = Allowance::least_buffer(grace);
        if buffer < least {
            return Err(ConfigError::BufferTooSmall { buffer, grace, least });
        }
        Ok(())
    }

    fn settle_worker(&mut self) -> Result<(), ConfigError> {
        let worker = &mut self.worker_options;
        replaced::fill(worker, &self.loaded.worker_options);
        // A tuner that is the user's stays.
        if Limits::of_tuner(&worker.tuner) == Some(self.loaded.limits) {
            self.limits.check()?;
            worker.tuner = self.limits.tuner();
            self.loaded.limits = self.limits;
        }
        trim(&mut worker.task_queue);
        if worker.task_queue.is_empty() {
            return Err(ConfigError::NoTaskQueue);
        }
        settle_version(&mut worker.deployment_options.version)?;
        let version = &worker.deployment_options.version;
        for name in [
            Name::Deployment(&version.deployment_name),
            Name::Build(&version.build_id),
            Name::TaskQueue(&worker.task_queue),
        ] {
            name.judge(&mut self.warnings)?;
        }
        let found = &self.loaded.worker_options.deployment_options.version;
        let left = &worker.deployment_options.version;
        if found != left {
            self.warnings.add(format!(
                "configure changed the worker deployment version from {} to {}: the worker polls as \
                 the latter",
                named(found),
                named(left)
            ));
        }
        worker.deployment_options.use_worker_versioning = true;
        let eager = std::mem::take(&mut worker.max_eager_activity_reservations_per_workflow_task);
        if eager > 0 {
            self.warnings.add(format!(
                "config.worker_options.max_eager_activity_reservations_per_workflow_task is {eager}, but 0 \
                 is used: an activity that is started eagerly would run past the deadline unseen"
            ));
        }
        // What the SDK would refuse when the worker is made is refused before connecting.
        let namespace = self.client_options.namespace.clone();
        match worker.to_core_options(namespace, self.invocation.identity()) {
            Ok(options) if !options.plugins.is_empty() => {
                let mut names: Vec<_> = options.plugins.into_iter().map(|it| it.name).collect();
                names.sort();
                return Err(ConfigError::WorkerPlugins { names: names.join(", ") });
            }
            Ok(_) => {}
            // A worker plugin may still register something.
            Err(reason) if is_nothing_registered(&reason) && self.last_plugin.is_some() => {}
            Err(reason) if is_nothing_registered(&reason) => {
                return Err(ConfigError::NothingRegistered);
            }
            Err(reason) => return Err(ConfigError::WorkerOptions { reason }),
        }
        // An identity that the user gave to the connection is used for the worker, too.
        if !self.connection_options.identity.is_empty()
            && worker.client_identity_override.as_deref() == Some(&self.invocation.identity())
        {
            worker.client_identity_override = Some(self.connection_options.identity.clone());
        }
        Ok(())
    }

    fn settle_connection(&mut self) -> Result<(), ConfigError> {
        if self.codec_endpoint.is_some() {
            let setting = self.loaded.codec.clone();
            let setting = setting.unwrap_or_else(|| "config.codec_endpoint".to_owned());
            return Err(ConfigError::RemoteCodec { setting });
        }
        trim(&mut self.client_options.namespace);
        if self.client_options.namespace.is_empty() {
            return Err(ConfigError::NoNamespace);
        }
        let connection = &mut self.connection_options;
        if let Some(tls) = &mut connection.tls_options
            && !self.loaded.tls.as_ref().is_some_and(|judged| holds_the_same(tls, judged))
        {
            tls::judge(tls)?;
        }
        let tls_off = self.loaded.tls_off.as_deref();
        secure(connection, tls_off, self.clear_text_credentials, &mut self.warnings)
    }
}

/// Whether the SDK refused worker options because no workflow and no activity is registered.
pub(crate) fn is_nothing_registered(reason: &str) -> bool {
    reason.contains("must be registered")
}

fn trim(text: &mut String) {
    if text.trim().len() < text.len() {
        *text = text.trim().to_owned();
    }
}

fn named(version: &WorkerDeploymentVersion) -> String {
    format!("{}/{}", version.deployment_name, version.build_id)
}

fn settle_version(version: &mut WorkerDeploymentVersion) -> Result<(), ConfigError> {
    trim(&mut version.deployment_name);
    trim(&mut version.build_id);
    if version.deployment_name.is_empty() || version.build_id.is_empty() {
        return Err(ConfigError::IncompleteVersion {
            deployment_name: version.deployment_name.clone(),
            build_id: version.build_id.clone(),
        });
    }
    Ok(())
}

/// A name that the server has rules for. It refuses every poll with a name that breaks them.
#[derive(Clone, Copy)]
enum Name<'a> {
    Deployment(&'a str),
    Build(&'a str),
    TaskQueue(&'a str),
}

impl Name<'_> {
    fn judge(self, warnings: &mut Warnings) -> Result<(), ConfigError> {
        let (part, value, setting) = match self {
            Self::Deployment(value) => (
                "deployment name",
                value,
                "TEMPORAL_LAMBDA_DEPLOYMENT_NAME (deployment_name), or the version that the code gives",
            ),
            Self::Build(value) => (
                "build ID",
                value,
                "TEMPORAL_LAMBDA_BUILD_ID (build_id), or the version that the code gives",
            ),
            Self::TaskQueue(value) => (
                "task queue",
                value,
                "TEMPORAL_TASK_QUEUE (task_queue), or config.worker_options.task_queue",
            ),
        };
        if let Some(rule) = self.broken_rule() {
            return Err(ConfigError::BadName { part, value: value.to_owned(), rule, setting });
        }
        // A server may be configured for longer names, and does not say so.
        if value.len() > self.usual_limit() {
            warnings.add(format!(
                "the {part} has {} bytes: servers take {}, unless they are configured for more. If no \
                 task arrives, shorten {setting}",
                value.len(),
                self.usual_limit()
            ));
        }
        Ok(())
    }

    fn broken_rule(self) -> Option<&'static str> {
        match self {
            Self::Deployment(value) | Self::Build(value) if value.starts_with("__") => {
                Some("it must not begin with two underscores")
            }
            Self::Deployment(value) if value.contains(['.', ':']) => {
                Some("it must not contain a dot or a colon, which divide it from the build ID")
            }
            Self::TaskQueue(value) if value.starts_with("/_sys/") => {
                Some("names that begin with /_sys/ are the server's own")
            }
            _ => None,
        }
    }

    /// The server's default limit for an ID is 1000 bytes, and a version's two parts with a prefix form one ID.
    fn usual_limit(self) -> usize {
        match self {
            Self::Deployment(_) | Self::Build(_) => 480,
            Self::TaskQueue(_) => 1000,
        }
    }
}

/// Whether the certificates and keys are those that were checked when they were read.
fn holds_the_same(one: &TlsOptions, other: &TlsOptions) -> bool {
    let client = |tls: &TlsOptions| {
        let client = tls.client_tls_options.as_ref();
        client.map(|it| (it.client_cert.clone(), it.client_private_key.clone()))
    };
    one.server_root_ca_cert == other.server_root_ca_cert && client(one) == client(other)
}
