//! The settings of a function, as it would read them, and where they come from.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lambda_runtime::{Context, LambdaEvent};
use serde::Serialize;
use temporal_lambda_worker::check::{self, Code, Finding};
use temporal_lambda_worker::{
    BoxError, LambdaWorkerConfig, LambdaWorkerHandler, WorkerDeploymentVersion,
};
use temporalio_client::ConnectionOptions;

/// The prefix of the worker's own variables.
const OURS: &str = "TEMPORAL_LAMBDA_";
/// Stands in a version for what is not set outside of the code.
const UNSET: &str = "";

/// A setting, and where it was made. Secrets are masked.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) source: String,
    /// Whether an environment variable overrides it.
    pub(super) overridden: bool,
}

/// The settings in force.
pub(super) struct Settings {
    /// Its `Debug` shows the API key.
    pub(super) connection: ConnectionOptions,
    pub(super) namespace: String,
    pub(super) task_queue: Option<String>,
    pub(super) deployment_name: Option<String>,
    pub(super) build_id: Option<String>,
    /// What the library judges of them.
    pub(super) findings: Vec<Finding>,
}

/// Reads the settings from this process's environment, with the very code that reads them in
/// Lambda, and judges them for a function with this timeout. `Err` is why a function would refuse them.
pub(super) async fn resolve(timeout: Option<Duration>) -> Result<Settings, Finding> {
    let found = Arc::new(Mutex::new(None));
    let find = found.clone();
    // The worker's code hands its settings to `configure`. An error there ends the invocation
    // before anything else happens.
    let configure = move |config: &mut LambdaWorkerConfig| -> Result<(), BoxError> {
        *find.lock().unwrap_or_else(PoisonError::into_inner) = Some(Settings::of(config, timeout));
        Err("that was all".into())
    };
    let version = WorkerDeploymentVersion::builder().deployment_name(UNSET).build_id(UNSET).build();
    let handler = LambdaWorkerHandler::new(version, configure);
    let handler = handler.map_err(|error| Finding::from(error.fault()))?;
    let mut context = Context::default();
    context.deadline = far_deadline();
    let ended = handler.handle(LambdaEvent::new((), context)).await;
    let found = found.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (found, ended) {
        (Some(settings), _) => Ok(settings),
        (None, Err(error)) => Err(Finding::from(error.fault())),
        (None, Ok(_)) => {
            let message = "the settings could not be read";
            Err(Finding::new("settings", Code::InvocationFailed, message))
        }
    }
}

/// Lambda's longest timeout from now, in milliseconds since 1970: an event without a deadline would be
/// warned about.
fn far_deadline() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let deadline = now + Duration::from_secs(900);
    u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)
}

impl Settings {
    fn of(config: &LambdaWorkerConfig, timeout: Option<Duration>) -> Self {
        let mut findings = check::settings(config);
        findings.extend(check::time(config, timeout));
        let worker = &config.worker_options;
        let deployment = &worker.deployment_options;
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            connection: config.connection_options.clone(),
            namespace: config.client_options.namespace.clone(),
            task_queue: set(&worker.task_queue),
            deployment_name: set(&deployment.version.deployment_name),
            build_id: set(&deployment.version.build_id),
            findings,
        }
    }
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
