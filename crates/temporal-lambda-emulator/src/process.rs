//! What the kernel says about a process: threads, file descriptors, memory.

use thiserror::Error;

/// A reading of one process, taken from `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessStats {
    /// Threads that the process has now.
    pub threads: u64,
    /// File descriptors that the process has open now.
    pub fds: u64,
    /// Resident memory now, in kibibytes (`VmRSS`).
    pub rss_kb: u64,
    /// The largest resident memory so far, in kibibytes (`VmHWM`).
    pub peak_rss_kb: u64,
}

/// Why a process could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProcessStatsError {
    /// The platform has no `/proc`.
    #[error(
        "process statistics are read from /proc, which only Linux has; run this check on Linux"
    )]
    NotLinux,
    /// The process is gone, or belongs to somebody else.
    #[error("process {pid} cannot be read: {source}; it has ended or belongs to another user")]
    Unreadable {
        /// The process that was asked for.
        pid: u32,
        /// What the system said.
        source: std::io::Error,
    },
    /// The process has ended and only waits to be collected, so it has no memory left to report.
    #[error("process {pid} has ended (its status has no {field} line); read it while it runs")]
    Ended {
        /// The process that was asked for.
        pid: u32,
        /// The line that was missing.
        field: &'static str,
    },
}

impl ProcessStats {
    /// Reads the process `pid` as it is now.
    ///
    /// # Errors
    ///
    /// [`ProcessStatsError`] when there is no `/proc` or the process cannot be read.
    pub fn of(pid: u32) -> Result<Self, ProcessStatsError> {
        if !cfg!(target_os = "linux") {
            return Err(ProcessStatsError::NotLinux);
        }
        let unreadable = |source| ProcessStatsError::Unreadable { pid, source };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(unreadable)?;
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).map_err(unreadable)?;
        let number = |name: &'static str| {
            field(&status, name).ok_or(ProcessStatsError::Ended { pid, field: name })
        };
        Ok(Self {
            threads: number("Threads")?,
            fds: fds.count() as u64,
            rss_kb: number("VmRSS")?,
            peak_rss_kb: number("VmHWM")?,
        })
    }

    /// Reads this very process.
    ///
    /// # Errors
    ///
    /// As [`ProcessStats::of`].
    pub fn of_self() -> Result<Self, ProcessStatsError> {
        Self::of(std::process::id())
    }
}

/// The peak memory of `pid` in kibibytes, when there is something to read.
pub(crate) fn peak_rss_kb(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    field(&status, "VmHWM")
}

fn field(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| {
        line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok()
    })
}
