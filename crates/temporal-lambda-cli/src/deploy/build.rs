//! The build: cargo lambda, or cargo itself for an emulator on this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::error::DeployError;
use super::package::Package;
use crate::cargo::CargoTarget;
use crate::error::CliError;

/// What is built, or was built before.
#[derive(clap::Args, Debug)]
pub(super) struct BuildArgs {
    /// A deployment package that is ready, in the place of a build.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["package", "bin", "include"])]
    zip: Option<PathBuf>,
    /// The package of the function, which cargo lambda builds with optimizations.
    #[arg(short, long)]
    package: Option<String>,
    /// The binary of the function. Default: the only one there is.
    #[arg(long)]
    pub(super) bin: Option<String>,
    /// The architecture to build for, and of the function: `arm64` or `x86_64`. Default: arm64; with --zip, and at an
    /// emulator on this machine: what the program is for.
    #[arg(long, value_name = "NAME", value_parser = ["arm64", "x86_64"])]
    arch: Option<String>,
    /// A file that is to stand beside the program, such as temporal.toml. May be given more than once.
    #[arg(long, value_name = "FILE")]
    include: Vec<PathBuf>,
}

impl BuildArgs {
    /// The package, built if need be, and its architecture. Functions of an emulator on this machine are built by cargo
    /// alone, as `temporal-lambda dev` builds them.
    pub(super) async fn package(&self, is_local: bool) -> Result<(Package, String), CliError> {
        let arch = self.arch.as_deref();
        let package = match &self.zip {
            Some(zip) => Package::read(zip)?,
            None if is_local && arch.is_none() => {
                let target = CargoTarget {
                    package: self.package.clone(),
                    bin: self.bin.clone(),
                    ..CargoTarget::default()
                };
                Package::of(&target.build(false).await?.program, &self.include, true)?
            }
            None => self.cargo_lambda(arch.unwrap_or("arm64")).await?,
        };
        let architecture = package.architecture(arch)?;
        Ok((package, architecture))
    }

    async fn cargo_lambda(&self, arch: &str) -> Result<Package, CliError> {
        let made = tempfile::tempdir().map_err(CliError::Folder)?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["lambda", "build", "--release", "--lambda-dir"]).arg(made.path());
        command.arg(if arch == "arm64" { "--arm64" } else { "--x86-64" });
        for (flag, value) in [("--package", &self.package), ("--bin", &self.bin)] {
            if let Some(value) = value {
                command.args([flag, value]);
            }
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        let status = command.status().await.map_err(CliError::NoCargo)?;
        // What cargo says of a subcommand that it does not have.
        if status.code() == Some(101) && !has_cargo_lambda() {
            let reason = "cargo has no subcommand `lambda`".to_owned();
            return Err(DeployError::NoCargoLambda { reason }.into());
        }
        if !status.success() {
            return Err(CliError::Build { what: "the function".to_owned() });
        }
        Ok(Package::of(&program(made.path())?, &self.include, false)?)
    }
}

/// The one program that cargo lambda has made.
fn program(folder: &Path) -> Result<PathBuf, CliError> {
    let entries = std::fs::read_dir(folder).map_err(CliError::Folder)?;
    let programs = entries.filter_map(|it| Some(it.ok()?.path().join("bootstrap")));
    let mut programs: Vec<_> = programs.filter(|it| it.is_file()).collect();
    match (programs.pop(), programs.is_empty()) {
        (Some(program), true) => Ok(program),
        (last, _) => {
            programs.extend(last);
            let name =
                |it: &PathBuf| it.parent()?.file_name().map(|it| it.to_string_lossy().into_owned());
            let names: Vec<_> = programs.iter().filter_map(name).collect();
            Err(DeployError::Programs { made: names.len(), names: names.join(", ") }.into())
        }
    }
}

fn has_cargo_lambda() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("cargo-lambda").is_file())
}
