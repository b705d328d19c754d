//! Warnings about a configuration that is accepted. Each is logged once in an execution environment.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Warnings that were logged in this execution environment. A configuration is made in every
/// invocation; its warnings are logged once.
#[derive(Clone, Default)]
pub(crate) struct LoggedWarnings(Arc<Mutex<HashSet<String>>>);

/// How many different warnings an environment logs at most: a configuration that differs from invocation
/// to invocation must not fill log and memory.
const MOST: usize = 64;

/// The warnings about one invocation's configuration.
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

    /// Logs the warnings so far and those to come, unless they are in `logged`.
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
    fn a_warning_is_logged_once_in_an_environment_and_listed_in_each_invocation() {
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
    fn no_more_than_64_different_warnings_are_logged_in_an_environment() {
        let logged = LoggedWarnings::default();
        for number in 0..10 * MOST {
            let mut warnings = Warnings::default();
            warnings.log_to(logged.clone());
            warnings.add(number.to_string());
        }
        assert_eq!(logged.0.lock().unwrap().len(), MOST);
    }
}
