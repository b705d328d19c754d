//! The command as a child process, and what it runs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use temporal_lambda_test_timing::{TimeLimit, test_timeout};
use temporal_lambda_testkit::server::{Temporal, connection_options};
use temporalio_client::{Client, UntypedWorkflow, UntypedWorkflowHandle, WorkflowStartOptions};
use temporalio_common::data_converters::{PayloadConverter, RawValue, TemporalSerializable};

/// The command, with no settings of whoever runs the tests.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_temporal-lambda"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"TEMPORAL_") && name != "TEMPORAL_CLI" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    let _limit = TimeLimit::of_this_test();
    command.output().unwrap()
}

/// The command's answer, as text.
pub(crate) fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// The `hello` function.
pub(crate) fn hello() -> PathBuf {
    example("hello")
}

/// An example's program. Built as one of the whole workspace, as `cargo test --workspace` does, its
/// dependencies have the features that they have already been compiled with.
pub(crate) fn example(name: &str) -> PathBuf {
    static BUILT: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let mut built = BUILT.get_or_init(build_examples).iter();
    built.find(|program| program.ends_with(name)).unwrap().clone()
}

/// Takes away what cargo says of this very package. With it, build scripts would find their
/// environment changed, and much would be compiled again.
pub(crate) fn without_package_variables(cargo: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b"CARGO_MANIFEST_") || bytes.starts_with(b"CARGO_PKG_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The folder that this workspace is built in.
pub(crate) fn target_folder() -> PathBuf {
    let command = Path::new(env!("CARGO_BIN_EXE_temporal-lambda"));
    command.ancestors().nth(2).unwrap().to_owned()
}

fn build_examples() -> Vec<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    without_package_variables(&mut cargo);
    let built = cargo
        .args(["build", "--locked", "--workspace"])
        .args(["--bin", "hello", "--bin", "crashing", "--bin", "quickstart", "--bin", "versions"])
        .args((!cfg!(debug_assertions)).then_some("--release"))
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(built.status.success(), "the examples could not be built");
    let messages = String::from_utf8(built.stdout).unwrap();
    let messages = messages.lines().filter_map(|line| {
        serde_json::from_str::<serde_json::Value>(line).ok()?["executable"].as_str().map(Into::into)
    });
    messages.collect()
}

/// A running command, and the lines that it writes.
pub(crate) struct Running {
    process: Process,
    lines: Receiver<String>,
    seen: Mutex<String>,
    _limit: TimeLimit,
}

/// A child process. Dropping it ends it in good order, so that it ends what it started.
pub(crate) struct Process(pub(crate) Child);

/// How long a test waits for what the server's Worker Controller has done: it calls a function when a task finds no poll, and
/// a busy server may take a poll that is over for one. Then it calls when it looks at the backlog, every 60 s.
pub(crate) fn patience() -> Duration {
    Duration::from_secs(60) + test_timeout()
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_within(TimeLimit::of_this_test(), command)
    }

    /// As [`start`](Self::start), for a test with a time limit of its own.
    pub(crate) fn start_within(limit: TimeLimit, command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        let errors = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            let _ = errors.send(text);
        });
        Self { process: Process(child), lines, seen: Mutex::default(), _limit: limit }
    }

    /// Waits for a line with this in it.
    pub(crate) fn line(&self, part: &str) -> String {
        self.line_after(part, patience())
    }

    /// Waits until there were so many lines with this in them, from the start.
    pub(crate) fn times(&self, part: &str, times: usize) {
        while self.seen().lines().filter(|line| line.contains(part)).count() < times {
            self.line("");
        }
    }

    /// Waits for so long for a line with this in it.
    pub(crate) fn line_after(&self, part: &str, patience: Duration) -> String {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.push_str(&line);
                    seen.push('\n');
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {part:?} in\n{}", self.seen()),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without {part:?}:\n{}", self.seen())
                }
            }
        }
    }

    /// What was read so far.
    pub(crate) fn seen(&self) -> String {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The processes that it has started and that run, by their parent in `/proc`.
    pub(crate) fn children(&self) -> Vec<u32> {
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = processes.filter_map(|it| it.file_name().to_str()?.parse().ok());
        pids.filter(|pid| parent(*pid) == Some(self.process.0.id())).collect()
    }

    /// Those of them that run this program.
    pub(crate) fn children_of(&self, program: &Path) -> Vec<u32> {
        let runs = |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        let mut children = self.children();
        children.retain(|pid| runs(pid).is_some_and(|it| it == program));
        children
    }

    /// Ctrl-C, and waits for the end.
    pub(crate) fn interrupt(&mut self) -> ExitStatus {
        self.process.signal(Signal::SIGINT);
        self.ended()
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        let status = self.process.ended_within(test_timeout());
        status.unwrap_or_else(|| panic!("it does not end:\n{}", self.seen()))
    }
}

impl Process {
    fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), signal);
    }

    fn ended_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.signal(Signal::SIGINT);
            if self.ended_within(Duration::from_secs(15)).is_none() {
                let _ = self.0.kill();
                let _ = self.0.wait();
            }
        }
    }
}

fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

pub(crate) fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

pub(crate) async fn client(address: &str) -> Client {
    let options = connection_options(address).unwrap();
    Temporal::connect(options).await.unwrap().client().clone()
}

/// Starts a workflow of the `hello` function.
pub(crate) async fn start(
    client: &Client,
    kind: &str,
    id: &str,
    input: &(impl TemporalSerializable + 'static),
) -> UntypedWorkflowHandle<Client> {
    start_on("hello", client, kind, id, input).await
}

/// Starts a workflow on a task queue.
pub(crate) async fn start_on(
    task_queue: &str,
    client: &Client,
    kind: &str,
    id: &str,
    input: &(impl TemporalSerializable + 'static),
) -> UntypedWorkflowHandle<Client> {
    let input = RawValue::from_value(input, &PayloadConverter::default());
    let options = WorkflowStartOptions::new(task_queue, id).build();
    client.start_workflow(UntypedWorkflow::new(kind), input, options).await.unwrap()
}
