//! The two other SDKs and the S3 server, brought from PyPI and npm at the versions that their files
//! pin, into a folder under Cargo's target folder. Brought once; each test process then finds them.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const PYTHON: [(&str, &str); 3] = [
    ("requirements.txt", include_str!("peers/python/requirements.txt")),
    ("s3_server.py", include_str!("peers/python/s3_server.py")),
    ("peer.py", include_str!("peers/python/peer.py")),
];
const TYPESCRIPT: [(&str, &str); 4] = [
    ("package.json", include_str!("peers/typescript/package.json")),
    ("package-lock.json", include_str!("peers/typescript/package-lock.json")),
    ("workflows.js", include_str!("peers/typescript/workflows.js")),
    ("peer.js", include_str!("peers/typescript/peer.js")),
];

/// The folder with the Python scripts, and in it the virtual environment `venv`.
pub(crate) fn python() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        brought("python", &PYTHON, |folder| {
            run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")));
            run(Command::new(folder.join("venv/bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--no-input", "--no-deps", "--requirement"])
                .arg(folder.join("requirements.txt")));
        })
    })
}

/// The folder with the TypeScript peer and its modules.
pub(crate) fn typescript() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        brought("typescript", &TYPESCRIPT, |folder| {
            run(Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
                .current_dir(folder));
        })
    })
}

/// A folder with `files` that `bring` has completed. Its name depends on the files, so that changed
/// ones are brought anew. One process at a time brings it; the others wait and find it.
fn brought(kind: &str, files: &[(&str, &str)], bring: impl FnOnce(&Path)) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    let parent = target_folder().join("s3-peers");
    let folder = parent.join(format!("{kind}-{:016x}", hasher.finish()));
    let complete = folder.join(".complete");
    fs::create_dir_all(&parent).expect("the target folder can be written to");
    let lock = File::create(parent.join(format!(".{kind}.lock"))).expect("a lock file");
    lock.lock().expect("the lock");
    if complete.exists() {
        return folder;
    }
    // What an interrupted run left is not to be trusted.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    for (name, content) in files {
        fs::write(folder.join(name), content).expect("a file");
    }
    eprintln!("bringing what the S3 tests need of {kind} into {} ...", folder.display());
    bring(&folder);
    File::create(complete).expect("a file");
    folder
}

fn target_folder() -> PathBuf {
    let exe = env::current_exe().expect("a test knows its path");
    let above = exe.ancestors().find(|folder| folder.file_name().is_some_and(|it| it == "target"));
    match env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => folder.into(),
        None => above.expect("cargo builds tests under target").to_owned(),
    }
}

/// Runs a command, and once more if it fails: a registry may have a bad moment.
fn run(command: &mut Command) {
    let mut run = || {
        let output = command.stdin(Stdio::null()).output();
        output.unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"))
    };
    let first = run();
    let output = if first.status.success() { first } else { run() };
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
