//! A fraction of a core, as small functions have it: a cgroup with a quota.
//!
//! Lambda gives a core to 1,769 MB: a fourteenth of it to 128 MB, a seventh to 256 MB.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The length of a period, in microseconds.
const PERIOD: u32 = 20_000;

/// A cgroup that is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Fraction {
    folder: PathBuf,
}

impl Fraction {
    /// Makes one of a whole that is divided by `parts`.
    ///
    /// # Errors
    ///
    /// Why there can be none, in words.
    pub(super) fn new(name: &str, parts: u32) -> Result<Self, String> {
        let own = PERIOD / parts;
        let root = Path::new("/sys/fs/cgroup");
        let version_1 = root.join("cpu");
        let (parent, quota): (_, [(&str, String); 2]) = if version_1.is_dir() {
            let quota =
                [("cpu.cfs_period_us", PERIOD.to_string()), ("cpu.cfs_quota_us", own.to_string())];
            (version_1, quota)
        } else {
            let controllers = fs::read_to_string(root.join("cgroup.subtree_control"));
            if !controllers.is_ok_and(|it| it.split_whitespace().any(|it| it == "cpu")) {
                return Err("there is no cgroup controller `cpu` on this machine".to_owned());
            }
            let quota = [("cpu.max", format!("{own} {PERIOD}")), ("cpu.weight", "100".to_owned())];
            (root.to_owned(), quota)
        };
        let folder =
            parent.join(format!("temporal-lambda-bench-{}-{name}-{parts}", std::process::id()));
        let make = || -> io::Result<Self> {
            fs::create_dir(&folder)?;
            let fraction = Self { folder: folder.clone() };
            for (file, value) in quota {
                fs::write(folder.join(file), value)?;
            }
            Ok(fraction)
        };
        make().map_err(|error| format!("a cgroup cannot be made: {error}; it takes root"))
    }

    /// The file that a process writes its ID to, to be in it.
    pub(super) fn procs(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }
}

impl Drop for Fraction {
    fn drop(&mut self) {
        // Of a function whose process is still about to end, the group remains, and is empty.
        let _ = fs::remove_dir(&self.folder);
    }
}
