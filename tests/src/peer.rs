//! Temporal's Python package and its Lambda worker, to compare with.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What is fetched.
const PACKAGES: [&str; 2] = ["temporalio==1.35.0", "awslambdaric"];

/// A Python with the packages in it: a venv under `target/`, which is made the first time. Blocks.
///
/// # Panics
/// Where python3 has no venv or pip, or the packages cannot be fetched.
pub fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/python");
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    if !complete.exists() {
        eprintln!("fetching the Python peer ({}) ...", PACKAGES.join(", "));
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES));
        std::fs::write(&complete, "").expect("the folder can be written to");
    }
    python
}

fn run(command: &mut Command) {
    let status = command.status().expect("python3 is installed");
    assert!(status.success(), "{command:?} failed");
}
