//! A server and an emulator to deploy to, and packages of the example `versions`.

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use temporal_lambda_test_timing::{TimeLimit, as_long_as_the_test};
use temporal_lambda_testkit::lambda::LambdaEmulator;
use temporal_lambda_testkit::server::{DevServer, Temporal};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::{command, example, text};

/// The task queue of the example.
pub(super) const TASK_QUEUE: &str = "approvals";

pub(super) struct Cloud {
    pub(super) lambda: LambdaEmulator,
    pub(super) temporal: Temporal,
    server: DevServer,
    endpoint: String,
    folder: tempfile::TempDir,
    _limit: TimeLimit,
}

impl Cloud {
    pub(super) async fn start(limit: TimeLimit) -> Self {
        let lambda = LambdaEmulator::start().await.unwrap();
        Self::around(limit, lambda).await
    }

    pub(super) async fn around(limit: TimeLimit, lambda: LambdaEmulator) -> Self {
        let endpoint = lambda.endpoint_url();
        Self::with(limit, lambda, endpoint).await
    }

    /// With another AWS than the emulator.
    pub(super) async fn at(limit: TimeLimit, endpoint: &str) -> Self {
        let unused = LambdaEmulator::start().await.unwrap();
        Self::with(limit, unused, endpoint.to_owned()).await
    }

    async fn with(limit: TimeLimit, lambda: LambdaEmulator, endpoint: String) -> Self {
        let server = DevServer::builder()
            .worker_controller(&endpoint)
            // How often it is looked whether a version is drained, and how long after its last traffic.
            .dynamic_config("matching.wv.VersionDrainageStatusRefreshInterval", "1s")
            .dynamic_config("matching.wv.VersionDrainageStatusVisibilityGracePeriod", "1s")
            // How long a poll counts as a poller, which keeps a version from being deleted.
            .dynamic_config("matching.PollerHistoryTTL", "1s")
            .start()
            .await
            .unwrap();
        let temporal = server.temporal().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { lambda, temporal, server, endpoint, folder, _limit: limit }
    }

    /// A package as cargo lambda makes it, whose program is the example. Another `content`, another package.
    pub(super) fn package(&self, content: &str) -> PathBuf {
        let file = self.folder.path().join(format!("{content}.zip"));
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let program = format!("#!/bin/sh\n# {content}\nexec {}\n", example("versions").display());
        zip.start_file("bootstrap", SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
        zip.write_all(program.as_bytes()).unwrap();
        std::fs::write(&file, zip.finish().unwrap().into_inner()).unwrap();
        file
    }

    /// One of the commands, for a function at this emulator and server.
    pub(super) fn command(&self, name: &str, function: &str) -> Command {
        let mut command = command();
        command.args([name, "--function", function, "--endpoint", &self.endpoint]);
        command.env("TEMPORAL_ADDRESS", self.server.address()).current_dir(&self.folder);
        for variable in ["AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"] {
            command.env_remove(variable);
        }
        command
    }

    pub(super) fn deploy(&self, function: &str, package: &Path) -> Command {
        let mut command = self.command("deploy", function);
        command.arg("--zip").arg(package).args(["--env", "TEMPORAL_LAMBDA_IDLE_TIMEOUT=300ms"]);
        command
    }

    /// Runs a command that has to succeed: what it says.
    pub(super) async fn succeeds(&self, command: Command) -> String {
        let output = self.run(command).await;
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    }

    /// Runs a command that has to fail: what it says.
    pub(super) async fn fails(&self, command: Command) -> String {
        let output = self.run(command).await;
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        text(&output)
    }

    async fn run(&self, command: Command) -> Output {
        let what = format!("{command:?}");
        let mut command = tokio::process::Command::from(command);
        as_long_as_the_test(what, command.kill_on_drop(true).output()).await.unwrap()
    }

    /// The published versions of a function that the emulator has.
    pub(super) fn published(&self, function: &str) -> Vec<String> {
        let functions = self.lambda.functions();
        let versions = functions.iter().filter(|it| it.name() == function);
        let arns = versions.map(|it| it.arn().to_owned());
        let numbers = arns.filter_map(|arn| arn.rsplit(':').next()?.parse::<u64>().ok());
        numbers.map(|it| it.to_string()).collect()
    }
}
