//! Where settings come from: the file and the environment, read once per invocation.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::keys::{KEYS, Keys};
use super::nearest::nearest;

/// The prefix of this crate's environment variables.
pub(crate) const PREFIX: &str = "TEMPORAL_LAMBDA_";
/// The table of this crate's settings in the configuration file.
pub(crate) const TABLE: &str = "lambda_worker";
/// The name of the configuration file where none is named.
pub(crate) const FILE_NAME: &str = "temporal.toml";

/// The process environment, or what stands for it in a test.
#[derive(Clone, Default)]
pub(crate) struct Environment(HashMap<String, String>);

impl Environment {
    /// The environment of this process. Values that are not Unicode are left out, save those of
    /// variables that are read, where that is an error.
    pub(crate) fn of_process() -> Result<Self, ConfigError> {
        let mut variables = HashMap::new();
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => {
                    variables.insert(name, value);
                }
                (Ok(name), Err(_)) if name.starts_with("TEMPORAL_") => {
                    return Err(ConfigError::NotUnicode { name });
                }
                _ => {}
            }
        }
        Ok(Self(variables))
    }

    #[cfg(test)]
    pub(crate) fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self::from_iter(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    pub(crate) fn variables(&self) -> &HashMap<String, String> {
        &self.0
    }

    /// A variable's value; empty counts as unset.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// This crate's settings in the environment.
    pub(crate) fn keys(&self) -> Result<Keys, ConfigError> {
        for name in self.0.keys().filter(|name| name.starts_with(PREFIX)) {
            let key = name[PREFIX.len()..].to_ascii_lowercase();
            if !KEYS.contains(&key.as_str()) {
                return Err(ConfigError::UnknownVariable {
                    name: name.clone(),
                    nearest: nearest(&key, KEYS)
                        .map(|key| format!("{PREFIX}{}", key.to_ascii_uppercase())),
                });
            }
        }
        let mut keys = Keys::default();
        // One variable at a time, so that an error can name its variable.
        for name in KEYS {
            let variable = format!("{PREFIX}{}", name.to_ascii_uppercase());
            if let Some(value) = self.get(&variable) {
                let one: Keys = envy::prefixed(PREFIX)
                    .from_iter([(variable.clone(), value.to_owned())])
                    .map_err(|error| ConfigError::BadVariable {
                        name: variable,
                        reason: error.to_string(),
                    })?;
                keys = keys.overlaid(one);
            }
        }
        if let Some(task_queue) = self.get("TEMPORAL_TASK_QUEUE") {
            keys.task_queue = Some(task_queue.to_owned());
        }
        Ok(keys)
    }
}

#[cfg(test)]
impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// The configuration file, taken apart.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// Where it is; `None` if there is none.
    pub(crate) path: Option<PathBuf>,
    /// The part that is the SDK's, as TOML again; for its strict loader.
    pub(crate) profiles: String,
    /// The settings in `[lambda_worker]`.
    pub(crate) keys: Keys,
}

impl File {
    /// Finds and reads the file: the one that `TEMPORAL_CONFIG_FILE` names, else
    /// `$LAMBDA_TASK_ROOT/temporal.toml`, else `./temporal.toml`.
    pub(crate) fn find(environment: &Environment) -> Result<Self, ConfigError> {
        if let Some(named) = environment.get("TEMPORAL_CONFIG_FILE") {
            return Self::read(Path::new(named))?
                .ok_or_else(|| ConfigError::FileMissing { path: named.into() });
        }
        let task_root = environment.get("LAMBDA_TASK_ROOT").map(PathBuf::from);
        for folder in task_root.into_iter().chain([PathBuf::from(".")]) {
            if let Some(file) = Self::read(&folder.join(FILE_NAME))? {
                return Ok(file);
            }
        }
        Ok(Self::default())
    }

    fn read(path: &Path) -> Result<Option<Self>, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ConfigError::FileUnreadable { path: path.into(), source }),
        };
        Self::parse(path, &text).map(Some)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut tables: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            ConfigError::FileMalformed { path: path.into(), line: line_of(text, error.span()) }
        })?;
        for name in tables.keys().filter(|name| *name != TABLE && *name != "profile") {
            if nearest(name, &[TABLE, "profile"]).is_some() {
                return Err(ConfigError::UnknownTable { path: path.into(), name: name.clone() });
            }
        }
        let keys = match tables.remove(TABLE) {
            Some(table) => Self::parse_keys(path, table)?,
            None => Keys::default(),
        };
        tables.retain(|name, _| name == "profile");
        let profiles = tables.to_string();
        Ok(Self { path: Some(path.into()), profiles, keys })
    }

    fn parse_keys(path: &Path, table: toml::Value) -> Result<Keys, ConfigError> {
        let bad = |key: &str, reason: String| ConfigError::BadKey {
            path: path.into(),
            key: key.to_owned(),
            reason,
        };
        let toml::Value::Table(table) = table else {
            return Err(bad(TABLE, "it must be a table".to_owned()));
        };
        let mut keys = Keys::default();
        for (key, value) in table {
            if !KEYS.contains(&key.as_str()) {
                return Err(ConfigError::UnknownKey {
                    path: path.into(),
                    nearest: nearest(&key, KEYS).map(str::to_owned),
                    key,
                });
            }
            let one = toml::Table::from_iter([(key.clone(), value)]);
            let one: Keys = one
                .try_into()
                .map_err(|error: toml::de::Error| bad(&key, error.message().to_owned()))?;
            keys = keys.overlaid(one);
        }
        Ok(keys)
    }
}

/// The line that a parser's error points at. Its text is never shown: it may hold a secret.
fn line_of(text: &str, span: Option<std::ops::Range<usize>>) -> usize {
    let upto = span.map_or(0, |span| span.start.min(text.len()));
    text.as_bytes()[..upto].iter().filter(|byte| **byte == b'\n').count() + 1
}
