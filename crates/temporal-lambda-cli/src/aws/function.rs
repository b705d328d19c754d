//! A function and its versions, as Lambda describes them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) const RUNTIME: &str = "provided.al2023";
pub(crate) const HANDLER: &str = "bootstrap";

/// Environment variables. Their values may be secrets, so that they are not shown.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Variables(pub(crate) BTreeMap<String, String>);

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A function's `$LATEST`, or one of its versions.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Configuration {
    pub(crate) function_arn: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) runtime: String,
    pub(crate) handler: String,
    pub(crate) role: String,
    pub(crate) timeout: u64,
    pub(crate) memory_size: u64,
    pub(crate) architectures: Vec<String>,
    pub(crate) environment: Option<Environment>,
    pub(crate) code_sha256: String,
    pub(crate) last_modified: String,
    pub(super) state: Option<String>,
    pub(super) state_reason: Option<String>,
    pub(super) last_update_status: Option<String>,
    pub(super) last_update_status_reason: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Environment {
    variables: Variables,
}

impl Configuration {
    pub(crate) fn variables(&self) -> Variables {
        self.environment.as_ref().map(|it| it.variables.clone()).unwrap_or_default()
    }

    #[cfg(test)]
    pub(crate) fn set_variables(&mut self, variables: Variables) {
        self.environment = Some(Environment { variables });
    }

    /// The version's number; `None` for `$LATEST`.
    pub(crate) fn number(&self) -> Option<u64> {
        self.version.parse().ok()
    }

    /// Whether both would run the same code in the same way.
    pub(crate) fn runs_like(&self, other: &Self) -> bool {
        let of = |it: &Self| {
            let texts = [&it.code_sha256, &it.runtime, &it.handler, &it.role].map(String::clone);
            (texts, it.timeout, it.memory_size, it.architectures.clone())
        };
        of(self) == of(other) && self.variables() == other.variables()
    }
}

/// A function, and what belongs to no version of it.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) latest: Configuration,
    pub(crate) reserved_concurrency: Option<u64>,
}

/// What a new function is made of.
pub(crate) struct NewFunction<'a> {
    pub(crate) zip: &'a [u8],
    pub(crate) architecture: &'a str,
    pub(crate) role: &'a str,
    pub(crate) memory: u64,
    pub(crate) timeout: u64,
    pub(crate) variables: &'a Variables,
}

/// What changes in a function's configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Update {
    pub(crate) role: Option<String>,
    pub(crate) memory: Option<u64>,
    pub(crate) timeout: Option<u64>,
    /// All of them.
    pub(crate) variables: Option<Variables>,
    /// To `provided.al2023` and `bootstrap`.
    pub(crate) runtime: bool,
}
