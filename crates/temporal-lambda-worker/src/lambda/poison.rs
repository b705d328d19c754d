//! Ending the process of a poisoned environment, after its last response was posted.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use lambda_runtime::{LambdaInvocation, Service};
use tower::Layer;

use crate::driver::environment::Environment;
use crate::error::BoxError;

/// The exit code after a [poisoned](crate::LambdaWorkerError::is_poisoned) invocation: 70, the
/// `EX_SOFTWARE` of BSD's `sysexits`.
pub const POISONED_EXIT_CODE: i32 = 70;

/// A layer for `lambda_runtime`'s `Runtime` that ends the process when an invocation could not be
/// stopped, with [`POISONED_EXIT_CODE`], as soon as the responses to all events that came are posted. Get it
/// from [`LambdaWorkerHandler::poison_layer`](crate::LambdaWorkerHandler::poison_layer).
///
/// It must be the last layer that is added, so that it sees a response only after it was posted.
/// [`run_worker`](crate::run_worker) has it already.
///
/// ```no_run
/// use lambda_runtime::{Runtime, service_fn};
/// # use temporal_lambda_worker::{BoxError, LambdaWorkerConfig, LambdaWorkerHandler, LambdaVersion};
///
/// # async fn main_() -> Result<(), lambda_runtime::Error> {
/// # let configure = |_: &mut LambdaWorkerConfig| Ok::<(), BoxError>(());
/// let worker = LambdaWorkerHandler::new(LambdaVersion::new().resolve()?, configure)?;
/// let layer = worker.poison_layer();
/// Runtime::new(service_fn(move |event| worker.handle_or_check(event))).layer(layer).run().await
/// # }
/// ```
#[derive(Clone)]
pub struct PoisonLayer {
    environment: Arc<Environment>,
    /// How many events have no posted response yet.
    unanswered: Arc<AtomicUsize>,
    /// Ends the process.
    exit: fn(),
}

impl PoisonLayer {
    pub(crate) fn of(environment: Arc<Environment>) -> Self {
        let exit = || std::process::exit(POISONED_EXIT_CODE);
        Self { environment, unanswered: Arc::default(), exit }
    }
}

impl fmt::Debug for PoisonLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoisonLayer").field("unanswered", &self.unanswered).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for PoisonLayer {
    type Service = PoisonService<S>;

    fn layer(&self, inner: S) -> PoisonService<S> {
        PoisonService { inner, layer: self.clone() }
    }
}

/// The service that [`PoisonLayer`] makes. Clones belong to one function.
#[derive(Clone, Debug)]
pub struct PoisonService<S> {
    inner: S,
    layer: PoisonLayer,
}

impl<S> Service<LambdaInvocation> for PoisonService<S>
where
    S: Service<LambdaInvocation, Response = (), Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let unanswered = Unanswered::one_of(&self.layer.unanswered);
        let posted = self.inner.call(invocation);
        let (environment, exit) = (self.layer.environment.clone(), self.layer.exit);
        Box::pin(async move {
            let result = posted.await;
            // The responses of other invocations in this environment are posted first: an invocation that has
            // ended counts until its response has left.
            let is_last = unanswered.end();
            if environment.is_poisoned() && is_last {
                exit();
            }
            result
        })
    }
}

/// An event that has no posted response yet.
struct Unanswered(Arc<AtomicUsize>);

impl Unanswered {
    fn one_of(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Ordering::SeqCst);
        Self(all.clone())
    }

    /// The response was posted: whether no other event waits for its own.
    fn end(self) -> bool {
        let all = self.0.clone();
        drop(self);
        all.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicU32;

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;
    use crate::driver::environment::Threads;
    use crate::invocation::Telemetry;
    use crate::temporal::Sdk;

    static EXITS: AtomicU32 = AtomicU32::new(0);

    fn count_exit() {
        EXITS.fetch_add(1, Ordering::SeqCst);
    }

    fn event() -> LambdaInvocation {
        let (parts, ()) = http::Response::new(()).into_parts();
        LambdaInvocation {
            parts,
            body: Vec::new().into(),
            context: lambda_runtime::Context::default(),
        }
    }

    fn environment() -> Arc<Environment> {
        let threads = Threads::of_caller();
        let sdk = Arc::new(Sdk::new(threads.sdk.clone()));
        Arc::new(Environment::new(threads, sdk, Telemetry::default()))
    }

    /// Each response is posted when the test says so.
    #[derive(Clone, Default)]
    struct Inner(Arc<Mutex<Vec<oneshot::Receiver<()>>>>);

    impl Service<LambdaInvocation> for Inner {
        type Response = ();
        type Error = BoxError;
        type Future = futures_util::future::BoxFuture<'static, Result<(), BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: LambdaInvocation) -> Self::Future {
            let post = self.0.lock().unwrap().pop();
            async move {
                if let Some(post) = post {
                    post.await?;
                }
                Ok(())
            }
            .boxed()
        }
    }

    #[tokio::test]
    async fn a_poisoned_environment_ends_after_the_last_response_was_posted() {
        let inner = Inner::default();
        let (post_slow, slow) = oneshot::channel();
        inner.0.lock().unwrap().push(slow);
        let environment = environment();
        let layer = PoisonLayer { exit: count_exit, ..PoisonLayer::of(environment.clone()) };
        let mut service = layer.layer(inner.clone());
        let slow = tokio::spawn(service.call(event()));
        // Another service of the same layer shares the count.
        let fast = layer.layer(inner).call(event());
        environment.poison();
        fast.await.unwrap();
        assert_eq!(
            EXITS.load(Ordering::SeqCst),
            0,
            "the response of the slow invocation is not posted yet"
        );
        post_slow.send(()).unwrap();
        slow.await.unwrap().unwrap();
        assert_eq!(EXITS.load(Ordering::SeqCst), 1);
    }
}
