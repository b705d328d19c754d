//! Running the Temporal CLI against a dev server.

use std::{
    ffi::{OsStr, OsString},
    process::{Command, Stdio},
};

use super::{DevServer, error::DevServerError, process::without_temporal_variables};

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
}

/// The command's name: values are left out, as they may be secret.
fn first_words(args: &[OsString]) -> String {
    let words = args.iter().map(|arg| arg.to_string_lossy());
    let words: Vec<_> = words.take_while(|word| !word.starts_with('-')).collect();
    words.join(" ")
}
