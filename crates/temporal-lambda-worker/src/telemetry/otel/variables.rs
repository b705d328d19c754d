//! The environment variables of OpenTelemetry, and warnings about values that cannot be used.

use std::fmt;
use std::time::Duration;

/// Reads one variable.
pub(super) fn of_process(name: &str) -> Option<String> {
    crate::telemetry::variable(name)
}

/// One of the two kinds of telemetry, by the name that variables give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    pub(super) fn in_variables(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        })
    }
}

/// Variables by name, and the warnings about them.
pub(super) struct Variables<'a> {
    read: &'a dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(read: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { read, warnings: Vec::new() }
    }

    /// A variable's value without the blanks around it. An empty variable is unset.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = (self.read)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// One of the exporter's variables with its name: the signal's own, else the general one.
    pub(super) fn exporter(&self, signal: Signal, what: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.in_variables());
        let general = format!("OTEL_EXPORTER_OTLP_{what}");
        [own, general].into_iter().find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    /// A boolean. Any other value is warned about and counts as false.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        match value.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.warn(format!("{name}={value:?} is neither true nor false; taken as false"));
                Some(false)
            }
        }
    }

    /// A number of milliseconds. Any other value, and zero, is warned about and counts as unset.
    pub(super) fn millis(&mut self, name: &str, value: &str) -> Option<Duration> {
        match value.parse() {
            Ok(millis) if millis > 0 => Some(Duration::from_millis(millis)),
            _ => {
                self.warn(format!("{name}={value:?} is no number of milliseconds above zero"));
                None
            }
        }
    }

    /// Adds a warning. The text must not hold a secret: no header, no certificate.
    pub(super) fn warn(&mut self, text: String) {
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }
}
