//! From source: the build by cargo lambda, from PyPI.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use temporal_lambda_test_timing::TimeLimit;

use super::cloud::Cloud;
use crate::support::{example, run, text};

const CARGO_LAMBDA: &str = "cargo-lambda==1.9.2";

/// The folder with cargo's subcommand, brought by whoever is the first to need it.
fn cargo_lambda() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cargo-lambda");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let complete = folder.join("complete");
    if std::fs::read_to_string(&complete).is_ok_and(|it| it == CARGO_LAMBDA) {
        return folder.join("bin");
    }
    let made = run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    assert!(made.status.success(), "{}", text(&made));
    let mut pip = Command::new(folder.join("bin/python"));
    // What it depends on is a C compiler for other machines.
    let brought = run(pip.args(["-m", "pip", "install", "--quiet", "--no-deps", CARGO_LAMBDA]));
    assert!(brought.status.success(), "{}", text(&brought));
    std::fs::write(complete, CARGO_LAMBDA).unwrap();
    folder.join("bin")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_built_by_cargo_lambda_and_deployed_and_an_unchanged_one_makes_no_version() {
    let cloud = Cloud::start(TimeLimit::of_this_test()).await;
    let tool = tokio::task::spawn_blocking(cargo_lambda).await.unwrap();
    let program = tokio::task::spawn_blocking(|| example("versions")).await.unwrap();
    // Its program becomes the example, so that there is next to nothing to compile.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    let manifest = "[package]\nname = \"from-source\"\nedition = \"2024\"\n[workspace]\n";
    std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    let source = format!(
        "use std::os::unix::process::CommandExt as _;\n\
         fn main() {{ panic!(\"{{}}\", std::process::Command::new({program:?}).exec()) }}\n"
    );
    std::fs::write(folder.path().join("src/main.rs"), source).unwrap();
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let deploy = || {
        let mut command = cloud.command("deploy", "from-source");
        command.args(["--arch", arch, "--env", "TEMPORAL_LAMBDA_IDLE_TIMEOUT=300ms"]);
        let path = format!("{}:{}", tool.display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).current_dir(&folder);
        // For this very machine no other compiler is needed.
        command.env("CARGO_LAMBDA_COMPILER", "cargo");
        command.env("CARGO_TARGET_DIR", folder.path().join("target"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_") {
                command.env_remove(name);
            }
        }
        command
    };
    let told = cloud.succeeds(deploy()).await;
    assert!(told.contains("from-source:1 is current"), "{told}");
    let mut again = deploy();
    again.arg("--dry-run");
    let again = cloud.succeeds(again).await;
    assert!(again.contains("0 steps"), "{again}");
}
