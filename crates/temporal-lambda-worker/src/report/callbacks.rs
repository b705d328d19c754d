//! What became of shutdown hooks and of `on_shutdown`.

use serde::{Deserialize, Serialize};

/// What became of a shutdown hook. As JSON, the outcome's fields stand beside the name:
/// `{"name": "flush", "outcome": "failed", "message": "…"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct HookReport {
    /// The hook's name.
    pub name: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: CallbackOutcome,
}

/// How a hook or `on_shutdown` ended. As JSON it is always an object with an `outcome`, and with a
/// `message` where there is one: `{"outcome": "failed", "message": "…"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallbackOutcome {
    /// It returned without an error.
    Ok,
    /// It returned an error.
    #[non_exhaustive]
    Failed {
        /// What the error said, with its sources.
        #[serde(default)]
        message: String,
    },
    /// It panicked.
    #[non_exhaustive]
    Panicked {
        /// What the panic said.
        #[serde(default)]
        message: String,
    },
    /// It took longer than it had, and was cut short.
    TimedOut,
    /// One that a later version of this crate knows, in a report that was read back.
    #[default]
    #[serde(other)]
    Other,
}

impl CallbackOutcome {
    /// The outcome's name, as it stands in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed { .. } => "failed",
            Self::Panicked { .. } => "panicked",
            Self::TimedOut => "timed_out",
            Self::Other => "other",
        }
    }

    /// What an error or a panic said; `None` where there was neither.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Failed { message } | Self::Panicked { message } => Some(message),
            Self::Ok | Self::TimedOut | Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_outcome_of_a_callback_has_one_shape_in_json() {
        let message = || "no".to_owned();
        for (outcome, expected) in [
            (CallbackOutcome::Ok, json!({"outcome": "ok"})),
            (CallbackOutcome::TimedOut, json!({"outcome": "timed_out"})),
            (
                CallbackOutcome::Failed { message: message() },
                json!({"outcome": "failed", "message": "no"}),
            ),
            (
                CallbackOutcome::Panicked { message: message() },
                json!({"outcome": "panicked", "message": "no"}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&outcome).unwrap(), expected);
            assert_eq!(expected["outcome"], outcome.name());
            let hook = HookReport { name: "flush".to_owned(), outcome };
            let written = serde_json::to_value(&hook).unwrap();
            assert_eq!(
                (&written["name"], &written["outcome"]),
                (&json!("flush"), &expected["outcome"])
            );
            assert_eq!(serde_json::from_value::<HookReport>(written).unwrap(), hook);
        }
    }
}
