//! Sources, looked at once a second.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cargo::{Built, CargoTarget};
use crate::error::CliError;

const LOOK: Duration = Duration::from_secs(1);

/// The sources of a package, and the program that cargo makes of them.
#[derive(Debug)]
pub(super) struct Sources {
    target: CargoTarget,
    folder: PathBuf,
    seen: Snapshot,
    /// When the program was last built.
    built: Option<SystemTime>,
}

type Snapshot = BTreeMap<PathBuf, SystemTime>;

impl Sources {
    /// The sources that were just built.
    pub(super) fn new(target: CargoTarget, built: &Built) -> Result<Self, CliError> {
        let folder = built.manifest.parent().unwrap_or(Path::new(".")).to_owned();
        let seen = snapshot(&folder).map_err(CliError::Folder)?;
        Ok(Self { target, folder, seen, built: modified(&built.program) })
    }

    /// Waits until something changed, and has not changed any further for a second.
    pub(super) async fn changed(&mut self) {
        let mut changing = false;
        loop {
            tokio::time::sleep(LOOK).await;
            // A file may vanish while it is looked at; the next look tells.
            let Ok(now) = snapshot(&self.folder) else { continue };
            if now != self.seen {
                self.seen = now;
                changing = true;
            } else if changing {
                return;
            }
        }
    }

    /// Builds the program: where it is, or `None` when it is the same as before.
    pub(super) async fn build(&mut self) -> Result<Option<PathBuf>, CliError> {
        let built = self.target.build(true).await?;
        let when = modified(&built.program);
        if when.is_some() && when == self.built {
            return Ok(None);
        }
        self.built = when;
        Ok(Some(built.program))
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|it| it.modified()).ok()
}

/// When each source was last changed.
fn snapshot(folder: &Path) -> std::io::Result<Snapshot> {
    let mut files = Snapshot::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = entry.file_type()?;
            if kind.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(entry.path());
            } else if kind.is_file() && (name.ends_with(".rs") || name == "Cargo.toml") {
                files.insert(entry.path(), entry.metadata()?.modified()?);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn sources_are_rust_files_and_manifests() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("src")).unwrap();
        std::fs::create_dir_all(root.join("target")).unwrap();
        for file in ["Cargo.toml", "src/main.rs", "src/notes.txt", "target/made.rs"] {
            std::fs::write(root.join(file), "").unwrap();
        }
        let files: Vec<_> = snapshot(root).unwrap().into_keys().collect();
        assert_eq!(files, [root.join("Cargo.toml"), root.join("src/main.rs")]);
    }
}
