//! The server's process: its port, its log, its end.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::{builder::DevServerBuilder, error::DevServerError};

/// How much of the log an error shows.
const TAIL: u64 = 4096;
/// How long the server may take to end in good order. It flushes its database meanwhile.
const GRACE: Duration = Duration::from_secs(10);
/// How often a server is looked at that is starting or ending.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// A loopback port that was free a moment ago. Nothing keeps it so.
pub(super) fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

/// A running server. Dropping it kills the process and waits for its end, so that its port is
/// free again.
#[derive(Debug)]
pub(super) struct ServerProcess {
    child: Child,
    pub(super) port: u16,
    pub(super) ui_port: Option<u16>,
    folder: TempDir,
}

impl ServerProcess {
    pub(super) fn spawn(
        cli: &Path,
        settings: &DevServerBuilder,
        port: u16,
    ) -> Result<Self, DevServerError> {
        let folder = tempfile::tempdir()
            .map_err(|source| DevServerError::Folder { path: std::env::temp_dir(), source })?;
        let log_file = folder.path().join("server.log");
        let unusable = |source| DevServerError::Folder { path: log_file.clone(), source };
        let log = File::create(&log_file).map_err(unusable)?;
        let ui_port = settings.ui.then(free_port).transpose();
        let ui_port = ui_port.map_err(DevServerError::Port)?;
        let mut command = without_temporal_variables(Command::new(cli));
        command
            .args(["server", "start-dev", "--ip", "127.0.0.1"])
            .args(["--port", &port.to_string()])
            .args(["--log-level", &settings.log_level]);
        match ui_port {
            Some(ui_port) => command.args(["--ui-port", &ui_port.to_string()]),
            None => command.arg("--headless"),
        };
        if let Some(file) = &settings.db_filename {
            command.arg("--db-filename").arg(file);
        }
        for namespace in &settings.namespaces {
            command.args(["--namespace", namespace]);
        }
        for (name, kind) in &settings.search_attributes {
            command.args(["--search-attribute", &format!("{name}={kind}")]);
        }
        for (key, value) in &settings.dynamic_config {
            command.args(["--dynamic-config-value", &format!("{key}={value}")]);
        }
        let child = command
            .envs(settings.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(unusable)?)
            .stderr(log)
            .spawn()
            .map_err(|error| DevServerError::NoSuchCli {
                path: cli.to_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self { child, port, ui_port, folder })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, once it ended.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The last 4 KiB of its log, from a line's start.
    pub(super) fn log_tail(&self) -> String {
        let read = || {
            let mut file = File::open(self.folder.path().join("server.log"))?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Ok::<_, io::Error>(match text.split_once('\n') {
                Some((_, whole_lines)) if length > TAIL => whole_lines.to_owned(),
                _ => text,
            })
        };
        read().unwrap_or_else(|error| format!("(its log cannot be read: {error})"))
    }

    /// Ends it in good order, and by force when that takes too long.
    pub(super) async fn stop(mut self) {
        if self.ended().is_none() {
            // Not yet collected, so the number is still this process's.
            let _ = kill(Pid::from_raw(self.pid().cast_signed()), Signal::SIGTERM);
        }
        let began = Instant::now();
        while self.ended().is_none() && began.elapsed() < GRACE {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Both fail only when it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `command` without the user's own `TEMPORAL_*` variables, which would send it to another server.
pub(super) fn without_temporal_variables(mut command: Command) -> Command {
    for (key, _) in std::env::vars_os() {
        if key.as_encoded_bytes().starts_with(b"TEMPORAL_") {
            command.env_remove(key);
        }
    }
    command
}
