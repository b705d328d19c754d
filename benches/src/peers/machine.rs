//! What kind of machine this is, and how busy: nothing that says which one.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

/// Its processors and memory.
pub(super) fn class() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = cpus.lines().filter_map(|line| line.strip_prefix("model name"));
    let models: Vec<_> = models.map(|it| it.trim_start_matches([' ', '\t', ':'])).collect();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok());
    format!(
        "{} × {}, {:.0} GB of memory, {} on {}",
        std::thread::available_parallelism().map_or(1, usize::from),
        models.first().unwrap_or(&"an unknown processor"),
        memory.unwrap_or_default() / 1e6,
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}

/// The load average of the last minute.
pub(super) fn load() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or_default()
}

/// Today, in UTC.
pub(super) fn date() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}

/// What the Temporal CLI says of itself and of its server.
pub(super) fn server_version(cli: &Path) -> String {
    let output = Command::new(cli).arg("--version").output();
    let output = output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    output.unwrap_or_else(|error| error.to_string())
}
