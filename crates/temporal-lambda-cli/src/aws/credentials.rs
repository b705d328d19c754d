//! Who calls AWS: the environment's keys, or what the `aws` program finds for a profile, SSO included.

use std::process::Stdio;

use object_store::aws::AwsCredential;
use serde::Deserialize;
use tokio::process::Command;

use super::error::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// Credentials for a profile, or without one those of the environment, else those of the default profile.
pub(super) async fn find(profile: Option<&str>) -> Result<AwsCredential, AwsError> {
    match (profile, of_environment()) {
        (None, Some(credential)) => Ok(credential),
        (profile, _) => exported(profile).await,
    }
}

/// What an emulator takes: it does not look at signatures.
pub(super) fn for_an_emulator() -> AwsCredential {
    of_environment().unwrap_or_else(|| AwsCredential {
        key_id: "test".to_owned(),
        secret_key: "test".to_owned(),
        token: None,
    })
}

/// A variable that is there and says something.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The region that the `aws` program has for a profile.
pub(super) async fn region(profile: Option<&str>) -> Option<String> {
    let output = aws(&["configure", "get", "region"], profile).output().await.ok()?;
    let region = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !region.is_empty()).then_some(region)
}

fn of_environment() -> Option<AwsCredential> {
    Some(AwsCredential {
        key_id: variable("AWS_ACCESS_KEY_ID")?,
        secret_key: variable("AWS_SECRET_ACCESS_KEY")?,
        token: variable("AWS_SESSION_TOKEN"),
    })
}

async fn exported(profile: Option<&str>) -> Result<AwsCredential, AwsError> {
    let none = |reason: String| AwsError::NoCredentials(reason);
    let arguments = ["configure", "export-credentials", "--format", "process"];
    let output = aws(&arguments, profile).output().await.map_err(|error| {
        none(format!(
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN for a role). For a profile or \
             SSO the `aws` program (version 2) is asked, which cannot be run: {error}"
        ))
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(none(format!(
            "`aws configure export-credentials` failed: {}; log in (`aws sso login`), name another profile with \
             --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            said.trim()
        )));
    }
    // The parser's message could quote a secret.
    let exported: Exported = serde_json::from_slice(&output.stdout).map_err(|_| {
        none("`aws configure export-credentials` did not answer with credentials; it needs version 2".to_owned())
    })?;
    Ok(AwsCredential {
        key_id: exported.access_key_id,
        secret_key: exported.secret_access_key,
        token: exported.session_token,
    })
}

fn aws(arguments: &[&str], profile: Option<&str>) -> Command {
    let mut command = Command::new("aws");
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    if let Some(profile) = profile {
        command.args(["--profile", profile]);
    }
    command
}
