//! Worker options that `configure` replaced as a whole: where they have the SDK's own defaults, they get the
//! settings and the Lambda-tuned defaults.

use temporalio_sdk::WorkerOptions;
use temporalio_sdk::runtime::worker_tuner::WorkerTuner;

use super::limits::Limits;

/// Defaults of the SDK's builder.
const SDK_CACHED_WORKFLOWS: usize = 1000;
const SDK_EAGER_RESERVATIONS: usize = 3;

/// Fills `options` from `loaded` if the SDK's builder made them.
pub(super) fn fill(options: &mut WorkerOptions, loaded: &WorkerOptions) {
    if !are_made_anew(options) {
        return;
    }
    if options.task_queue.trim().is_empty() {
        options.task_queue.clone_from(&loaded.task_queue);
    }
    let (deployment, found) = (&mut options.deployment_options, &loaded.deployment_options);
    // Without deployment options, the builder sets a build ID and no name.
    if deployment.version.deployment_name.is_empty() && !deployment.use_worker_versioning {
        deployment.version.clone_from(&found.version);
    }
    deployment.default_versioning_behavior =
        deployment.default_versioning_behavior.or(found.default_versioning_behavior);
    if options.client_identity_override.is_none() {
        options.client_identity_override.clone_from(&loaded.client_identity_override);
    }
    if options.max_cached_workflows == SDK_CACHED_WORKFLOWS {
        options.max_cached_workflows = loaded.max_cached_workflows;
    }
    if Limits::of_tuner(&options.tuner) == Limits::of_tuner(&WorkerTuner::default()) {
        options.tuner = loaded.tuner.clone();
    }
    let pollers = [
        (&mut options.workflow_task_poller_behavior, loaded.workflow_task_poller_behavior),
        (&mut options.activity_task_poller_behavior, loaded.activity_task_poller_behavior),
        (&mut options.nexus_task_poller_behavior, loaded.nexus_task_poller_behavior),
    ];
    for (behavior, found) in pollers {
        *behavior = behavior.or(found);
    }
    if options.max_eager_activity_reservations_per_workflow_task == SDK_EAGER_RESERVATIONS {
        options.max_eager_activity_reservations_per_workflow_task = 0;
    }
    options.graceful_shutdown_period =
        options.graceful_shutdown_period.or(loaded.graceful_shutdown_period);
}

/// Whether options come from the SDK's builder. What was loaded has a version with a name, an identity and
/// three numbers of pollers, and nobody takes all of one of these out on purpose.
fn are_made_anew(options: &WorkerOptions) -> bool {
    let version = &options.deployment_options;
    let has_no_version =
        version.version.deployment_name.is_empty() && !version.use_worker_versioning;
    let has_no_pollers = options.workflow_task_poller_behavior.is_none()
        && options.activity_task_poller_behavior.is_none()
        && options.nexus_task_poller_behavior.is_none();
    has_no_version || has_no_pollers || options.client_identity_override.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the SDK takes other defaults, the numbers here must follow.
    #[test]
    fn the_defaults_of_the_sdks_builder_are_those_that_are_known_here() {
        let options = WorkerOptions::new("q").build();
        assert_eq!(options.max_cached_workflows, SDK_CACHED_WORKFLOWS);
        let eager = options.max_eager_activity_reservations_per_workflow_task;
        assert_eq!(eager, SDK_EAGER_RESERVATIONS);
        assert!(are_made_anew(&options));
        assert!(Limits::of_tuner(&options.tuner).is_some());
    }
}
