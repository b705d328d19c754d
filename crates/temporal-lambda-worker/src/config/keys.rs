//! The worker's own settings: one list of keys for the file and for the environment.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use temporalio_common::worker::VersioningBehavior;

/// A duration as people write it: `500ms`, `5s`, `1m 30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Human(pub(crate) Duration);

impl<'de> Deserialize<'de> for Human {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Human;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"500ms\" or \"5s\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Human, E> {
                humantime::parse_duration(text)
                    .map(Human)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// What workflows do when a new version is deployed, as written in settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Behavior {
    /// Stay on the version that they started on.
    Pinned,
    /// Move to the current version.
    AutoUpgrade,
}

impl From<Behavior> for VersioningBehavior {
    fn from(behavior: Behavior) -> Self {
        match behavior {
            Behavior::Pinned => Self::Pinned,
            Behavior::AutoUpgrade => Self::AutoUpgrade,
        }
    }
}

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $key:ident: $type:ty,)*) => {
        /// The settings that are not the SDK's own, each unset unless somebody set it.
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        #[serde(default)]
        pub(crate) struct Keys {
            $($(#[doc = $doc])+ pub(crate) $key: Option<$type>,)*
        }

        /// The keys' names, as in the file; in the environment, in capitals after the prefix.
        pub(crate) const KEYS: &[&str] = &[$(stringify!($key)),*];


        impl Keys {
            /// These settings, with those of `over` where it has them.
            pub(crate) fn overlaid(self, over: Self) -> Self {
                Self { $($key: over.$key.or(self.$key),)* }
            }
        }
    };
}

keys! {
    /// The task queue to poll.
    task_queue: String,
    /// Activities at a time.
    max_concurrent_activities: usize,
    /// Workflow tasks at a time.
    max_concurrent_workflow_tasks: usize,
    /// Local activities at a time.
    max_concurrent_local_activities: usize,
    /// Nexus tasks at a time.
    max_concurrent_nexus_tasks: usize,
    /// Workflows kept in memory.
    max_cached_workflows: usize,
    /// Polls for workflow tasks at a time, at most.
    workflow_task_pollers: usize,
    /// Polls for activity tasks at a time, at most.
    activity_task_pollers: usize,
    /// Polls for Nexus tasks at a time, at most.
    nexus_task_pollers: usize,
    /// How long activities may go on after polling has stopped.
    graceful_shutdown_timeout: Human,
    /// How long before the deadline polling stops.
    shutdown_deadline_buffer: Human,
    /// Polling ends when nothing was in flight for this long.
    idle_timeout: Human,
    /// With an idle timeout: the least time that the worker polls.
    minimum_stay: Human,
    /// Whether the connection is kept for the next invocation.
    reuse_connection: bool,
    /// The oldest a kept connection may be, by wall clock.
    max_connection_age: Human,
    /// How often the worker reports itself to Temporal; never if unset.
    worker_heartbeat_interval: Human,
    /// The worker's deployment name.
    deployment_name: String,
    /// The worker's build ID.
    build_id: String,
    /// `pinned` or `auto_upgrade`.
    versioning_behavior: Behavior,
    /// A file that the API key is read from at every invocation.
    api_key_file: String,
    /// Whether the invocation's figures go to stdout; needs the feature `emf`.
    emf: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_human() {
        let keys: Keys = toml::from_str("idle_timeout = \"1m 30s\"").unwrap();
        assert_eq!(keys.idle_timeout, Some(Human(Duration::from_secs(90))));
        assert!(toml::from_str::<Keys>("idle_timeout = 5").is_err());
        assert!(toml::from_str::<Keys>("idle_timeout = \"5\"").is_err());
    }

    #[test]
    fn what_lies_above_wins_key_by_key() {
        let file: Keys = toml::from_str("task_queue = \"a\"\nmax_cached_workflows = 1").unwrap();
        let environment: Keys = toml::from_str("task_queue = \"b\"").unwrap();
        let both = file.overlaid(environment);
        assert_eq!(both.task_queue.as_deref(), Some("b"));
        assert_eq!(both.max_cached_workflows, Some(1));
    }
}
