//! Where a worker's polls live, so that they end with it.

use std::future::{Future, poll_fn};
use std::pin::pin;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::task_tracker::TaskTrackerToken;

/// A runtime of one thread for the long polls of one worker. They end when this is dropped.
///
/// The SDK itself never drops a poll: it tells the server that the worker shuts down, and trusts
/// it to answer them. Where that message is lost, they would go on after their worker, each good
/// for a task that nobody will do.
pub(super) struct Polls(Option<Runtime>);

impl Polls {
    /// Starts the thread. `running` is held until the last poll has ended.
    pub(super) fn apart(running: TaskTrackerToken) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("temporal-lambda-polls")
            .enable_all()
            .build()?;
        runtime.spawn(async move {
            let _running = running;
            std::future::pending::<()>().await;
        });
        Ok(Self(Some(runtime)))
    }

    /// Polls among the SDK's other tasks, where nobody ends them.
    pub(super) fn among_others() -> Self {
        Self(None)
    }

    /// Runs `future` such that the tasks that it spawns are these polls.
    pub(super) async fn spawned_by<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _here = self.0.as_ref().map(Runtime::enter);
            future.as_mut().poll(context)
        })
        .await
    }
}

impl Drop for Polls {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Not a plain drop, which waits, and panics inside of another runtime.
            runtime.shutdown_background();
        }
    }
}
