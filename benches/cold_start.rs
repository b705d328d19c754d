//! Cold start, side by side with Python: from the start of the process to the first `/next`, and
//! to a workflow that is done, on a real server, through the same emulator.
//!
//! The peer is Temporal's Python SDK with its Lambda worker and AWS's runtime client, brought from
//! PyPI into a venv under `target/`. Run with `cargo bench -p temporal-lambda-benches --bench
//! cold_start`; the release build takes minutes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use temporal_lambda_benches::{median, millis, print_table};
use temporal_lambda_testkit::lambda::{EnvEvent, Function, FunctionConfig, LambdaEmulator};
use temporal_lambda_testkit::server::DevServer;
use temporal_lambda_tests::Temporal;
use temporal_lambda_tests::temporal::Version;

const ROUNDS: usize = 7;
const BUILD_ID: &str = "1";
/// Python polls until the deadline less 7 s, whatever there is to do: 2 s are left for work.
const TIMEOUT: Duration = Duration::from_secs(9);
const PEER: [&str; 2] = ["temporalio==1.35.0", "awslambdaric"];

struct Measured {
    init: Duration,
    done: Duration,
    memory_kb: u64,
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` and `cargo bench -- --test` only want to know that this builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let server = DevServer::start().await.expect("the dev server starts");
    let lambda = LambdaEmulator::start().await.expect("the emulator starts");
    let temporal = Temporal::connect(&server.address()).await;

    let program = Path::new(env!("CARGO_BIN_EXE_hello-under-bench"));
    let rust = measure(&lambda, &temporal, &server, "rust", program, &[]).await;
    let arguments = ["-m", "awslambdaric", "peers.handler"];
    let python = measure(&lambda, &temporal, &server, "python", &peer(), &arguments).await;

    let ratio = |one: Duration, other: Duration| {
        format!("{:.1} x", other.as_secs_f64() / one.as_secs_f64())
    };
    let row = |name: &str, it: &Measured| {
        let memory = format!("{:.1}", it.memory_kb as f64 / 1024.0);
        vec![name.to_owned(), millis(it.init), millis(it.done), memory]
    };
    let mut last = vec!["Python / Rust".to_owned()];
    last.push(ratio(rust.init, python.init));
    last.push(ratio(rust.done, python.done));
    last.push(format!("{:.1} x", python.memory_kb as f64 / rust.memory_kb as f64));
    let head = [
        "cold start, median",
        "spawn to first /next, ms",
        "spawn to workflow done, ms",
        "peak memory, MB",
    ];
    print_table(&head, vec![row("Rust", &rust), row("Python 1.35", &python), last]);
}

async fn measure(
    lambda: &LambdaEmulator,
    temporal: &Temporal,
    server: &DevServer,
    language: &str,
    program: &Path,
    arguments: &[&str],
) -> Measured {
    // A deployment and a task queue of its own, whatever ran on this server before.
    let name = format!("bench-{language}");
    let config = FunctionConfig::process(language, program)
        .args(arguments.iter().copied())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .timeout(TIMEOUT)
        .max_retry_attempts(0)
        .env("TEMPORAL_ADDRESS", server.address())
        .env("TEMPORAL_TASK_QUEUE", &name)
        .env("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", &name)
        .env("TEMPORAL_LAMBDA_BUILD_ID", BUILD_ID)
        // Python would write the bytecode of the peer beside its source.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("BENCH_DEPLOYMENT", &name)
        .env("BENCH_BUILD_ID", BUILD_ID);
    let function = lambda.add_function(config).expect("a function");
    let version = Version { deployment: &name, build_id: BUILD_ID, task_queue: &name };
    temporal.make_current(version).await;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        eprintln!("{}: round {} of {ROUNDS}", function.name(), round + 1);
        rounds.push(cold(&function, temporal, &name, round).await);
    }
    Measured {
        init: median(rounds.iter().map(|it| it.init).collect()),
        done: median(rounds.iter().map(|it| it.done).collect()),
        memory_kb: rounds.iter().map(|it| it.memory_kb).max().unwrap_or_default(),
    }
}

/// One cold start: the workflow waits already, a new process is started for it, and ends with it.
async fn cold(function: &Function, temporal: &Temporal, queue: &str, round: usize) -> Measured {
    let id = format!("{queue}-{round}");
    temporal.start(queue, &id, "HelloWorkflow", "World").await;
    let invoked = async {
        let invocation = function.invoke("").await.expect("an invocation");
        assert!(invocation.outcome.is_success(), "{}", invocation.log_text());
        invocation
    };
    let done = async {
        temporal.result(&id).await;
        Instant::now()
    };
    let (invocation, done) = tokio::join!(invoked, done);
    let environment = function.environment(&invocation.environment).expect("its environment");
    let at = |wanted: fn(&EnvEvent) -> bool| {
        let timeline = environment.timeline();
        let found = timeline.iter().find(|(_, event)| wanted(event));
        found.map(|(at, _)| *at).expect("it happened")
    };
    let spawned = at(|event| matches!(event, EnvEvent::Spawned));
    let ready = at(|event| matches!(event, EnvEvent::Ready));
    environment.kill();
    Measured {
        init: ready - spawned,
        done: done - spawned,
        memory_kb: invocation.max_memory_kb.unwrap_or_default(),
    }
}

/// A Python with the peer in it.
fn peer() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/python");
    let python = folder.join("bin/python");
    if !folder.join("complete").exists() {
        eprintln!("fetching the Python peer ({}) ...", PEER.join(", "));
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PEER));
        std::fs::write(folder.join("complete"), "").expect("the folder can be written to");
    }
    python
}

fn run(command: &mut Command) {
    let status = command.status().expect("python3 with venv and pip is installed");
    assert!(status.success(), "{command:?} failed");
}
