//! The variables of the environment. Every variable that this crate reads is read here, so that the same rules
//! apply to all: an empty or blank one is unset, booleans and numbers are checked, and a refusal names the
//! variable, its value unless it is a secret, and what it must be.

use std::collections::HashMap;
use std::ffi::OsString;

use super::keys::{KEYS, Keys, boolean};
use super::nearest::nearest;
use crate::error::{ConfigError, is_secret};

/// The prefix of this crate's environment variables.
pub(crate) const PREFIX: &str = "TEMPORAL_LAMBDA_";

/// Variables with this crate's prefix that Temporal's samples for Lambda read, and this crate does not: their
/// names after the prefix.
const OF_OTHERS: &[&str] = &["WORKFLOW_ID_PREFIX"];

/// The process's environment, or what stands for it in a test.
#[derive(Clone, Default)]
pub(crate) struct Variables(HashMap<String, OsString>);

impl Variables {
    /// The environment of this process, without variables whose names are not Unicode.
    pub(crate) fn of_process() -> Self {
        let unicode =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self(unicode.collect())
    }

    /// One variable of this process, without reading the others.
    pub(crate) fn only(name: &str) -> Self {
        Self(std::env::var_os(name).map(|value| (name.to_owned(), value)).into_iter().collect())
    }

    #[cfg(test)]
    pub(crate) fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self::from_iter(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    /// A variable's value without the blanks around it. An empty or blank variable is unset.
    ///
    /// # Errors
    /// The value is not Unicode.
    pub(crate) fn get(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        Ok(self.verbatim(name)?.map(str::trim))
    }

    /// A variable's value as it is, for secrets and certificates. An empty or blank variable is unset.
    ///
    /// # Errors
    /// The value is not Unicode.
    pub(crate) fn verbatim(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        match value.to_str() {
            Some(value) => Ok(Some(value).filter(|value| !value.trim().is_empty())),
            None => Err(ConfigError::NotUnicode { name: name.to_owned() }),
        }
    }

    /// A variable's value, understood by `parse`; `expected` says what it must be.
    ///
    /// # Errors
    /// It is not what is expected.
    pub(crate) fn parsed<'a, T>(
        &'a self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(name)? else { return Ok(None) };
        parse(value).map(Some).ok_or_else(|| ConfigError::bad_variable(name, value, expected))
    }

    /// A boolean, as Temporal and OpenTelemetry write them: `true` or `false` in any case; `1` and
    /// `0` are Temporal's, too.
    ///
    /// # Errors
    /// It is anything else.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, ConfigError> {
        self.parsed(name, "true or false", boolean)
    }

    /// The names of all variables.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The `TEMPORAL_*` variables for the SDK's loader, without those that are empty or blank. Booleans are
    /// checked, since the loader takes any other text for "not set" and turns TLS on all the same. An empty
    /// `TEMPORAL_GRPC_META_*` stays: it removes a header of the profile.
    ///
    /// # Errors
    /// A value is not Unicode, or a boolean is none.
    pub(crate) fn for_the_sdk(&self) -> Result<HashMap<String, String>, ConfigError> {
        let mut variables = HashMap::new();
        for name in self.names().filter(|name| name.starts_with("TEMPORAL_")) {
            let value = if name.starts_with("TEMPORAL_GRPC_META_") {
                let value = self.verbatim(name)?;
                Some(value.unwrap_or_default().to_owned())
            } else if BOOLEANS.contains(&name) {
                self.boolean(name)?.map(|value| value.to_string())
            } else if is_secret(name) {
                self.verbatim(name)?.map(str::to_owned)
            } else {
                self.get(name)?.map(str::to_owned)
            };
            if let Some(value) = value {
                variables.insert(name.to_owned(), value);
            }
        }
        Ok(variables)
    }

    /// This crate's settings in the environment.
    ///
    /// # Errors
    /// A name is unknown, or a value is none of its kind.
    pub(crate) fn keys(&self) -> Result<Keys, ConfigError> {
        let mut keys = Keys::default();
        // In order, so that the same environment gives the same error.
        let mut names: Vec<_> = self.names().filter_map(|name| Some((name, ours(name)?))).collect();
        names.sort_unstable();
        for (name, rest) in names {
            let known = KEYS.iter().find(|key| key.to_ascii_uppercase() == rest);
            match known {
                // Names are exact: one in lower case would be somebody else's on this system.
                Some(key) if name.starts_with(PREFIX) => {
                    if let Some(value) = self.get(name)? {
                        keys.set_text(key, value)
                            .map_err(|expected| ConfigError::bad_variable(name, value, expected))?;
                    }
                }
                None if OF_OTHERS.contains(&rest) => {}
                _ => {
                    let nearest = nearest(&rest.to_ascii_lowercase(), KEYS);
                    return Err(ConfigError::UnknownVariable {
                        name: name.to_owned(),
                        nearest: nearest.map(|key| format!("{PREFIX}{}", key.to_ascii_uppercase())),
                    });
                }
            }
        }
        if let Some(task_queue) = self.get("TEMPORAL_TASK_QUEUE")? {
            keys.task_queue = Some(task_queue.to_owned());
        }
        Ok(keys)
    }
}

