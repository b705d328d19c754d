//! The Temporal CLI, spoken to a dev server.

use std::{
    ffi::{OsStr, OsString},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{DevServer, error::DevServerError, process::without_temporal_variables};

/// How long a version may take to exist once its worker was started.
const VERSION: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(100);

impl DevServer {
    /// Runs `temporal <args> --address <this server>`: what it wrote to stdout.
    ///
    /// The user's own Temporal settings are left out. Dropping the future kills the command.
    ///
    /// # Errors
    ///
    /// [`DevServerError::Command`] with its stderr when it fails,
    /// [`DevServerError::NoSuchCli`] when it cannot be run.
    pub async fn cli<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, DevServerError> {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().into()).collect();
        let mut command = without_temporal_variables(Command::new(self.cli_path()));
        command
            .args(&args)
            .args(["--address", &self.address()])
            .arg("--disable-config-file")
            .stdin(Stdio::null());
        let output =
            tokio::process::Command::from(command).kill_on_drop(true).output().await.map_err(
                |error| DevServerError::NoSuchCli {
                    path: self.cli_path().to_owned(),
                    reason: error.to_string(),
                },
            )?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(DevServerError::Command {
            command: first_words(&args),
            status: output.status.to_string(),
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Runs a command with `--output json`: its answer.
    ///
    /// # Errors
    ///
    /// As [`cli`](Self::cli), and [`DevServerError::NotJson`].
    pub async fn cli_json<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Value, DevServerError> {
        let mut args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().into()).collect();
        args.extend(["--output".into(), "json".into()]);
        let answer = self.cli(&args).await?;
        serde_json::from_str(&answer)
            .map_err(|source| DevServerError::NotJson { command: first_words(&args), source })
    }

    /// Makes a version current, so that its workers receive tasks. Waits up to 30 s for the
    /// version to exist: it does once a worker of it has polled.
    ///
    /// # Errors
    ///
    /// [`DevServerError::NoSuchVersion`] when it never came to exist, and as [`cli`](Self::cli).
    pub async fn set_current_version(
        &self,
        deployment: &str,
        build_id: &str,
    ) -> Result<(), DevServerError> {
        let began = Instant::now();
        loop {
            let args = ["worker", "deployment", "set-current-version", "--yes"];
            let names = ["--deployment-name", deployment, "--build-id", build_id];
            match self.cli(args.into_iter().chain(names)).await {
                Ok(_) => return Ok(()),
                Err(DevServerError::Command { stderr, .. }) if may_pass(&stderr) => {
                    if began.elapsed() >= VERSION {
                        return Err(DevServerError::NoSuchVersion {
                            deployment: deployment.to_owned(),
                            build_id: build_id.to_owned(),
                            within: VERSION,
                            stderr,
                        });
                    }
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Creates a worker deployment, which versions can then be created in.
    ///
    /// # Errors
    ///
    /// As [`cli`](Self::cli).
    pub async fn create_deployment(&self, name: &str) -> Result<(), DevServerError> {
        self.cli(["worker", "deployment", "create", "--name", name]).await.map(drop)
    }

    /// Creates a version whose worker is the Lambda function `arn`, invoked without a role. The
    /// server needs [`worker_controller`](super::DevServerBuilder::worker_controller), and
    /// invokes the function at once.
    ///
    /// # Errors
    ///
    /// As [`cli`](Self::cli).
    pub async fn create_version_for_lambda(
        &self,
        deployment: &str,
        build_id: &str,
        arn: &str,
    ) -> Result<(), DevServerError> {
        let without_role = ["--aws-lambda-skip-role-and-external-id"];
        self.create_lambda_version(deployment, build_id, arn, &without_role).await
    }

    /// As [`create_version_for_lambda`](Self::create_version_for_lambda), invoked with the role
    /// `role_arn`, which the server assumes with `external_id`.
    ///
    /// # Errors
    ///
    /// As [`cli`](Self::cli).
    pub async fn create_version_for_lambda_with_role(
        &self,
        deployment: &str,
        build_id: &str,
        arn: &str,
        role_arn: &str,
        external_id: &str,
    ) -> Result<(), DevServerError> {
        let role = [
            "--aws-lambda-assume-role-arn",
            role_arn,
            "--aws-lambda-assume-role-external-id",
            external_id,
        ];
        self.create_lambda_version(deployment, build_id, arn, &role).await
    }

    async fn create_lambda_version(
        &self,
        deployment: &str,
        build_id: &str,
        arn: &str,
        role: &[&str],
    ) -> Result<(), DevServerError> {
        let mut args = vec!["worker", "deployment", "create-version"];
        args.extend(["--deployment-name", deployment, "--build-id", build_id]);
        args.extend(["--aws-lambda-function-arn", arn]);
        args.extend(role);
        self.cli(args).await.map(drop)
    }

    /// Describes a workflow execution of the namespace `default`, as the CLI's JSON.
    ///
    /// # Errors
    ///
    /// As [`cli_json`](Self::cli_json).
    pub async fn describe_workflow_json(&self, workflow_id: &str) -> Result<Value, DevServerError> {
        self.cli_json(["workflow", "describe", "--workflow-id", workflow_id]).await
    }

    /// The history of a workflow execution of the namespace `default`, as the CLI's JSON.
    ///
    /// # Errors
    ///
    /// As [`cli_json`](Self::cli_json).
    pub async fn show_workflow_json(&self, workflow_id: &str) -> Result<Value, DevServerError> {
        self.cli_json(["workflow", "show", "--workflow-id", workflow_id]).await
    }
}

/// Whether a refusal to make a version current may pass once its worker has polled.
fn may_pass(stderr: &str) -> bool {
    let stderr = stderr.to_ascii_lowercase();
    let passing = ["no worker deployment found", "not found", "no pollers", "missing"];
    passing.iter().any(|text| stderr.contains(text))
}

/// The command's name: values are left out, as they may be secret.
fn first_words(args: &[OsString]) -> String {
    let words = args.iter().map(|arg| arg.to_string_lossy());
    let words: Vec<_> = words.take_while(|word| !word.starts_with('-')).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_command_without_its_values() {
        let args = ["workflow", "start", "--input", "secret"].map(OsString::from);
        assert_eq!(first_words(&args), "workflow start");
    }
}
