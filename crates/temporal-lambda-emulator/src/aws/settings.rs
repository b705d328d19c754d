//! What callers say of a function, and what of it is refused.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::Value;

use super::refusal::Refusal;
use crate::{config::FunctionConfig, package::Package};

const RUNTIMES: [&str; 3] = ["provided", "provided.al2", "provided.al2023"];
/// The limit for all variables together, in bytes.
const VARIABLES: usize = 4096;
/// What Lambda sets itself.
const RESERVED: [&str; 21] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// The code of a function, as `CreateFunction` and `UpdateFunctionCode` bring it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Code {
    zip_file: Option<String>,
    architectures: Option<Vec<String>>,
}

impl Code {
    /// Unpacks the zip. Blocks.
    pub(super) fn unpack(&self) -> Result<Arc<Package>, Refusal> {
        check_architectures(self.architectures.as_deref())?;
        let Some(zip) = &self.zip_file else {
            return Err(Refusal::invalid(
                "The emulator takes code as a zip in the request only: give ZipFile",
            ));
        };
        let unpacked = match BASE64_STANDARD.decode(zip) {
            Ok(zip) => Package::unpack(&zip),
            Err(error) => Err(io::Error::other(error)),
        };
        unpacked
            .map(Arc::new)
            .map_err(|error| Refusal::invalid(format!("Could not unzip uploaded file: {error}")))
    }
}

/// The configuration, as `CreateFunction` and `UpdateFunctionConfiguration` bring it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Settings {
    runtime: Option<String>,
    handler: Option<String>,
    role: Option<String>,
    description: Option<String>,
    timeout: Option<u64>,
    memory_size: Option<u32>,
    environment: Option<Environment>,
    layers: Option<Value>,
    vpc_config: Option<Value>,
    file_system_configs: Option<Value>,
    image_config: Option<Value>,
    dead_letter_config: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

impl Settings {
    /// `config` with these settings.
    pub(super) fn apply(self, mut config: FunctionConfig) -> Result<FunctionConfig, Refusal> {
        self.check_emulated()?;
        if let Some(runtime) = self.runtime {
            if !RUNTIMES.contains(&runtime.as_str()) {
                return Err(Refusal::invalid(format!(
                    "The emulator runs no {runtime}; it has the runtimes {}",
                    RUNTIMES.join(", ")
                )));
            }
            config.runtime = runtime;
        }
        if let Some(role) = self.role {
            check_role(&role)?;
            config.role = Some(role);
        }
        if let Some(timeout) = self.timeout {
            check_range("timeout", timeout, 1, 900)?;
            config.timeout = Duration::from_secs(timeout);
        }
        if let Some(memory) = self.memory_size {
            check_range("memorySize", memory.into(), 128, 10240)?;
            config.memory_mb = memory;
        }
        if let Some(environment) = self.environment {
            check_variables(&environment.variables)?;
            let variables = environment.variables.into_iter();
            config.env = variables.map(|(key, value)| (key.into(), value.into())).collect();
        }
        config.handler = self.handler.unwrap_or(config.handler);
        config.description = self.description.unwrap_or(config.description);
        Ok(config)
    }

    /// Refuses what a function would rely on and not have.
    fn check_emulated(&self) -> Result<(), Refusal> {
        let settings = [
            ("Layers", &self.layers),
            ("VpcConfig", &self.vpc_config),
            ("FileSystemConfigs", &self.file_system_configs),
            ("ImageConfig", &self.image_config),
            ("DeadLetterConfig", &self.dead_letter_config),
        ];
        match settings.iter().find(|(_, value)| value.as_ref().is_some_and(says_something)) {
            Some((name, _)) => Err(Refusal::invalid(format!("The emulator has no {name}"))),
            None => Ok(()),
        }
    }
}

/// Refuses names that no function can have.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let fits = (1..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if fits {
        return Ok(());
    }
    let rule = "be 1 to 64 letters, digits, hyphens and underscores";
    Err(Refusal::out_of_range("functionName", name, rule))
}

/// Refuses programs for another machine, since they would be started on this one.
pub(super) fn check_architectures(architectures: Option<&[String]>) -> Result<(), Refusal> {
    match architectures {
        Some(named) if named != [architecture()] => Err(Refusal::invalid(format!(
            "The emulator's machine is {}; it cannot run {}",
            architecture(),
            named.join(", ")
        ))),
        _ => Ok(()),
    }
}

/// This machine, as Lambda names it.
pub(super) fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

/// Whether a setting is there, and not only its empty form.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(entries) => !entries.is_empty(),
        Value::Object(fields) => fields.values().any(says_something),
        Value::String(text) => !text.is_empty(),
        Value::Bool(said) => *said,
        Value::Number(_) => true,
    }
}

/// Refuses what is outside of the limits that the API states.
pub(super) fn check_range(member: &str, value: u64, from: u64, to: u64) -> Result<(), Refusal> {
    if value < from {
        let rule = format!("have value greater than or equal to {from}");
        return Err(Refusal::out_of_range(member, value, &rule));
    }
    if value > to {
        let rule = format!("have value less than or equal to {to}");
        return Err(Refusal::out_of_range(member, value, &rule));
    }
    Ok(())
}

fn check_role(role: &str) -> Result<(), Refusal> {
    let mut parts = role.splitn(6, ':');
    let fits = parts.next() == Some("arn")
        && parts.next().is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some("iam")
        && parts.next() == Some("")
        && parts.next().is_some_and(|account| account.len() == 12)
        && parts.next().is_some_and(|resource| resource.starts_with("role/"));
    if fits {
        return Ok(());
    }
    Err(Refusal::out_of_range("role", role, "be the ARN of an IAM role"))
}

fn check_variables(variables: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let reserved = variables.keys().filter(|key| RESERVED.contains(&key.as_str()));
    let reserved: Vec<_> = reserved.map(String::as_str).collect();
    if !reserved.is_empty() {
        return Err(Refusal::invalid(format!(
            "Lambda sets these environment variables itself, and no function can: {}",
            reserved.join(", ")
        )));
    }
    let odd = variables.keys().find(|key| {
        key.len() < 2
            || !key.starts_with(|first: char| first.is_ascii_alphabetic())
            || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    });
    if let Some(odd) = odd {
        let rule = "be a letter, and then letters, digits and underscores";
        return Err(Refusal::out_of_range("environment.variables", odd, rule));
    }
    // Lambda counts the JSON that they make.
    let size = serde_json::to_string(variables).map_or(0, |text| text.len());
    if size > VARIABLES {
        return Err(Refusal::invalid(format!(
            "The environment variables have {size} bytes, and {VARIABLES} is the limit"
        )));
    }
    Ok(())
}
