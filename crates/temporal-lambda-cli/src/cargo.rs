//! Building functions with cargo, its progress shown.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::error::CliError;

/// What cargo is asked to build in the current folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct CargoTarget {
    pub(crate) package: Option<String>,
    pub(crate) bin: Option<String>,
    pub(crate) example: Option<String>,
    pub(crate) release: bool,
}

/// What a build came to.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) program: PathBuf,
    /// The package's manifest.
    pub(crate) manifest: PathBuf,
}

impl CargoTarget {
    /// The target in words.
    pub(crate) fn name(&self) -> String {
        let package = self.package.as_ref().map(|name| format!("package {name}"));
        let bin = self.bin.as_ref().map(|name| format!("binary {name}"));
        let example = self.example.as_ref().map(|name| format!("example {name}"));
        let parts: Vec<_> = [bin, example, package].into_iter().flatten().collect();
        if parts.is_empty() { "this package".to_owned() } else { parts.join(" of ") }
    }

    /// Builds it. Cargo's messages go to this process's stderr; with `quiet`, only the failed
    /// build's do. Dropping the future ends cargo.
    pub(crate) async fn build(&self, quiet: bool) -> Result<Built, CliError> {
        let mut command = self.command();
        command.stderr(if quiet { Stdio::piped() } else { Stdio::inherit() });
        let mut child = command.spawn().map_err(CliError::NoCargo)?;
        let messages = tokio::spawn(collect(child.stderr.take()));
        let mut built = None;
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                built = executable(&line).or(built);
            }
        }
        let status = child.wait().await.map_err(CliError::NoCargo)?;
        if !status.success() {
            eprint!("{}", messages.await.unwrap_or_default());
            return Err(CliError::Build { what: self.name() });
        }
        built.ok_or_else(|| CliError::NoProgram { what: self.name() })
    }

    fn command(&self) -> Command {
        // Set when cargo runs this program: the same cargo then.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--message-format=json-render-diagnostics"]);
        let flags =
            [("--package", &self.package), ("--bin", &self.bin), ("--example", &self.example)];
        for (flag, value) in flags {
            if let Some(value) = value {
                command.args([flag, value]);
            }
        }
        if self.release {
            command.arg("--release");
        }
        for (name, _) in std::env::vars_os() {
            if is_of_a_package(&name) {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        command
    }
}

/// Whether a variable is what `cargo run` and `cargo test` say about the package that they run. To
/// build scripts that would be news, and half of the dependencies would be compiled again.
fn is_of_a_package(variable: &OsStr) -> bool {
    let families: [&[u8]; 3] = [b"CARGO_MANIFEST_", b"CARGO_PKG_", b"CARGO_BIN_"];
    let names = ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR", "OUT_DIR"];
    families.iter().any(|family| variable.as_encoded_bytes().starts_with(family))
        || names.iter().any(|name| variable == *name)
}

async fn collect(stderr: Option<tokio::process::ChildStderr>) -> String {
    let mut text = String::new();
    if let Some(mut stderr) = stderr {
        // What was read until it failed is as much as there is to show.
        let _ = tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut text).await;
    }
    text
}

/// The program that a message of cargo says it built.
fn executable(message: &str) -> Option<Built> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    Some(Built {
        program: message.get("executable")?.as_str()?.into(),
        manifest: message.get("manifest_path")?.as_str()?.into(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn cargo_names_the_program_it_built() {
        let message = r#"{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","executable":"/t/hello"}"#;
        assert_eq!(executable(message).unwrap().program, PathBuf::from("/t/hello"));
        assert!(executable(r#"{"reason":"compiler-artifact","executable":null}"#).is_none());
        assert!(executable("warning").is_none());
    }

    #[test]
    fn what_the_user_tells_cargo_is_kept() {
        for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_BIN_EXE_hello", "OUT_DIR"] {
            assert!(is_of_a_package(OsStr::new(name)), "{name}");
        }
        for name in ["CARGO", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_JOBS", "PATH"] {
            assert!(!is_of_a_package(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_target_is_named_in_words() {
        let target = CargoTarget {
            package: Some("p".to_owned()),
            bin: Some("b".to_owned()),
            ..CargoTarget::default()
        };
        assert_eq!(target.name(), "binary b of package p");
    }
}
