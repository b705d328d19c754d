//! How Lambda writes down a function, a version, an alias.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::{
    deployed::{Alias, Deployed, EventConfig, Version},
    settings::architecture,
};
use crate::{config::Code, function::arn, shared::ACCOUNT};

/// `FunctionConfiguration`, with the qualifier in its ARN.
pub(super) fn configuration(version: &Version, qualifier: Option<&str>) -> Value {
    let config = version.function.config();
    let (sha256, size) = match &config.code {
        Code::Package(package) => (package.sha256(), package.size()),
        Code::Process { .. } | Code::InProcess(_) => ("", 0),
    };
    let role = config.role.clone();
    let mut shape = json!({
        "FunctionName": config.name,
        "FunctionArn": arn(&config.name, qualifier),
        "Runtime": config.runtime,
        "Handler": config.handler,
        "Description": config.description,
        "Timeout": config.timeout.as_secs_f64().ceil() as u64,
        "MemorySize": config.memory_mb,
        "Version": config.version,
        "PackageType": "Zip",
        "Architectures": [architecture()],
        "Role": role.unwrap_or_else(|| format!("arn:aws:iam::{ACCOUNT}:role/{}", config.name)),
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "LastModified": timestamp(version.modified),
        "CodeSha256": sha256,
        "CodeSize": size,
        "RevisionId": version.revision,
        "EphemeralStorage": { "Size": 512 },
        "TracingConfig": { "Mode": "PassThrough" },
        "LoggingConfig": {
            "LogFormat": "Text",
            "LogGroup": format!("/aws/lambda/{}", config.name),
        },
        "SnapStart": {
            "ApplyOn": if config.snap_start { "PublishedVersions" } else { "None" },
            "OptimizationStatus": if config.snap_start { "On" } else { "Off" },
        },
    });
    // The variables of a function that a test added may hold anything, and nobody asks for them.
    if matches!(config.code, Code::Package(_)) && !config.env.is_empty() {
        let text = |text: &std::ffi::OsString| text.to_string_lossy().into_owned();
        let variables: Map<_, _> =
            config.env.iter().map(|(key, value)| (text(key), json!(text(value)))).collect();
        shape["Environment"] = json!({ "Variables": variables });
    }
    shape
}

/// `GetFunctionResponse`.
pub(super) fn function(deployed: &Deployed, version: &Version, qualifier: Option<&str>) -> Value {
    let mut shape = json!({
        "Configuration": configuration(version, qualifier),
        "Code": { "RepositoryType": "S3", "Location": "" },
        "Tags": deployed.tags,
    });
    if let Some(reserved) = deployed.reserved {
        shape["Concurrency"] = json!({ "ReservedConcurrentExecutions": reserved });
    }
    shape
}

/// `AliasConfiguration`.
pub(super) fn alias(function: &str, name: &str, alias: &Alias) -> Value {
    let mut shape = json!({
        "AliasArn": arn(function, Some(name)),
        "Name": name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision,
    });
    if !alias.weights.is_empty() {
        shape["RoutingConfig"] = json!({ "AdditionalVersionWeights": alias.weights });
    }
    shape
}

/// `FunctionEventInvokeConfig`.
pub(super) fn event_config(function: &str, qualifier: &str, config: &EventConfig) -> Value {
    let since = config.modified.duration_since(SystemTime::UNIX_EPOCH);
    let mut shape = json!({
        "FunctionArn": arn(function, Some(qualifier)),
        "LastModified": since.unwrap_or(Duration::ZERO).as_secs_f64(),
        "DestinationConfig": { "OnSuccess": {}, "OnFailure": {} },
    });
    if let Some(attempts) = config.max_retry_attempts {
        shape["MaximumRetryAttempts"] = json!(attempts);
    }
    if let Some(seconds) = config.max_age_seconds {
        shape["MaximumEventAgeInSeconds"] = json!(seconds);
    }
    shape
}

fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string().replace('Z', "+0000")
}
