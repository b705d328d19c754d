//! The SDK's worker options, from the settings and the Lambda-tuned defaults.

use temporalio_common::worker::{WorkerDeploymentOptions, WorkerDeploymentVersion};
use temporalio_sdk::WorkerOptions;
use temporalio_sdk::runtime::PollerBehavior;

use super::defaults;
use super::limits::Limits;
use super::read::keys::Keys;
use crate::error::ConfigError;
use crate::invocation::Invocation;

impl Keys {
    /// Refuses numbers that would make the SDK fail later, with a message that names no setting.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
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

/// The options of the worker that the settings describe, with nothing registered.
pub(super) fn worker_options(
    keys: &Keys,
    limits: Limits,
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
            keys.versioning_behavior.unwrap_or(defaults::VERSIONING_BEHAVIOR),
        )
        .build();
    let pollers =
        |key: Option<usize>, default| PollerBehavior::SimpleMaximum(key.unwrap_or(default));
    WorkerOptions::new(keys.task_queue.clone().unwrap_or_default())
        .deployment_options(deployment)
        .client_identity_override(invocation.identity())
        .max_cached_workflows(keys.max_cached_workflows.unwrap_or(defaults::MAX_CACHED_WORKFLOWS))
        .tuner(limits.tuner())
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
        .graceful_shutdown_period(
            keys.graceful_shutdown_timeout.unwrap_or(defaults::GRACEFUL_SHUTDOWN_TIMEOUT),
        )
        .build()
}
