//! A fraction of a core, as small functions have it: a cgroup with a quota for each environment.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::rows::Share;

/// The length of a period, in microseconds.
const PERIOD: u32 = 20_000;

/// A share of a core for each environment, in a cgroup of its own. They are removed when this is dropped.
#[derive(Debug)]
pub(super) struct Fraction {
    /// What their folders' names begin with.
    prefix: PathBuf,
    /// A file of each, and what is written to it.
    quota: Vec<(&'static str, String)>,
}

impl Fraction {
    /// This share of a core; `None` for a whole one, which takes no cgroup.
    ///
    /// # Errors
    ///
    /// Why there can be none, in words.
    pub(super) fn of(share: Share) -> Result<Option<Self>, String> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let (parts, number) = (share.parts(), NUMBER.fetch_add(1, Ordering::Relaxed));
        if share == Share::Whole {
            return Ok(None);
        }
        let own = PERIOD / parts;
        let root = Path::new("/sys/fs/cgroup");
        let version_1 = root.join("cpu");
        let (parent, quota) = if version_1.is_dir() {
            let period = ("cpu.cfs_period_us", PERIOD.to_string());
            (version_1, vec![period, ("cpu.cfs_quota_us", own.to_string())])
        } else {
            let controllers = fs::read_to_string(root.join("cgroup.subtree_control"));
            if !controllers.is_ok_and(|it| it.split_whitespace().any(|it| it == "cpu")) {
                return Err("there is no cgroup controller `cpu` on this machine".to_owned());
            }
            (root.to_owned(), vec![("cpu.max", format!("{own} {PERIOD}"))])
        };
        let name = format!("temporal-lambda-bench-{}-{number}-", std::process::id());
        let fraction = Self { prefix: parent.join(name), quota };
        let trial = fraction.prefix.with_extension("trial");
        let try_it = || -> io::Result<()> {
            fs::create_dir(&trial)?;
            fraction.quota.iter().try_for_each(|(file, value)| fs::write(trial.join(file), value))
        };
        let tried = try_it();
        let _ = fs::remove_dir(&trial);
        tried.map_err(|error| format!("a cgroup cannot be made: {error}; it takes root"))?;
        Ok(Some(fraction))
    }

    /// The command that makes a cgroup, enters it, and runs the function's command, which follows as arguments.
    pub(super) fn command(&self) -> Vec<String> {
        let write = |(file, value): &(&str, String)| format!(r#"echo "{value}" > "$it/{file}""#);
        let quota: Vec<_> = self.quota.iter().map(write).collect();
        let script = format!(
            r#"it="$0$$" && mkdir "$it" && {} && echo $$ > "$it/cgroup.procs" && exec "$@""#,
            quota.join(" && ")
        );
        vec!["sh".to_owned(), "-c".to_owned(), script, self.prefix.display().to_string()]
    }
}

impl Drop for Fraction {
    fn drop(&mut self) {
        let (Some(parent), Some(name)) = (self.prefix.parent(), self.prefix.file_name()) else {
            return;
        };
        let Ok(folders) = fs::read_dir(parent) else { return };
        let begins = |it: &fs::DirEntry| {
            it.file_name().to_string_lossy().starts_with(&*name.to_string_lossy())
        };
        for folder in folders.flatten().filter(begins) {
            // Of an environment whose process is still about to end, the group remains, and is empty.
            let _ = fs::remove_dir(folder.path());
        }
    }
}
