//! Brings the emulators, in the versions named here, into a folder under `target/`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const CARGO_LAMBDA: &str = "cargo-lambda==1.9.2";
const FUN: &str = "@vercel/fun@1.3.6";

/// The program of cargo-lambda.
pub(crate) fn cargo_lambda() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = brought("cargo-lambda", CARGO_LAMBDA, |folder| {
            run(Command::new("python3").args(["-m", "venv"]).arg(folder));
            let mut pip = Command::new(folder.join("bin/python"));
            // What it depends on is a C compiler for other machines.
            run(pip.args(["-m", "pip", "install", "--quiet", "--no-deps", CARGO_LAMBDA]));
        });
        folder.join("bin/cargo-lambda")
    })
}

/// The folder of the module `@vercel/fun`.
pub(crate) fn vercel_fun() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        let folder = brought("vercel-fun", FUN, |folder| {
            std::fs::create_dir_all(folder).unwrap();
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
            run(npm.arg(folder).arg(FUN));
        });
        folder.join("node_modules/@vercel/fun")
    })
}

/// The folder of a tool, brought by whoever is the first to need this version.
fn brought(name: &str, version: &str, bring: impl FnOnce(&Path)) -> PathBuf {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulators");
    std::fs::create_dir_all(&tools).unwrap();
    // Others may run these tests at the same time.
    let lock = File::create(tools.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let (folder, complete) = (tools.join(name), tools.join(format!("{name}.complete")));
    if std::fs::read_to_string(&complete).is_ok_and(|text| text == version) {
        return folder;
    }
    let _ = std::fs::remove_dir_all(&folder);
    eprintln!("fetching {version} ...");
    bring(&folder);
    std::fs::write(complete, version).unwrap();
    folder
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{said}");
}
