//! The resource: the service, and the Lambda environment by the semantic conventions.

use std::collections::BTreeMap;

use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use percent_encoding::percent_decode_str;

use super::super::options::OtelOptions;
use super::super::variables::Variables;

/// The service's name where neither options nor variables name it.
const DEFAULT_SERVICE: &str = "temporal-lambda-worker";
const SERVICE_NAME: &str = "service.name";
/// Attributes of the environment, and the variables of Lambda that they come from.
const OF_LAMBDA: [(&str, &str); 5] = [
    ("faas.name", "AWS_LAMBDA_FUNCTION_NAME"),
    ("faas.version", "AWS_LAMBDA_FUNCTION_VERSION"),
    ("faas.instance", "AWS_LAMBDA_LOG_STREAM_NAME"),
    ("cloud.region", "AWS_REGION"),
    ("aws.log.group.names", "AWS_LAMBDA_LOG_GROUP_NAME"),
];

/// The resource: detected attributes, then those of variables, then those of options. Later ones override earlier ones.
pub(super) fn of(options: &OtelOptions, variables: &mut Variables<'_>) -> Resource {
    let mut all: BTreeMap<Key, Value> = BTreeMap::new();
    let mut set = |key: &str, value: Value| all.insert(Key::new(key.to_owned()), value);
    let function = variables.get("AWS_LAMBDA_FUNCTION_NAME");
    set(SERVICE_NAME, function.unwrap_or_else(|| DEFAULT_SERVICE.to_owned()).into());
    set("cloud.provider", "aws".into());
    set("cloud.platform", "aws_lambda".into());
    for (key, name) in OF_LAMBDA {
        if let Some(value) = variables.get(name) {
            set(key, value.into());
        }
    }
    let megabytes = variables.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
    if let Some(megabytes) = megabytes.and_then(|it| it.parse::<i64>().ok()) {
        set("faas.max_memory", megabytes.saturating_mul(1024 * 1024).into());
    }
    for (key, value) in of_variable(variables) {
        set(&key, value.into());
    }
    if let Some(name) = variables.get("OTEL_SERVICE_NAME") {
        set(SERVICE_NAME, name.into());
    }
    for KeyValue { key, value, .. } in options.resource_attributes.iter().cloned() {
        set(key.as_str(), value);
    }
    if let Some(name) = said(options.service_name.as_deref()) {
        set(SERVICE_NAME, name.to_owned().into());
    }
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(all.into_iter().map(|(key, value)| KeyValue::new(key, value)))
        .build()
}

/// An empty text is unset, in options as in variables.
pub(super) fn said(option: Option<&str>) -> Option<&str> {
    option.map(str::trim).filter(|text| !text.is_empty())
}

/// Reads `key=value,key=value`, percent-encoded. By the specification one bad pair makes the whole list invalid.
fn of_variable(variables: &mut Variables<'_>) -> Vec<(String, String)> {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let Some(text) = variables.get(NAME) else { return Vec::new() };
    pairs(&text).unwrap_or_else(|| {
        variables.warn(format!("{NAME} is not a list of key=value, percent-encoded; ignored"));
        Vec::new()
    })
}

/// Reads a list in the form of W3C Baggage without properties. `None` if it has another form.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let pair = |entry: &str| {
        let (key, value) = entry.split_once('=')?;
        let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
        let key = decoded(key.trim())?;
        (!key.is_empty()).then_some(())?;
        Some((key, decoded(value.trim())?))
    };
    entries.map(pair).collect()
}
