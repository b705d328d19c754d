//! Workers that are made of closures, for those who need no struct of their own.

use std::future::Future;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::config::LambdaWorkerConfig;
use crate::error::BoxError;
use crate::hooks::Shutdown;
use crate::worker::{LambdaWorker, PerInvocation};

/// The closure form: a function that only configures, and does not wait for anything.
#[async_trait]
impl<F> LambdaWorker for F
where
    F: Fn(&mut LambdaWorkerConfig) -> Result<(), BoxError> + Clone + Send + 'static,
{
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        self(config)
    }
}

/// A worker of one async function, which is its [`configure`](LambdaWorker::configure).
///
/// ```
/// use temporal_lambda_worker::{BoxError, LambdaWorkerConfig, from_fn};
///
/// async fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
///     config.set_task_queue("orders");
///     Ok(())
/// }
///
/// let worker = from_fn(|config| Box::pin(configure(config)));
/// let inline = from_fn(|config| Box::pin(async move { configure(config).await }));
/// # let _ = (worker, inline);
/// ```
pub fn from_fn<F>(configure: F) -> FromFn<F>
where
    F: Fn(&mut LambdaWorkerConfig) -> BoxFuture<'_, Result<(), BoxError>> + Clone + Send + 'static,
{
    FromFn { configure }
}

/// A worker of two async functions: `open` is its [`configure`](LambdaWorker::configure) and returns
/// what belongs to the invocation, such as a lease; `close` is its
/// [`on_shutdown`](LambdaWorker::on_shutdown) and gets it back, after the last shutdown hook.
///
/// `close` is called once for each `open` that returned `Ok`, on every path. Where the time of the
/// invocation is over, its future is dropped like that of every `on_shutdown`, and what it holds with it.
///
/// ```
/// use temporal_lambda_worker::{BoxError, with_resource};
///
/// struct Lease;
/// # async fn lease() -> Result<Lease, BoxError> { Ok(Lease) }
/// # async fn give_back(_: Lease) -> Result<(), BoxError> { Ok(()) }
///
/// let worker = with_resource(
///     |config| {
///         Box::pin(async move {
///             config.set_task_queue("orders");
///             lease().await
///         })
///     },
///     |lease: Lease, _ending| give_back(lease),
/// );
/// # let _ = worker;
/// ```
pub fn with_resource<T, Open, Close, Closing>(
    open: Open,
    close: Close,
) -> WithResource<T, Open, Close>
where
    T: Send + 'static,
    Open:
        Fn(&mut LambdaWorkerConfig) -> BoxFuture<'_, Result<T, BoxError>> + Clone + Send + 'static,
    Close: Fn(T, Shutdown) -> Closing + Clone + Send + 'static,
    Closing: Future<Output = Result<(), BoxError>> + Send,
{
    WithResource { open, close, resource: PerInvocation::default() }
}

/// What [`from_fn`] makes.
#[derive(Clone)]
pub struct FromFn<F> {
    configure: F,
}

/// What [`with_resource`] makes.
pub struct WithResource<T, Open, Close> {
    open: Open,
    close: Close,
    resource: PerInvocation<T>,
}

impl<T, Open: Clone, Close: Clone> Clone for WithResource<T, Open, Close> {
    /// Without what an invocation has opened.
    fn clone(&self) -> Self {
        let (open, close) = (self.open.clone(), self.close.clone());
        Self { open, close, resource: PerInvocation::default() }
    }
}

#[async_trait]
impl<F> LambdaWorker for FromFn<F>
where
    F: Fn(&mut LambdaWorkerConfig) -> BoxFuture<'_, Result<(), BoxError>> + Clone + Send + 'static,
{
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        // The closure need not be `Sync`, so no borrow of it lives while its future is awaited.
        let configuring = (self.configure)(config);
        configuring.await
    }
}

#[async_trait]
impl<T, Open, Close, Closing> LambdaWorker for WithResource<T, Open, Close>
where
    T: Send + 'static,
    Open:
        Fn(&mut LambdaWorkerConfig) -> BoxFuture<'_, Result<T, BoxError>> + Clone + Send + 'static,
    Close: Fn(T, Shutdown) -> Closing + Clone + Send + 'static,
    Closing: Future<Output = Result<(), BoxError>> + Send,
{
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        let opening = (self.open)(config);
        let resource = opening.await?;
        self.resource.set(resource);
        Ok(())
    }

    async fn on_shutdown(&mut self, ending: &Shutdown) -> Result<(), BoxError> {
        let Some(resource) = self.resource.take() else { return Ok(()) };
        let closing = (self.close)(resource, ending.clone());
        closing.await
    }
}

impl<F> std::fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}

impl<T, Open, Close> std::fmt::Debug for WithResource<T, Open, Close> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WithResource").finish_non_exhaustive()
    }
}
