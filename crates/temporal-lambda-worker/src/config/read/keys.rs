//! The worker's own settings: one list of keys for the file and for the environment.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use temporalio_common::worker::VersioningBehavior;

/// A value that a setting may have.
trait Setting: Sized {
    /// What the value must be, for error messages.
    const EXPECTED: &'static str;
    /// From a variable.
    fn of_text(text: &str) -> Option<Self>;
    /// From the file, where numbers and booleans are not written as text.
    fn of_toml(value: &toml::Value) -> Option<Self> {
        Self::of_text(value.as_str()?)
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "text";
    fn of_text(text: &str) -> Option<Self> {
        Some(text.trim().to_owned())
    }
}

impl Setting for usize {
    const EXPECTED: &'static str = "a whole number";
    fn of_text(text: &str) -> Option<Self> {
        typed(text)
    }
    fn of_toml(value: &toml::Value) -> Option<Self> {
        value.as_integer()?.try_into().ok()
    }
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";
    fn of_text(text: &str) -> Option<Self> {
        boolean(text)
    }
    fn of_toml(value: &toml::Value) -> Option<Self> {
        value.as_bool()
    }
}

/// With its unit: `500ms`, `5s`, `1m 30s`.
impl Setting for Duration {
    const EXPECTED: &'static str = "a duration such as \"500ms\" or \"5s\"";
    fn of_text(text: &str) -> Option<Self> {
        humantime::parse_duration(text).ok()
    }
}

/// What workflows do when a new version is deployed, as written in settings.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Behavior {
    Pinned,
    AutoUpgrade,
}

impl Setting for VersioningBehavior {
    const EXPECTED: &'static str = "\"pinned\" or \"auto_upgrade\"";
    fn of_text(text: &str) -> Option<Self> {
        typed(text).map(|behavior| match behavior {
            Behavior::Pinned => Self::Pinned,
            Behavior::AutoUpgrade => Self::AutoUpgrade,
        })
    }
}

/// The text of a variable as a value of a type.
fn typed<T: DeserializeOwned>(text: &str) -> Option<T> {
    #[derive(Deserialize)]
    struct One<T> {
        value: T,
    }
    let variable = ("VALUE".to_owned(), text.to_owned());
    envy::from_iter::<_, One<T>>([variable]).ok().map(|one| one.value)
}

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $key:ident: $type:ty,)*) => {
        /// The settings that are not the SDK's own, each unset unless somebody set it.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct Keys {
            $($(#[doc = $doc])+ pub(crate) $key: Option<$type>,)*
        }

        /// The keys' names, as in the file; in the environment, in capitals after the prefix.
        pub(crate) const KEYS: &[&str] = &[$(stringify!($key)),*];

        impl Keys {
            /// Sets a key of [`KEYS`] from a variable; the error says what the value must be.
            pub(crate) fn set_text(&mut self, key: &str, text: &str) -> Result<(), &'static str> {
                match key {
                    $(stringify!($key) => {
                        let value = <$type as Setting>::of_text(text);
                        self.$key = Some(value.ok_or(<$type as Setting>::EXPECTED)?);
                    })*
                    _ => {}
                }
                Ok(())
            }

            /// Sets a key of [`KEYS`] from the file; the error says what the value must be. Blank
            /// text counts as not set.
            pub(crate) fn set_toml(
                &mut self,
                key: &str,
                value: &toml::Value,
            ) -> Result<(), &'static str> {
                if value.as_str().is_some_and(|text| text.trim().is_empty()) {
                    return Ok(());
                }
                match key {
                    $(stringify!($key) => {
                        let value = <$type as Setting>::of_toml(value);
                        self.$key = Some(value.ok_or(<$type as Setting>::EXPECTED)?);
                    })*
                    _ => {}
                }
                Ok(())
            }

            /// These settings, overridden by those that `over` has.
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
    graceful_shutdown_timeout: Duration,
    /// How long before the deadline polling stops.
    shutdown_deadline_buffer: Duration,
    /// Polling ends when no task has been in flight for this long.
    idle_timeout: Duration,
    /// With an idle timeout: the least time that the worker polls.
    minimum_stay: Duration,
    /// Whether the connection is kept for the next invocation.
    reuse_connection: bool,
    /// How old a kept connection may become, by wall clock.
    max_connection_age: Duration,
    /// How often the worker reports itself to Temporal; never if unset.
    worker_heartbeat_interval: Duration,
    /// The worker's deployment name.
    deployment_name: String,
    /// The worker's build ID.
    build_id: String,
    /// `pinned` or `auto_upgrade`.
    versioning_behavior: VersioningBehavior,
    /// A file that the API key is read from at every invocation.
    api_key_file: String,
    /// Whether the invocation's figures go to stdout; needs the feature `emf`.
    emf: bool,
}

/// A boolean as people may write it in a variable.
pub(in crate::config) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_toml(key: &str, value: impl Into<toml::Value>) -> Result<Keys, &'static str> {
        let mut keys = Keys::default();
        keys.set_toml(key, &value.into()).map(|()| keys)
    }

    fn of_text(key: &str, text: &str) -> Result<Keys, &'static str> {
        let mut keys = Keys::default();
        keys.set_text(key, text).map(|()| keys)
    }

    #[test]
    fn durations_are_written_with_their_unit() {
        let expected = Some(Duration::from_secs(90));
        assert_eq!(of_toml("idle_timeout", "1m 30s").unwrap().idle_timeout, expected);
        assert_eq!(of_text("idle_timeout", "1m30s").unwrap().idle_timeout, expected);
        assert!(of_toml("idle_timeout", 5).is_err());
        assert!(of_toml("idle_timeout", "5").is_err());
        assert!(of_text("idle_timeout", "5").unwrap_err().contains("500ms"));
    }

    #[test]
    fn a_value_of_another_kind_is_refused_with_the_kind_that_it_must_be() {
        for (key, text, expected) in [
            ("max_cached_workflows", "-1", "whole number"),
            ("max_cached_workflows", "2.5", "whole number"),
            ("reuse_connection", "yes", "true or false"),
            ("versioning_behavior", "Pinned", "auto_upgrade"),
            ("worker_heartbeat_interval", "1 hour and a bit", "duration"),
        ] {
            assert!(of_text(key, text).unwrap_err().contains(expected), "{key} = {text}");
            assert!(of_toml(key, text).unwrap_err().contains(expected), "{key} = {text}");
        }
        assert!(of_toml("task_queue", 5).is_err(), "text is quoted in the file");
        assert_eq!(of_text("task_queue", "5").unwrap().task_queue.as_deref(), Some("5"));
    }

    #[test]
    fn blank_text_in_the_file_counts_as_not_set() {
        for key in KEYS {
            assert_eq!(of_toml(key, " ").unwrap(), Keys::default(), "{key}");
        }
    }

    #[test]
    fn the_environment_overrides_the_file_key_by_key() {
        let file = Keys {
            task_queue: Some("a".to_owned()),
            max_cached_workflows: Some(1),
            ..Keys::default()
        };
        let environment = Keys { task_queue: Some("b".to_owned()), ..Keys::default() };
        let both = file.overlaid(environment);
        assert_eq!(both.task_queue.as_deref(), Some("b"));
        assert_eq!(both.max_cached_workflows, Some(1));
    }
}
