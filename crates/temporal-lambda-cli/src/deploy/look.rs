//! What there is of a deployment, in AWS and in Temporal.

use super::compute::Compute;
use super::names::Names;
use super::place::Place;
use super::plan::{Found, Known, Newest, Wanted};
use super::states::States;
use crate::aws::Configuration;
use crate::error::CliError;

/// Looks at everything that a plan depends on.
pub(super) async fn look(place: &Place, wanted: &Wanted) -> Result<Found, CliError> {
    let Place { names, aws, .. } = place;
    let mut function = aws.function(&names.function).await?;
    if let Some(function) = &mut function {
        // An update of an earlier run may be in progress.
        function.latest = aws.ready(&names.function, None).await?;
    }
    let states = states(place).await?;
    let newest = match &function {
        Some(_) => aws.versions(&names.function).await?.into_iter().next(),
        None => None,
    };
    let newest = match newest {
        Some(lambda) => Some(look_at(place, lambda).await?),
        None => None,
    };
    let log = match wanted.log_retention {
        Some(_) => aws.log_retention(&names.log_group()).await?,
        None => None,
    };
    let has_deployment = states.is_some();
    let States { current, ramping, .. } = states.unwrap_or_default();
    Ok(Found { function, newest, log, has_deployment, current, ramping })
}

/// The states of the deployment's versions; `None` when there is no deployment.
pub(super) async fn states(place: &Place) -> Result<Option<States>, CliError> {
    Ok(place.deployment.describe().await?.map(|info| States::of(&info)))
}

/// The published versions that were made for this deployment and that are no version of it any more: those of an
/// interrupted `prune`, of a version that the server took away by itself, and of a deployment that was given up. A
/// version that is newer than the current one may be on its way to become one.
pub(super) fn left_over<'a>(
    names: &Names,
    states: &States,
    published: &'a [Configuration],
) -> Vec<&'a Configuration> {
    let current = states.current.as_ref().and_then(|it| it.parse::<u64>().ok());
    let is_left_over = |it: &&Configuration| {
        it.description == names.mark()
            && it.number() < current
            && states.versions.iter().all(|known| known.build_id != it.version)
    };
    published.iter().filter(is_left_over).collect()
}

async fn look_at(place: &Place, lambda: Configuration) -> Result<Newest, CliError> {
    let build_id = &lambda.version;
    let known = place.deployment.describe_version(build_id).await?;
    let known = known.map(|it| {
        let info = it.worker_deployment_version_info.unwrap_or_default();
        Known {
            compute: info.compute_config.as_ref().and_then(Compute::of),
            is_bound: !it.version_task_queues.is_empty(),
        }
    });
    let retries = place.aws.retries(&place.names.function, build_id).await?;
    Ok(Newest { lambda, retries, known })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_older_versions_of_this_very_deployment_are_left_over() {
        let names = Names::new("hello".to_owned(), None, "default".to_owned());
        let Ok(names) = names else { panic!("{names:?}") };
        let published =
            [("7", names.mark()), ("6", names.mark()), ("5", String::new()), ("4", names.mark())];
        let published = published.map(|(version, description)| {
            let mut configuration = Configuration::default();
            configuration.version = version.to_owned();
            configuration.description = description;
            configuration
        });
        let mut states = States { current: Some("6".to_owned()), ..States::default() };
        assert_eq!(left_over(&names, &states, &published), [&published[3]]);
        states.current = None;
        assert!(left_over(&names, &states, &published).is_empty());
        let elsewhere = Names { namespace: "other".to_owned(), ..names };
        states.current = Some("6".to_owned());
        assert!(left_over(&elsewhere, &states, &published).is_empty());
    }
}
