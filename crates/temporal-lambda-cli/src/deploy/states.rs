//! The versions of a worker deployment, as Temporal sees them.

use std::time::{Duration, SystemTime};

use temporalio_common::protos::temporal::api::deployment::v1::WorkerDeploymentInfo;
use temporalio_common::protos::temporal::api::enums::v1::WorkerDeploymentVersionStatus as Status;

/// What gets workflows, and how far the others are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct States {
    pub(super) current: Option<String>,
    pub(super) ramping: Option<(String, f32)>,
    /// The newest first.
    pub(super) versions: Vec<Version>,
}

/// One version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Version {
    pub(super) build_id: String,
    pub(super) state: State,
    pub(super) created: SystemTime,
    /// When it became current for the last time.
    pub(super) was_current: Option<SystemTime>,
}

/// How far a version is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Current,
    Ramping,
    /// Workflows that are pinned to it go on.
    Draining,
    /// None of them is left.
    Drained,
    /// It never got workflows.
    Inactive,
    /// The server says something that this program does not know.
    Unknown,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Ramping => "ramping",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Inactive => "inactive",
            Self::Unknown => "unknown",
        }
    }
}

impl States {
    /// What the server knows of a deployment.
    pub(super) fn of(info: &WorkerDeploymentInfo) -> Self {
        let routing = info.routing_config.clone().unwrap_or_default();
        let named = |it: Option<String>| it.filter(|build_id| !build_id.is_empty());
        let current = named(routing.current_deployment_version.map(|it| it.build_id));
        let ramping = named(routing.ramping_deployment_version.map(|it| it.build_id));
        let ramping = ramping.map(|it| (it, routing.ramping_version_percentage));
        let versions = info.version_summaries.iter().filter_map(|it| {
            let build_id = it.deployment_version.as_ref()?.build_id.clone();
            // The routing counts more than a summary, which may be older.
            let state = match it.status() {
                _ if current.as_ref() == Some(&build_id) => State::Current,
                _ if ramping.as_ref().is_some_and(|(it, _)| *it == build_id) => State::Ramping,
                Status::Draining => State::Draining,
                Status::Drained => State::Drained,
                Status::Inactive | Status::Created => State::Inactive,
                Status::Current | Status::Ramping | Status::Unspecified => State::Unknown,
            };
            let created = it.create_time.as_ref().map(|it| time(it.seconds, it.nanos));
            Some(Version {
                build_id,
                state,
                created: created.unwrap_or(SystemTime::UNIX_EPOCH),
                was_current: it.last_current_time.as_ref().map(|it| time(it.seconds, it.nanos)),
            })
        });
        let mut versions: Vec<_> = versions.collect();
        versions.sort_by_key(|it| std::cmp::Reverse(it.created));
        Self { current, ramping, versions }
    }

    /// The version that was current before the current one: made before it, so that going back twice goes further
    /// back, and does not return to what was left.
    pub(super) fn before_current(&self) -> Option<&Version> {
        let current =
            self.versions.iter().find(|it| Some(&it.build_id) == self.current.as_ref())?;
        let before = self.versions.iter().filter(|it| it.created < current.created);
        before.filter(|it| it.was_current.is_some()).max_by_key(|it| it.was_current)
    }

    /// The versions that may go when the `keep` that were current last stay.
    pub(super) fn to_prune(&self, keep: usize) -> Vec<&Version> {
        let mut drained: Vec<_> =
            self.versions.iter().filter(|it| it.state == State::Drained).collect();
        drained.sort_by_key(|it| std::cmp::Reverse((it.was_current, it.created)));
        drained.split_off(keep.min(drained.len()))
    }
}

fn time(seconds: i64, nanos: i32) -> SystemTime {
    let seconds = Duration::from_secs(seconds.try_into().unwrap_or_default());
    SystemTime::UNIX_EPOCH + seconds + Duration::from_nanos(nanos.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A version that was made in this second, and was current from then on.
    fn version(build_id: &str, state: State, second: u64) -> Version {
        let created = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let was_current = (state != State::Inactive).then_some(created);
        Version { build_id: build_id.to_owned(), state, created, was_current }
    }

    fn states(current: &str, versions: &[(&str, State)]) -> States {
        let seconds = 1..;
        let versions = versions.iter().zip(seconds);
        let mut versions: Vec<_> =
            versions.map(|((id, state), at)| version(id, *state, at)).collect();
        versions.reverse();
        States { current: Some(current.to_owned()), ramping: None, versions }
    }

    fn pruned(states: &States, keep: usize) -> Vec<&str> {
        states.to_prune(keep).into_iter().map(|it| it.build_id.as_str()).collect()
    }

    #[test]
    fn only_drained_versions_are_pruned_and_the_last_of_them_stay() {
        use State::{Current, Drained, Draining, Inactive, Ramping, Unknown};
        let versions = [
            ("1", Drained),
            ("2", Draining),
            ("3", Drained),
            ("4", Inactive),
            ("5", Drained),
            ("6", Unknown),
            ("7", Current),
            ("8", Ramping),
        ];
        let states = states("7", &versions);
        assert_eq!(pruned(&states, 0), ["5", "3", "1"]);
        assert_eq!(pruned(&states, 2), ["1"]);
        assert!(pruned(&states, 3).is_empty() && pruned(&states, 9).is_empty());
    }

    #[test]
    fn going_back_leads_to_what_was_current_before_and_never_forward() {
        use State::{Current, Drained, Inactive};
        let versions = [("1", Drained), ("2", Drained), ("3", Inactive), ("4", Current)];
        let mut states = states("4", &versions);
        assert_eq!(states.before_current().map(|it| it.build_id.as_str()), Some("2"));
        states.current = Some("2".to_owned());
        assert_eq!(states.before_current().map(|it| it.build_id.as_str()), Some("1"));
        states.current = Some("1".to_owned());
        assert_eq!(states.before_current(), None);
    }

    #[test]
    fn after_a_rollback_and_a_new_version_going_back_leads_to_the_version_of_the_rollback() {
        use State::{Current, Drained};
        let versions = [("1", Drained), ("2", Drained), ("3", Drained), ("4", Current)];
        let mut states = states("4", &versions);
        // 3 was current, then 2 again.
        let again = SystemTime::UNIX_EPOCH + Duration::from_millis(3500);
        for version in states.versions.iter_mut().filter(|it| it.build_id == "2") {
            version.was_current = Some(again);
        }
        assert_eq!(states.before_current().map(|it| it.build_id.as_str()), Some("2"));
    }
}
