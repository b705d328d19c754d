//! Stands in for the Worker Controller of a server whose own cannot reach this emulator.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use temporal_lambda_testkit::lambda::Function;
use temporal_lambda_testkit::server::Deployment;

use crate::error::CliError;
use crate::show::event_log::report;

/// How often backlogs are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long a backlog may stand before another environment is called for it.
const SCALE_OUT_AFTER: Duration = Duration::from_secs(1);
/// How old the server's statistics may be. A backlog that an invocation found empty is not
/// believed for so long.
const STALE: Duration = Duration::from_secs(6);

/// What a function gets that the server's own controller calls: it sends nothing, and Lambda makes this of it.
const NO_PAYLOAD: &str = "{}";

type Functions = Arc<Mutex<Vec<Watched>>>;

/// Invokes functions whose versions have a backlog. Dropping it ends that.
pub(super) struct Controller {
    functions: Functions,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Watched {
    build_id: String,
    function: Function,
    invoked: Instant,
}

impl Controller {
    /// Looks after the versions of a deployment, of which each may run so many at once.
    pub(super) fn start(deployment: Deployment, concurrency: usize) -> Self {
        let functions = Functions::default();
        let task = tokio::spawn(look_after(deployment, functions.clone(), concurrency));
        Self { functions, task }
    }

    /// Calls the function for the first time, and looks after its version from now on.
    pub(super) fn add(&self, build_id: &str, function: Function) -> Result<(), CliError> {
        function.invoke_event(NO_PAYLOAD)?;
        let watched = Watched { build_id: build_id.to_owned(), function, invoked: Instant::now() };
        self.functions.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
        Ok(())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look_after(deployment: Deployment, functions: Functions, concurrency: usize) {
    loop {
        tokio::time::sleep(LOOK).await;
        let watched = functions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (index, it) in watched.into_iter().enumerate() {
            let running = it.function.unfinished();
            let wait = match running {
                0 if found_nothing(&it.function) => STALE,
                0 => Duration::ZERO,
                _ => SCALE_OUT_AFTER,
            };
            let due = it.invoked.elapsed() >= wait;
            if running >= concurrency || !due {
                continue;
            }
            // A server that does not answer has no backlog that could be worked off.
            let version = deployment.describe_version(&it.build_id).await.ok().flatten();
            let queues = version.map(|version| version.version_task_queues).unwrap_or_default();
            let stats: Vec<_> = queues.into_iter().filter_map(|queue| queue.stats).collect();
            let backlog = stats.iter().any(|stats| stats.approximate_backlog_count > 0);
            if backlog && it.function.invoke_event(NO_PAYLOAD).is_ok() {
                let mut functions = functions.lock().unwrap_or_else(PoisonError::into_inner);
                functions[index].invoked = Instant::now();
            }
        }
    }
}

/// Whether the last invocation had nothing to do.
fn found_nothing(function: &Function) -> bool {
    let last = function.invocations().last().and_then(|last| report(last));
    last.is_some_and(|report| report.tasks.is_empty())
}
