//! The configuration file: finding it, and taking it apart into the profiles of the SDKs, the settings of this
//! crate and the tables of other programs.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::keys::{KEYS, Keys};
use super::nearest::nearest;
use super::source::FileSource;
use super::variables::Variables;
use crate::config::warnings::Warnings;
use crate::error::ConfigError;

/// The table of this crate's settings.
pub(crate) const TABLE: &str = "lambda_worker";
/// The table of the SDKs' profiles.
const PROFILES: &str = "profile";
/// The name of the file where none is named.
pub(crate) const FILE_NAME: &str = "temporal.toml";

/// The name in messages for a text that the code gives.
const TEXT: &str = "the configuration text";

/// The configuration file, taken apart.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// Its path; `None` if there is no file.
    pub(crate) path: Option<PathBuf>,
    /// The paths at which it was looked for.
    pub(crate) looked_at: Vec<PathBuf>,
    /// The profiles, by name.
    pub(crate) profiles: toml::Table,
    /// The settings in `[lambda_worker]`.
    pub(crate) keys: Keys,
}

impl File {
    /// Reads the file that the code names, or finds one.
    pub(crate) fn read(
        source: &FileSource,
        variables: &Variables,
        warnings: &mut Warnings,
    ) -> Result<Self, ConfigError> {
        match source {
            FileSource::Found => Self::find(variables, warnings),
            FileSource::Path(path) => match std::fs::read_to_string(path) {
                Ok(text) => Self::parse(path.clone(), &text, warnings),
                Err(source) => Err(ConfigError::FileUnreadable { path: path.clone(), source }),
            },
            FileSource::Text(text) => Self::parse(PathBuf::from(TEXT), text, warnings),
            FileSource::None => Ok(Self::default()),
        }
    }

    /// Finds and reads the file: the one that `TEMPORAL_CONFIG_FILE` names, else
    /// `$LAMBDA_TASK_ROOT/temporal.toml`, else `./temporal.toml`.
    fn find(variables: &Variables, warnings: &mut Warnings) -> Result<Self, ConfigError> {
        let setting = "TEMPORAL_CONFIG_FILE";
        if let Some(named) = variables.get(setting)? {
            let path = PathBuf::from(named);
            return match std::fs::read_to_string(&path) {
                Ok(text) => Self::parse(path, &text, warnings),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    Err(ConfigError::FileMissing { path })
                }
                Err(source) => Err(ConfigError::named_file(setting, path, source)),
            };
        }
        let task_root = variables.get("LAMBDA_TASK_ROOT")?.map(PathBuf::from);
        let mut looked_at = Vec::new();
        for folder in task_root.into_iter().chain([PathBuf::from(".")]) {
            let path = folder.join(FILE_NAME);
            match std::fs::read_to_string(&path) {
                Ok(text) => return Self::parse(path, &text, warnings),
                // A task root that is a file holds no configuration file, either.
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
                {
                    looked_at.push(path);
                }
                Err(source) => return Err(ConfigError::FileUnreadable { path, source }),
            }
        }
        Ok(Self { looked_at, ..Self::default() })
    }

    fn parse(path: PathBuf, text: &str, warnings: &mut Warnings) -> Result<Self, ConfigError> {
        // Editors on Windows may put a byte order mark before the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut tables: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            ConfigError::FileMalformed { path: path.clone(), line: line_of(text, error.span()) }
        })?;
        let keys = match tables.remove(TABLE) {
            Some(table) => Self::parse_keys(&path, table)?,
            None => Keys::default(),
        };
        let profiles = match tables.remove(PROFILES) {
            Some(toml::Value::Table(profiles)) => profiles,
            Some(_) => {
                let expected = "a table for each profile: [profile.default]";
                return Err(ConfigError::bad_key(&path, PROFILES, expected));
            }
            None => toml::Table::new(),
        };
        // Other programs may have tables in the same file; only near misses are warned about.
        for name in tables.keys() {
            if let Some(meant) = nearest(name, &[TABLE, PROFILES]) {
                let meant = if meant == PROFILES { "profile.<name>" } else { meant };
                warnings.add(format!(
                    "{path:?} has a table [{name}], which is not read here: did you mean [{meant}]?"
                ));
            }
        }
        Ok(Self { path: Some(path), looked_at: Vec::new(), profiles, keys })
    }

    fn parse_keys(path: &Path, table: toml::Value) -> Result<Keys, ConfigError> {
        let toml::Value::Table(table) = table else {
            return Err(ConfigError::bad_key(path, TABLE, "a table: [lambda_worker]"));
        };
        let mut keys = Keys::default();
        for (key, value) in table {
            if !KEYS.contains(&key.as_str()) {
                return Err(ConfigError::UnknownKey {
                    path: path.into(),
                    table: TABLE.to_owned(),
                    nearest: nearest(&key, KEYS).map(str::to_owned),
                    key,
                });
            }
            keys.set_toml(&key, &value).map_err(|expected| {
                ConfigError::bad_key(path, &format!("{TABLE}.{key}"), expected)
            })?;
        }
        Ok(keys)
    }
}

/// The line that a parser's error points at. Its text is never shown: it may hold a secret.
fn line_of(text: &str, span: Option<std::ops::Range<usize>>) -> usize {
    let upto = span.map_or(0, |span| span.start.min(text.len()));
    text.as_bytes()[..upto].iter().filter(|byte| **byte == b'\n').count() + 1
}
