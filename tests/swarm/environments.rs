//! The environments of a swarm: one invocation after the other in each, with short pauses.

use std::{
    path::PathBuf,
    pin::pin,
    time::{Duration, SystemTime},
};

use temporal_lambda_testkit::lambda::{Environment, Function, FunctionConfig, Invocation};
use temporal_lambda_tests::World;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{random::Random, scenario::Trouble};

/// The function of the swarm.
const SWARMING: &str = env!("CARGO_BIN_EXE_swarming");
/// Where the one for Python is.
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/swarm");

/// The grace period of all functions: 1 s, so that a window of 8 s has 5 s for work.
const GRACE_SECONDS: u64 = 1;
/// Between two invocations of an environment, at most.
const GAP: Duration = Duration::from_millis(600);
/// Where processes are killed or stand still: one invocation of so many is meant to be, and this long after its event,
/// at most.
const DISTURBED_ONE_OF: u64 = 3;
const DISTURBED_WITHIN: Duration = Duration::from_secs(6);
/// For how long a process stands still, at most. A buffer of 3 s has room for that.
const STILL: Duration = Duration::from_secs(1);

/// Whose worker it is.
#[derive(Clone)]
pub(crate) enum Program {
    Ours,
    /// Temporal's package for Python, which has no idle exit, with this interpreter.
    Python(PathBuf),
}

/// How the invocations of an environment are to end.
#[derive(Clone, Copy)]
enum Window {
    /// At the stop time of a function with this timeout.
    Deadline(Duration),
    /// After nothing was to be done for so long.
    Idle(Duration),
}

const WINDOWS: [Window; 4] = [
    Window::Deadline(Duration::from_secs(8)),
    Window::Deadline(Duration::from_secs(10)),
    Window::Idle(Duration::from_secs(2)),
    Window::Idle(Duration::from_millis(300)),
];

/// For Python, and for us beside it.
const PEER_WINDOWS: [Window; 4] = [
    Window::Deadline(Duration::from_secs(8)),
    Window::Deadline(Duration::from_secs(10)),
    Window::Deadline(Duration::from_secs(20)),
    Window::Deadline(Duration::from_secs(40)),
];

/// How an invocation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    Idle,
    Deadline,
    /// Its process was killed by the swarm.
    Killed,
    Failed,
}

/// An invocation that is over.
pub(crate) struct Invoked {
    pub(crate) function: String,
    pub(crate) request_id: String,
    pub(crate) exit: Exit,
    /// Whether its process stood still for a while, or was killed.
    pub(crate) is_disturbed: bool,
    pub(crate) began: SystemTime,
    pub(crate) ended: SystemTime,
    /// What it said, where it failed.
    pub(crate) error: Option<String>,
}

/// Adds the functions of a swarm to its world: one for each environment.
pub(crate) fn functions(world: &World, program: &Program, beside_a_peer: bool) -> Vec<Function> {
    let windows = if beside_a_peer { PEER_WINDOWS } else { WINDOWS };
    let with_number = windows.iter().zip(1..);
    with_number.map(|(window, number)| world.add(window.function(world, program, number))).collect()
}

impl Window {
    fn function(self, world: &World, program: &Program, number: usize) -> FunctionConfig {
        let name = match self {
            Self::Deadline(_) => format!("deadline-{number}"),
            Self::Idle(_) => format!("idle-{number}"),
        };
        let config = match program {
            Program::Ours => world.config(&name, SWARMING),
            Program::Python(python) => world
                .config(&name, &python.display().to_string())
                .args(["-m", "awslambdaric", "peer.handler"])
                .current_dir(PEER)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .env("SWARM_GRACE_SECONDS", GRACE_SECONDS.to_string()),
        };
        let config = config
            .concurrency(1)
            .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", format!("{GRACE_SECONDS}s"));
        match self {
            Self::Deadline(timeout) => config.timeout(timeout),
            Self::Idle(idle) => config
                .timeout(Duration::from_secs(60))
                .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", format!("{}ms", idle.as_millis()))
                .env("TEMPORAL_LAMBDA_MINIMUM_STAY", "500ms"),
        }
    }
}

/// Invokes a function again and again until `finished`, with such trouble for its process.
pub(crate) async fn roll(
    function: &Function,
    mut random: Random,
    trouble: Trouble,
    finished: &CancellationToken,
) -> Vec<Invoked> {
    let mut invoked = Vec::new();
    while !finished.is_cancelled() {
        let disturbs = matches!(trouble, Trouble::Kills | Trouble::Freezes);
        let is_meant = disturbs && random.below(DISTURBED_ONE_OF) == 0;
        let after = random.between(Duration::ZERO, DISTURBED_WITHIN);
        let still = random.between(Duration::ZERO, STILL);
        let began = SystemTime::now();
        let mut invoking = pin!(function.invoke("{}"));
        let (invocation, is_disturbed) = tokio::select! {
            invocation = &mut invoking => (invocation, false),
            () = sleep(after), if is_meant => {
                let environments = function.environments();
                let invocation = if trouble == Trouble::Kills {
                    environments.iter().for_each(Environment::kill);
                    invoking.await
                } else {
                    environments.iter().for_each(|it| drop(it.freeze()));
                    match timeout(still, &mut invoking).await {
                        // It had answered already, and stays frozen.
                        Ok(invocation) => invocation,
                        Err(_) => {
                            environments.iter().for_each(|it| drop(it.thaw()));
                            invoking.await
                        }
                    }
                };
                (invocation, true)
            }
        };
        let invocation = invocation.expect("the emulator runs");
        let is_killed = is_disturbed && trouble == Trouble::Kills;
        let exit = Exit::of(&invocation, is_killed);
        invoked.push(Invoked {
            function: function.name().to_owned(),
            request_id: invocation.request_id.clone(),
            exit,
            is_disturbed,
            began,
            ended: SystemTime::now(),
            error: (exit == Exit::Failed).then(|| invocation.outcome.to_string()),
        });
        sleep(random.between(Duration::ZERO, GAP)).await;
    }
    invoked
}

impl Exit {
    fn of(invocation: &Invocation, is_killed: bool) -> Self {
        // Python's package returns nothing.
        let report = invocation.json().unwrap_or_default();
        match report["reason"].as_str() {
            // It may have ended in the moment in which it was killed.
            _ if is_killed && !invocation.outcome.is_success() => Self::Killed,
            _ if !invocation.outcome.is_success() => Self::Failed,
            Some("idle") => Self::Idle,
            _ => Self::Deadline,
        }
    }
}
