//! An emulator as a child process.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use temporal_lambda_test_timing::within;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A child process, the lines that it writes, and all that it starts. Dropping it ends them.
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    lines: UnboundedReceiver<String>,
    seen: Arc<Mutex<String>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what it starts can be ended with it.
        let mut child = command.process_group(0).spawn().unwrap_or_else(|error| {
            panic!("{:?}: {error}", command.as_std().get_program());
        });
        let (sender, lines) = unbounded_channel();
        let seen = Arc::new(Mutex::new(String::new()));
        read(child.stdout.take().unwrap(), seen.clone(), sender.clone());
        read(child.stderr.take().unwrap(), seen.clone(), sender);
        Self { stdin: child.stdin.take().unwrap(), child, lines, seen }
    }

    /// Waits for a line that starts with this: the rest of it.
    pub(crate) async fn line(&mut self, start: &str) -> String {
        let found = async {
            while let Some(line) = self.lines.recv().await {
                if let Some(rest) = line.strip_prefix(start) {
                    return rest.to_owned();
                }
            }
            panic!("it ended without {start:?}:\n{}", self.seen.lock().unwrap());
        };
        within(format!("a line that starts with {start:?}"), found).await
    }

    /// Writes a line to its standard input.
    pub(crate) async fn say(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// What it wrote so far.
    pub(crate) fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the emulator wrote:\n{}", self.seen());
        }
        if let Some(pid) = self.child.id() {
            // Functions may be stopped, and then only this ends them.
            let _ = std::process::Command::new("kill")
                .args(["-KILL", "--", &format!("-{pid}")])
                .status();
        }
    }
}

fn read(
    stream: impl AsyncRead + Send + Unpin + 'static,
    seen: Arc<Mutex<String>>,
    sender: UnboundedSender<String>,
) {
    let mut lines = BufReader::new(stream).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let mut seen = seen.lock().unwrap();
            seen.push_str(&line);
            seen.push('\n');
            drop(seen);
            let _ = sender.send(line);
        }
    });
}
