//! Everything that can be found, by its stable name, and how much it matters.

use serde::{Serialize, Serializer};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It works, and could do better.
    Hint,
    /// It works, but may surprise.
    Warning,
    /// The function does not work like this.
    Stop,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $level:ident;)+) => {
        /// A stable name for what was found, for scripts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name),+];

            pub(super) fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            pub(super) fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)+ }
            }
        }
    };
}

codes! {
    /// As it should be.
    Ok = "ok", Ok;
    /// The function would refuse its settings.
    SettingsRefused = "settings-refused", Stop;
    /// The shutdown buffer does not hold the grace period.
    BufferTooSmall = "buffer-too-small", Stop;
    /// The timeout leaves no time for work.
    TimeoutTooShort = "timeout-too-short", Stop;
    /// The timeout leaves little time for work.
    TimeoutShort = "timeout-short", Warning;
    /// Nobody said what the timeout is.
    TimeoutUnknown = "timeout-unknown", Warning;
    /// No connection: address, TLS, network.
    Unreachable = "unreachable", Stop;
    /// The server refuses the credentials.
    Refused = "refused", Stop;
    /// The namespace does not exist.
    NamespaceNotFound = "namespace-not-found", Stop;
    /// The server does not tell whether it exists.
    NamespaceUnknown = "namespace-unknown", Warning;
    /// The server does not end the polls of a worker that shuts down.
    SlowIdleExit = "slow-idle-exit", Hint;
    /// The version's name is not known, so it was not looked at.
    VersionUnknown = "version-unknown", Warning;
    /// The server does not tell about deployments.
    ServerError = "server-error", Stop;
    /// The worker deployment does not exist.
    NoDeployment = "no-deployment", Stop;
    /// It has no versions.
    NoVersion = "no-version", Stop;
    /// It has others, but not this one.
    VersionMismatch = "version-mismatch", Stop;
    /// The server does not know how to call the function.
    NoComputeProvider = "no-compute-provider", Stop;
    /// The server cannot call the function.
    ProviderRefused = "provider-refused", Stop;
    /// No worker of the version has polled.
    NoTaskQueue = "no-task-queue", Stop;
    /// It has polled another task queue than the configured one.
    TaskQueueMismatch = "task-queue-mismatch", Warning;
    /// It is not the current version.
    NotCurrent = "not-current", Warning;
    /// It gets a share of the new workflows only.
    Ramping = "ramping", Warning;
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end-to-end tests provoke everything that the table lists.
    #[test]
    fn the_documentation_lists_everything_that_can_be_found() {
        let page = include_str!("../../docs/laptop.md");
        let listed: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let known: Vec<_> = Code::ALL.iter().filter(|code| **code != Code::Ok).collect();
        assert_eq!(listed.len(), known.len(), "{listed:#?}");
        for code in known {
            let level = match code.level() {
                Level::Ok => "",
                Level::Hint => "hints",
                Level::Warning => "warns",
                Level::Stop => "stops",
            };
            let start = format!("| `{}` | {level} | ", code.text());
            assert!(listed.iter().any(|line| line.starts_with(&start)), "no row {start}");
        }
    }
}
