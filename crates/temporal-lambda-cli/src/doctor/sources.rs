//! Where the settings of a function come from.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// The prefix of the worker's own variables.
const OURS: &str = "TEMPORAL_LAMBDA_";

/// A setting, and where it was made. Secrets are masked.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) source: String,
    /// Whether an environment variable overrides it.
    pub(super) overridden: bool,
}

/// Every setting of the file and of the environment, the file's first.
pub(super) fn sources() -> Vec<Setting> {
    let mut settings = file().map(|path| of_file(&path)).unwrap_or_default();
    let mut variables: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("TEMPORAL_"))?;
            Some((name, value.to_string_lossy().into_owned()))
        })
        .filter(|(_, value)| !value.is_empty())
        .collect();
    variables.sort();
    for setting in &mut settings {
        let overriding = variables_of(&setting.name);
        setting.overridden = variables.iter().any(|(variable, _)| overriding.contains(variable));
    }
    settings.extend(variables.into_iter().map(|(name, value)| Setting {
        value: masked(&name, value),
        name,
        source: "the environment".to_owned(),
        overridden: false,
    }));
    settings
}

/// The file that the worker reads.
fn file() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TEMPORAL_CONFIG_FILE").filter(|it| !it.is_empty()) {
        return Some(named.into());
    }
    let root = std::env::var_os("LAMBDA_TASK_ROOT").filter(|it| !it.is_empty());
    let folders = root.map(PathBuf::from).into_iter().chain([PathBuf::from(".")]);
    folders.map(|folder| folder.join("temporal.toml")).find(|file| file.exists())
}

/// The settings of the file that are read. What is wrong with it, the worker's own code says.
fn of_file(path: &Path) -> Vec<Setting> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let tables: toml::Table = text.parse().unwrap_or_default();
    let profile = std::env::var("TEMPORAL_PROFILE").ok().filter(|name| !name.is_empty());
    let profile = profile.unwrap_or_else(|| "default".to_owned());
    let mut settings = Vec::new();
    if let Some(table) = tables.get("lambda_worker") {
        flatten("lambda_worker", table, path, &mut settings);
    }
    if let Some(table) = tables.get("profile").and_then(|profiles| profiles.get(&profile)) {
        flatten(&format!("profile.{profile}"), table, path, &mut settings);
    }
    settings
}

fn flatten(name: &str, value: &toml::Value, path: &Path, settings: &mut Vec<Setting>) {
    if let toml::Value::Table(table) = value {
        for (key, value) in table {
            flatten(&format!("{name}.{key}"), value, path, settings);
        }
        return;
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    settings.push(Setting {
        value: masked(name, text),
        name: name.to_owned(),
        source: path.display().to_string(),
        overridden: false,
    });
}

/// The variables that override a setting of the file.
fn variables_of(name: &str) -> Vec<String> {
    match name.strip_prefix("lambda_worker.") {
        Some(key) => {
            let mut variables = vec![format!("{OURS}{}", key.to_ascii_uppercase())];
            if key == "task_queue" {
                variables.push("TEMPORAL_TASK_QUEUE".to_owned());
            }
            variables
        }
        None => {
            // `profile.<name>.tls.server_name` is `TEMPORAL_TLS_SERVER_NAME`.
            let key = name.splitn(3, '.').nth(2).unwrap_or_default();
            vec![format!("TEMPORAL_{}", key.replace('.', "_").to_ascii_uppercase())]
        }
    }
}

/// The value, unless its name says that it may be secret.
fn masked(name: &str, value: String) -> String {
    let name = name.to_ascii_lowercase();
    let path = name.ends_with("_path") || name.ends_with("_file");
    let secret = ["key", "secret", "token", "auth", "password", "grpc_meta", "_data"];
    if !path && secret.iter().any(|word| name.contains(word)) { "***".to_owned() } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_settings_are_masked() {
        for name in [
            "TEMPORAL_API_KEY",
            "profile.default.api_key",
            "profile.default.tls.client_key_data",
            "TEMPORAL_GRPC_META_AUTHORIZATION",
            "profile.default.codec.auth",
        ] {
            assert_eq!(masked(name, "s3cret".to_owned()), "***", "{name}");
        }
        for name in
            ["TEMPORAL_ADDRESS", "TEMPORAL_TLS_CLIENT_KEY_PATH", "lambda_worker.api_key_file"]
        {
            assert_eq!(masked(name, "shown".to_owned()), "shown", "{name}");
        }
    }

    #[test]
    fn an_environment_variable_overrides_the_same_setting_of_a_file() {
        assert_eq!(variables_of("lambda_worker.idle_timeout"), ["TEMPORAL_LAMBDA_IDLE_TIMEOUT"]);
        assert_eq!(variables_of("profile.default.tls.server_name"), ["TEMPORAL_TLS_SERVER_NAME"]);
        assert_eq!(variables_of("profile.default.address"), ["TEMPORAL_ADDRESS"]);
        let both = ["TEMPORAL_LAMBDA_TASK_QUEUE", "TEMPORAL_TASK_QUEUE"];
        assert_eq!(variables_of("lambda_worker.task_queue"), both);
    }
}
