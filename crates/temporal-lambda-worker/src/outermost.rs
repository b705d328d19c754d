//! The outermost layer of a function: it sees an event before anything reads it, and a response only
//! after it was posted.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use lambda_runtime::{LambdaInvocation, Service};

use crate::environment::Environment;
use crate::event::{Asked, asked};
use crate::worker::BoxError;

/// What the handler gets in the place of the payload. It has no strings in it and no depth, so that
/// `lambda_runtime` takes it whatever the event was.
pub(crate) type Payload = u8;

const WORK: Payload = 0;
const CHECK: Payload = 1;
const UNREAD_CHECK: Payload = 2;
const UNCLEAR: Payload = 3;

/// What an event asks for, from the payload that the handler got.
pub(crate) fn request(payload: Payload) -> Asked {
    match payload {
        CHECK => Asked::Check,
        UNREAD_CHECK => Asked::UnreadCheck,
        UNCLEAR => Asked::Unclear,
        _ => Asked::Work,
    }
}

fn payload(asked: Asked) -> Payload {
    match asked {
        Asked::Work => WORK,
        Asked::Check => CHECK,
        Asked::UnreadCheck => UNREAD_CHECK,
        Asked::Unclear => UNCLEAR,
    }
}

/// The layer's service. Clones belong to one function.
#[derive(Clone)]
pub(crate) struct Outermost<S> {
    inner: S,
    environment: Arc<Environment>,
    /// Events that have no posted response yet.
    unanswered: Arc<AtomicUsize>,
    /// Ends the process of a poisoned environment.
    exit: fn(),
}

impl<S> Outermost<S> {
    pub(crate) fn new(inner: S, environment: Arc<Environment>, exit: fn()) -> Self {
        Self { inner, environment, unanswered: Arc::default(), exit }
    }
}

impl<S> Service<LambdaInvocation> for Outermost<S>
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

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        let asked = asked(&invocation.body);
        invocation.body = payload(asked).to_string().into();
        let unanswered = Unanswered::one_of(&self.unanswered);
        let posted = self.inner.call(invocation);
        let (environment, exit) = (self.environment.clone(), self.exit);
        Box::pin(async move {
            let result = posted.await;
            // The responses of others in this environment are posted first: an invocation that has
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

    /// Its response was posted. Whether there is no other.
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
    use crate::environment::Threads;
    use crate::temporal::Sdk;

    static EXITS: AtomicU32 = AtomicU32::new(0);

    fn count_exit() {
        EXITS.fetch_add(1, Ordering::SeqCst);
    }

    fn event(body: &'static [u8]) -> LambdaInvocation {
        let (parts, ()) = http::Response::new(()).into_parts();
        LambdaInvocation { parts, body: body.into(), context: lambda_runtime::Context::default() }
    }

    fn environment() -> Arc<Environment> {
        let threads = Threads::of_caller();
        let sdk = Arc::new(Sdk::new(threads.sdk.clone()));
        Arc::new(Environment::new(threads, sdk))
    }

    /// Writes down the payloads; each response is posted when the test says so.
    #[derive(Clone, Default)]
    struct Inner {
        bodies: Arc<Mutex<Vec<Vec<u8>>>>,
        posts: Arc<Mutex<Vec<oneshot::Receiver<()>>>>,
    }

    impl Service<LambdaInvocation> for Inner {
        type Response = ();
        type Error = BoxError;
        type Future = futures_util::future::BoxFuture<'static, Result<(), BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
            self.bodies.lock().unwrap().push(invocation.body.to_vec());
            let post = self.posts.lock().unwrap().pop();
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
        inner.posts.lock().unwrap().push(slow);
        let environment = environment();
        let mut outermost = Outermost::new(inner, environment.clone(), count_exit);
        let slow = tokio::spawn(outermost.call(event(b"")));
        let fast = outermost.clone().call(event(b""));
        environment.poison();
        fast.await.unwrap();
        assert_eq!(EXITS.load(Ordering::SeqCst), 0, "the slow one's response is not posted yet");
        post_slow.send(()).unwrap();
        slow.await.unwrap().unwrap();
        assert_eq!(EXITS.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn nobody_behind_it_sees_a_payload() {
        let inner = Inner::default();
        let mut outermost = Outermost::new(inner.clone(), environment(), || {});
        let bodies: [(&'static [u8], Asked); 5] = [
            (b"{\"text\": \"\xff\xfe\"}", Asked::Work),
            (b"\xff", Asked::Work),
            (br#"{"temporal_lambda_worker": {"check": true}}"#, Asked::Check),
            (br#"{"temporal_lambda_worker": {"check": 1}}"#, Asked::Unclear),
            (
                br#"{"Records": [{"body": "{\"temporal_lambda_worker\": {\"check\": true}}"}]}"#,
                Asked::UnreadCheck,
            ),
        ];
        for (body, _) in bodies {
            outermost.call(event(body)).await.unwrap();
        }
        let seen = inner.bodies.lock().unwrap().clone();
        for (seen, (_, expected)) in seen.iter().zip(bodies) {
            let payload = serde_json::from_slice::<Payload>(seen).unwrap();
            assert_eq!(request(payload), expected);
        }
    }
}
