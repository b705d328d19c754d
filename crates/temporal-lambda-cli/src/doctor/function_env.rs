//! A function's environment, from a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::error::CliError;

/// The variables of a function, and its timeout if the file says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct FunctionEnv {
    pub(super) variables: BTreeMap<String, String>,
    pub(super) timeout: Option<Duration>,
}

/// What `aws lambda get-function-configuration` prints, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Aws {
    #[serde(default)]
    environment: Environment,
    timeout: Option<u64>,
    function_name: Option<String>,
    version: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

impl FunctionEnv {
    pub(super) fn read(file: &Path) -> Result<Self, CliError> {
        let unusable = |reason: String| CliError::FunctionEnv { file: file.to_owned(), reason };
        let text = std::fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
        Self::parse(&text).map_err(unusable)
    }

    fn parse(text: &str) -> Result<Self, String> {
        if !text.trim_start().starts_with('{') {
            return lines(text);
        }
        if let Ok(variables) = serde_json::from_str(text) {
            return Ok(Self { variables, timeout: None });
        }
        // The parser's message could quote a value.
        let aws: Aws = serde_json::from_str(text).map_err(|error| {
            format!("it is not JSON that is understood (line {})", error.line())
        })?;
        let mut variables = aws.environment.variables;
        let told = [
            ("AWS_LAMBDA_FUNCTION_NAME", aws.function_name),
            ("AWS_LAMBDA_FUNCTION_VERSION", aws.version),
        ];
        for (name, value) in told {
            if let Some(value) = value {
                variables.insert(name.to_owned(), value);
            }
        }
        Ok(Self { variables, timeout: aws.timeout.map(Duration::from_secs) })
    }
}

fn lines(text: &str) -> Result<FunctionEnv, String> {
    let mut variables = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("line {} is not NAME=VALUE", number + 1));
        };
        let value = value.trim();
        let quoted =
            ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        variables.insert(name.trim().to_owned(), quoted.unwrap_or(value).to_owned());
    }
    Ok(FunctionEnv { variables, timeout: None })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_and_values() {
        let read = FunctionEnv::parse("# a\nexport A=1\n\nB=\"x=y\"\n").unwrap();
        assert_eq!(read.variables["A"], "1");
        assert_eq!(read.variables["B"], "x=y");
        let refused = FunctionEnv::parse("A=1\nsecret").unwrap_err();
        assert_eq!(refused, "line 2 is not NAME=VALUE");
    }

    #[test]
    fn what_aws_prints_is_understood() {
        let text = r#"{"FunctionName":"f","Version":"7","Timeout":3,"MemorySize":128,
            "Environment":{"Variables":{"TEMPORAL_ADDRESS":"a:1"}}}"#;
        let read = FunctionEnv::parse(text).unwrap();
        assert_eq!(read.timeout, Some(Duration::from_secs(3)));
        assert_eq!(read.variables["TEMPORAL_ADDRESS"], "a:1");
        assert_eq!(read.variables["AWS_LAMBDA_FUNCTION_VERSION"], "7");
    }

    #[test]
    fn a_plain_map_is_understood() {
        let read = FunctionEnv::parse(r#"{"A":"1"}"#).unwrap();
        assert_eq!(read.variables["A"], "1");
    }
}
