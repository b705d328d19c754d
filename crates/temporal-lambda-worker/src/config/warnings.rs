//! What is odd about a configuration, but no reason to refuse it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Warnings that were logged in this execution environment. A configuration is made in every
/// invocation; what is odd about it is said once.
#[derive(Clone, Default)]
pub(crate) struct LoggedWarnings(Arc<Mutex<HashSet<String>>>);

/// The most different warnings that an environment logs: a configuration that is another in each
/// invocation must not fill log and memory.
const MOST: usize = 64;

/// What is odd about one invocation's configuration.
#[derive(Clone, Default)]
pub(crate) struct Warnings {
    texts: Vec<String>,
    logged: Option<LoggedWarnings>,
}

impl Warnings {
    /// Adds a warning. No text may show a secret.
    pub(crate) fn add(&mut self, text: impl Into<String>) {
        let text = text.into();
        if self.texts.contains(&text) {
            return;
        }
        if let Some(logged) = &self.logged {
            logged.log(&text);
        }
        self.texts.push(text);
    }

    /// Logs what there is and what comes, unless it is in `logged`.
    pub(crate) fn log_to(&mut self, logged: LoggedWarnings) {
        for text in &self.texts {
            logged.log(text);
        }
        self.logged = Some(logged);
    }

    /// All of them, in order.
    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }
}

impl LoggedWarnings {
    fn log(&self, text: &str) {
        let is_new = {
            let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            texts.len() < MOST && texts.insert(text.to_owned())
        };
        if is_new {
            tracing::warn!("{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_logged_once_in_an_environment_and_known_in_each_invocation() {
        let logged = LoggedWarnings::default();
        for _ in 0..2 {
            let mut warnings = Warnings::default();
            warnings.add("early");
            warnings.log_to(logged.clone());
            warnings.add("late");
            warnings.add("late");
            assert_eq!(warnings.texts(), ["early", "late"]);
        }
        assert_eq!(logged.0.lock().unwrap().len(), 2);
    }

    #[test]
    fn warnings_that_are_always_new_end_at_a_limit() {
        let logged = LoggedWarnings::default();
        for number in 0..10 * MOST {
            let mut warnings = Warnings::default();
            warnings.log_to(logged.clone());
            warnings.add(number.to_string());
        }
        assert_eq!(logged.0.lock().unwrap().len(), MOST);
    }
}