/// The booleans among the SDK's variables.
const BOOLEANS: &[&str] = &["TEMPORAL_TLS", "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"];

/// The part of a name after this crate's prefix, which may be written in any case.
fn ours(name: &str) -> Option<&str> {
    let (prefix, rest) = name.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then_some(rest)
}

#[cfg(test)]
impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_blank_variable_is_unset_and_blanks_around_a_value_do_not_count() {
        let variables = Variables::of([("EMPTY", ""), ("BLANK", " \t\n"), ("PADDED", " v \n")]);
        for name in ["EMPTY", "BLANK", "MISSING"] {
            assert_eq!(variables.get(name).unwrap(), None, "{name}");
            assert_eq!(variables.verbatim(name).unwrap(), None, "{name}");
            assert_eq!(variables.boolean(name).unwrap(), None, "{name}");
        }
        assert_eq!(variables.get("PADDED").unwrap(), Some("v"));
        assert_eq!(variables.verbatim("PADDED").unwrap(), Some(" v \n"));
    }

    #[test]
    fn a_boolean_is_true_or_false_and_nothing_else() {
        for (text, expected) in
            [("true", true), ("TRUE ", true), ("1", true), ("False", false), ("0", false)]
        {
            assert_eq!(
                Variables::of([("B", text)]).boolean("B").unwrap(),
                Some(expected),
                "{text}"
            );
        }
        for text in ["no", "yes", "on", "off", "t", "enabled", "2"] {
            let error = Variables::of([("B", text)]).boolean("B").unwrap_err().to_string();
            for part in ["B", text, "true or false"] {
                assert!(error.contains(part), "{error}");
            }
        }
    }

    #[test]
    fn a_refusal_does_not_show_the_value_of_a_secret() {
        for name in [
            "TEMPORAL_API_KEY",
            "TEMPORAL_TLS_CLIENT_KEY_DATA",
            "TEMPORAL_CODEC_AUTH",
            "TEMPORAL_GRPC_META_AUTHORIZATION",
            "OTEL_EXPORTER_OTLP_HEADERS",
        ] {
            let error = ConfigError::bad_variable(name, "hush-hush", "something else");
            assert!(error.to_string().contains(name), "{error}");
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
        let path = ConfigError::bad_variable("TEMPORAL_LAMBDA_API_KEY_FILE", "/a/b", "a file");
        assert!(path.to_string().contains("/a/b"), "{path}");
    }

    #[test]
    fn a_name_in_another_case_is_unknown_and_the_right_one_is_named() {
        for name in ["TEMPORAL_LAMBDA_idle_timeout", "Temporal_Lambda_Idle_Timeout"] {
            let error = Variables::of([(name, "5s")]).keys().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            assert!(error.contains("did you mean TEMPORAL_LAMBDA_IDLE_TIMEOUT?"), "{error}");
        }
    }

    #[test]
    fn a_variable_that_only_the_official_samples_read_is_not_refused() {
        let variables = Variables::of([("TEMPORAL_LAMBDA_WORKFLOW_ID_PREFIX", "orders-")]);
        assert_eq!(variables.keys().unwrap(), Keys::default());
    }

    #[test]
    fn the_sdks_loader_gets_no_empty_variables_but_those_that_remove_a_header() {
        let variables = Variables::of([
            ("TEMPORAL_ADDRESS", ""),
            ("TEMPORAL_TLS", " "),
            ("TEMPORAL_TLS_CLIENT_CERT_DATA", ""),
            ("TEMPORAL_API_KEY", "\n"),
            ("TEMPORAL_NAMESPACE", " n "),
            ("TEMPORAL_GRPC_META_X", ""),
            ("OTHER", "x"),
        ]);
        let shown = variables.for_the_sdk().unwrap();
        let expected = [("TEMPORAL_NAMESPACE", "n"), ("TEMPORAL_GRPC_META_X", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(shown, HashMap::from(expected));
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_unicode_is_refused_where_it_is_read_and_nowhere_else() {
        use std::os::unix::ffi::OsStringExt as _;
        let bad = OsString::from_vec(vec![0xff]);
        let variables = |name: &str| Variables(HashMap::from([(name.to_owned(), bad.clone())]));
        for name in ["TEMPORAL_NAMESPACE", "TEMPORAL_LAMBDA_IDLE_TIMEOUT", "TEMPORAL_TASK_QUEUE"] {
            let variables = variables(name);
            let keys = variables.keys().map(drop);
            let error = keys.and(variables.for_the_sdk().map(drop)).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        assert!(variables("OTHER").keys().is_ok());
        assert!(variables("OTHER").for_the_sdk().is_ok());
    }

    /// Two places that read the environment would soon disagree about what is empty.
    #[test]
    fn nothing_else_in_this_crate_reads_the_environment() {
        fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    files(&path, found);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        files(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
        assert!(found.len() > 50, "{found:?}");
        let reads = |path: &std::path::PathBuf| {
            std::fs::read_to_string(path).unwrap().contains(concat!("env::", "var"))
        };
        let readers: Vec<_> = found.iter().filter(|path| reads(path)).collect();
        assert!(
            matches!(&readers[..], [path] if path.ends_with("config/read/variables.rs")),
            "{readers:?}"
        );
    }
}
