//! The findings of a check and of `temporal-lambda doctor`: stable codes, and the level of each.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{ConfigError, Fault, with_sources};

/// One result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Finding {
    /// What was checked: `settings`, `time`, `connection`, `namespace`, `deployment`, `version`,
    /// `provider`, `task queue`, `routing` or `invocation`.
    pub subject: String,
    /// What was found, as a stable code.
    pub code: Code,
    /// How much it matters: the level of the code in the version that wrote this.
    pub level: Level,
    /// What was found, in words.
    pub message: String,
    /// What to do, where the message does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    /// A finding at the level of its code, without advice.
    pub fn new(subject: impl Into<String>, code: Code, message: impl Into<String>) -> Self {
        let level = code.level();
        Self { subject: subject.into(), code, level, message: message.into(), advice: None }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// Why an invocation failed, as a finding. Its message says what to do.
impl From<&Fault> for Finding {
    fn from(fault: &Fault) -> Self {
        let (subject, code) = match fault {
            Fault::Configuration(ConfigError::BufferTooSmall { .. }) => {
                ("time", Code::BufferTooSmall)
            }
            Fault::Configuration(_) => ("settings", Code::SettingsRefused),
            Fault::TooLittleTime { .. } => ("time", Code::TimeoutTooShort),
            Fault::Unreachable { .. } => ("connection", Code::Unreachable),
            Fault::Refused { .. } => ("connection", Code::Refused),
            Fault::Answered { .. } => ("connection", Code::ServerError),
            Fault::NamespaceNotFound { .. } => ("namespace", Code::NamespaceNotFound),
            _ => ("invocation", Code::InvocationFailed),
        };
        Self::new(subject, code, with_sources(fault))
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and could work better.
    Hint,
    /// It works, but perhaps not as intended.
    Warning,
    /// The function gets no work or cannot do it. A level that only a later version of this crate
    /// knows is read back as this one.
    #[default]
    #[serde(other)]
    Problem,
}

impl Level {
    /// The level's name, as JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $level:ident;)+) => {
        /// What was found, as a stable code for programs.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
            /// A code that only a later version of this crate knows, in a finding that was read back.
            Other(String),
        }

        impl Code {
            /// Every code that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code's name, as JSON has it.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$name => $text,)+
                    Self::Other(name) => name,
                }
            }

            /// How much it matters; [`Level::Problem`] for a code that is not known.
            pub const fn level(&self) -> Level {
                match self {
                    $(Self::$name => Level::$level,)+
                    Self::Other(_) => Level::Problem,
                }
            }
        }
    };
}

codes! {
    /// As it should be.
    Ok = "ok", Ok;
    /// The worker refuses its settings.
    SettingsRefused = "settings-refused", Problem;
    /// The worker takes its settings, but one of them looks like a mistake.
    SettingsWarning = "settings-warning", Warning;
    /// The shutdown deadline buffer is shorter than the grace period and what follows it.
    BufferTooSmall = "buffer-too-small", Problem;
    /// The function's timeout leaves no time for work.
    TimeoutTooShort = "timeout-too-short", Problem;
    /// The function's timeout leaves less than 5 s for work.
    TimeoutShort = "timeout-short", Warning;
    /// The function's timeout is not known. Only `doctor` finds this.
    TimeoutUnknown = "timeout-unknown", Warning;
    /// The server cannot be reached: address, TLS or network.
    Unreachable = "unreachable", Problem;
    /// The server refuses the credentials.
    Refused = "refused", Problem;
    /// The server answered with an error.
    ServerError = "server-error", Problem;
    /// The namespace does not exist.
    NamespaceNotFound = "namespace-not-found", Problem;
    /// The server does not say whether the namespace exists.
    NamespaceUnknown = "namespace-unknown", Warning;
    /// The server does not end the polls of a worker that shuts down, so an idle exit waits for them.
    SlowIdleExit = "slow-idle-exit", Hint;
    /// The deployment name or the build ID is only in the function's code, so the server was not asked
    /// about the version. Only `doctor` finds this.
    VersionUnknown = "version-unknown", Warning;
    /// The server does not describe worker deployments.
    DeploymentUnknown = "deployment-unknown", Warning;
    /// The worker deployment does not exist.
    NoDeployment = "no-deployment", Problem;
    /// The worker deployment has nearly as many versions as a server takes.
    ManyVersions = "many-versions", Warning;
    /// The worker deployment has no versions.
    NoVersion = "no-version", Problem;
    /// The worker deployment has other versions, but not the one that the function polls as.
    VersionMismatch = "version-mismatch", Problem;
    /// The version has no compute provider, so the server never invokes the function.
    NoComputeProvider = "no-compute-provider", Problem;
    /// The server cannot invoke the function.
    ProviderRefused = "provider-refused", Problem;
    /// No worker of the version has polled, so no task queue is bound to the version.
    NoTaskQueue = "no-task-queue", Problem;
    /// Workers of the version have polled other task queues than the configured one.
    TaskQueueMismatch = "task-queue-mismatch", Warning;
    /// The version is not the current one, so it gets no new workflows.
    NotCurrent = "not-current", Warning;
    /// The version is ramping: it gets a share of the new workflows.
    Ramping = "ramping", Warning;
    /// The invocation failed for another reason than those above. Only a check finds this.
    InvocationFailed = "invocation-failed", Problem;
    /// The check ended before the server was asked. Only a check finds this.
    CheckIncomplete = "check-incomplete", Problem;
}

impl Default for Code {
    /// An unknown code without a name.
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = Self::ALL.iter().find(|code| code.name() == name);
        Ok(known.cloned().unwrap_or(Self::Other(name)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_code_is_read_back_by_its_name_and_a_later_versions_code_keeps_its_name() {
        for code in Code::ALL {
            let json = json!(code);
            assert_eq!(json, code.name());
            assert_eq!(serde_json::from_value::<Code>(json).unwrap(), *code);
        }
        let later: Finding =
            serde_json::from_value(json!({"code": "too-blue", "level": "advice", "hue": 1}))
                .unwrap();
        assert_eq!(later.code, Code::Other("too-blue".to_owned()));
        assert_eq!(later.level, Level::Problem);
        assert_eq!(json!(later)["code"], "too-blue");
    }

    #[test]
    fn a_levels_name_is_the_one_in_json() {
        for level in [Level::Ok, Level::Hint, Level::Warning, Level::Problem] {
            assert_eq!(json!(level), level.name());
        }
    }
}
