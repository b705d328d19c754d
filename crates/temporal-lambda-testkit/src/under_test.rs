//! A user's own worker, made to talk to a mock frontend.

use std::time::Duration;

use temporal_lambda_worker::{
    BoxError, ConfigSource, LambdaWorker, LambdaWorkerConfig, LambdaWorkerError,
    LambdaWorkerHandler, RunningWorker, Shutdown, WorkerDeploymentVersion, async_trait,
};
use temporalio_client::ConnectionOptions;

use crate::frontend::MockFrontend;

/// A [`LambdaWorker`] as it is, but for where it connects to.
///
/// Its `configure` runs first; then the connection is replaced by one to the frontend. Neither the
/// process' environment nor `temporal.toml` is read. `on_start` and `on_shutdown` are the worker's own.
///
/// ```
/// use std::time::Duration;
/// use temporal_lambda_testkit::{UnderTest, context::TestContext, frontend::MockFrontend};
/// use temporal_lambda_worker::{BoxError, LambdaWorkerConfig, Reason};
/// # use temporalio_macros::activities;
/// # use temporalio_sdk::activities::{ActivityContext, ActivityError};
/// # struct Greetings;
/// # #[activities]
/// # impl Greetings {
/// #     #[activity]
/// #     async fn greet(_: ActivityContext) -> Result<(), ActivityError> { Ok(()) }
/// # }
///
/// fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
///     config.set_task_queue("greetings");
///     config.register_activities(Greetings);
///     Ok(())
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), BoxError> {
/// let frontend = MockFrontend::new();
/// let handler = UnderTest::new(configure, &frontend).until_idle(Duration::ZERO).handler()?;
/// let report = handler.handle(TestContext::new().event(())).await?;
/// assert_eq!(report.reason, Some(Reason::Idle));
/// assert_eq!(report.task_queue, "greetings");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct UnderTest<W> {
    worker: W,
    connection: ConnectionOptions,
    idle: Option<Duration>,
}

impl<W: LambdaWorker> UnderTest<W> {
    /// `worker` on `frontend`, in process, without a socket.
    pub fn new(worker: W, frontend: &MockFrontend) -> Self {
        Self::connecting(worker, frontend.connection_options())
    }

    /// `worker` with these connection options: those of a
    /// [`ServedFrontend`](crate::frontend::ServedFrontend), of a dev server, or broken ones.
    pub fn connecting(worker: W, connection: ConnectionOptions) -> Self {
        Self { worker, connection, idle: None }
    }

    /// Ends invocations as soon as nothing was in flight for `idle`, and 100 ms at the earliest.
    /// Without it they last until their deadline nears, unless `configure` says otherwise.
    ///
    /// How long an exit takes also depends on the frontend, as it does on a server: see
    /// [`MockFrontend::end_polls_at_shutdown`].
    pub fn until_idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// A handler, as version `test` of the deployment `under-test`. What `configure` says of the
    /// version wins.
    ///
    /// # Errors
    /// As [`LambdaWorkerHandler::new`].
    pub fn handler(self) -> Result<LambdaWorkerHandler<Self>, LambdaWorkerError> {
        let version = WorkerDeploymentVersion::builder()
            .deployment_name("under-test")
            .build_id("test")
            .build();
        LambdaWorkerHandler::builder(version, self).config_source(ConfigSource::none()).build()
    }
}

#[async_trait]
impl<W: LambdaWorker> LambdaWorker for UnderTest<W> {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        self.worker.configure(config).await?;
        config.connection_options = self.connection.clone();
        if let Some(idle) = self.idle {
            config.idle_timeout = Some(idle);
            config.minimum_stay = Duration::from_millis(100);
        }
        Ok(())
    }

    async fn on_start(&mut self, running: &RunningWorker) -> Result<(), BoxError> {
        self.worker.on_start(running).await
    }

    async fn on_shutdown(&mut self, ending: &Shutdown) -> Result<(), BoxError> {
        self.worker.on_shutdown(ending).await
    }
}

impl<W> std::fmt::Debug for UnderTest<W> {
    /// Without the connection options, which show an API key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnderTest").field("idle", &self.idle).finish_non_exhaustive()
    }
}
