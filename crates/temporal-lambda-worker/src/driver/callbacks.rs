//! Running user code: an error is reported, a panic is caught, a future that takes too long is dropped, and the
//! user's struct is available to the next callback in each case.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Message;
use super::queue::{Place, Queue};
use crate::config::LambdaWorkerConfig;
use crate::error::{BoxError, Fault, panic_message, with_sources};
use crate::hooks::{AlreadyLogged, Hook, Shutdown, ShutdownHooks};
use crate::lifecycle::{Input, callback_time};
use crate::report::{CallbackOutcome, HookReport};
use crate::worker::{LambdaWorker, RunningWorker};

/// Stands for "no limit": 30 days, which every clock can add to the present.
const FAR: Duration = Duration::from_secs(30 * 24 * 3600);

/// The invocation's own clone of the user's struct. One callback at a time uses it.
pub(super) struct Keeper<W> {
    worker: Arc<Mutex<Kept<W>>>,
    /// The order of the callbacks, hooks included, which do not use the struct.
    pub(super) queue: Queue,
}

/// Makes the clone. `Clone` is user code, too, so it runs where `configure` does.
pub(crate) type MakeWorker<W> = Box<dyn FnOnce() -> W + Send>;

enum Kept<W> {
    ToBeMade(Option<MakeWorker<W>>),
    Made(W),
}

impl<W> Keeper<W> {
    pub(super) fn new(make: MakeWorker<W>) -> Self {
        let kept = Kept::ToBeMade(Some(make));
        Self { worker: Arc::new(Mutex::new(kept)), queue: Queue::default() }
    }

    /// Moves the struct out for good, so that what is left holds no user value.
    pub(super) fn take(&mut self) -> Self {
        let nothing = Arc::new(Mutex::new(Kept::ToBeMade(None)));
        Self { worker: std::mem::replace(&mut self.worker, nothing), queue: self.queue.clone() }
    }

    /// The struct, for one callback. Callbacks get it in the order of these calls, since tasks may begin in another
    /// order than they were spawned in.
    fn claim(&self) -> impl Future<Output = OwnedMutexGuard<Kept<W>>> + use<W> {
        let (mutex, free) = (self.worker.clone(), self.worker.clone().try_lock_owned());
        async move {
            match free {
                Ok(worker) => worker,
                Err(_) => mutex.lock_owned().await,
            }
        }
    }
}

impl<W> Kept<W> {
    /// The struct, cloned now if it was not before. `None`: cloning it panicked.
    fn made(&mut self) -> Option<&mut W> {
        if let Self::ToBeMade(make) = self
            && let Some(make) = make.take()
        {
            *self = Self::Made(make());
        }
        match self {
            Self::Made(worker) => Some(worker),
            Self::ToBeMade(_) => None,
        }
    }
}

impl<W> Clone for Keeper<W> {
    fn clone(&self) -> Self {
        Self { worker: self.worker.clone(), queue: self.queue.clone() }
    }
}

/// How a piece of user code ended.
enum Ended {
    Returned(Result<(), BoxError>),
    Panicked(String),
    Aborted,
}

async fn guarded(
    code: impl Future<Output = Result<(), BoxError>>,
    abort: &CancellationToken,
) -> Ended {
    tokio::select! {
        biased;
        ended = AssertUnwindSafe(code).catch_unwind() => match ended {
            Ok(result) => Ended::Returned(result),
            Err(panic) => Ended::Panicked(panic_message(&*panic as &(dyn Any + Send))),
        },
        () = abort.cancelled() => Ended::Aborted,
    }
}

impl Ended {
    /// The message about a callback that can fail an invocation. `None`: it was cut short, which the machine has
    /// decided itself.
    fn step(
        self,
        place: &'static str,
        failed: impl FnOnce(BoxError) -> Fault,
        done: impl FnOnce() -> Message,
    ) -> Option<Message> {
        let fault = match self {
            Self::Returned(Ok(())) => return Some(done()),
            Self::Returned(Err(error)) => failed(error),
            Self::Panicked(message) => Fault::Panicked { place, message },
            Self::Aborted => return None,
        };
        Some(Message::Input(Input::Failed(fault)))
    }

    /// The outcome of a callback that cannot fail an invocation. Failures are logged here.
    fn outcome(self, name: &str) -> CallbackOutcome {
        match self {
            Self::Returned(Ok(())) => CallbackOutcome::Ok,
            Self::Returned(Err(error)) => {
                if !error.is::<AlreadyLogged>() {
                    tracing::error!(callback = name, %error, "a shutdown callback failed");
                }
                CallbackOutcome::Failed { message: with_sources(&*error) }
            }
            Self::Panicked(message) => {
                tracing::error!(callback = name, message, "a shutdown callback panicked");
                CallbackOutcome::Panicked { message }
            }
            Self::Aborted => {
                tracing::error!(callback = name, "a shutdown callback took too long");
                CallbackOutcome::TimedOut
            }
        }
    }
}

/// Makes a [`Fault`] of an error, unless it is one already.
fn or_fault(failed: fn(BoxError) -> Fault) -> impl FnOnce(BoxError) -> Fault {
    move |error| match error.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(error) => failed(error),
    }
}

pub(super) fn configure<W: LambdaWorker>(
    keeper: &Keeper<W>,
    mut config: LambdaWorkerConfig,
    abort: CancellationToken,
    messages: UnboundedSender<Message>,
) -> impl Future<Output = ()> + Send + use<W> {
    let worker = keeper.claim();
    async move {
        let mut worker = worker.await;
        let configuring = async {
            if let Some(worker) = worker.made() {
                worker.configure(&mut config).await?;
            }
            // Plugins are user code, too.
            config.run_plugins().await.map_err(Fault::from)?;
            config.settle().map_err(Fault::from)?;
            Ok(())
        };
        let ended = guarded(configuring, &abort).await;
        drop(worker);
        let done = move || Message::Configured(Box::new(config));
        send(&messages, ended.step("configure", or_fault(Fault::Configure), done));
    }
}

pub(super) fn on_start<W, R>(
    keeper: &Keeper<W>,
    running: R,
    abort: CancellationToken,
    messages: UnboundedSender<Message>,
) -> impl Future<Output = ()> + Send + use<W, R>
where
    W: LambdaWorker,
    R: FnOnce() -> Result<RunningWorker, Fault> + Send,
{
    let worker = keeper.claim();
    async move {
        let mut worker = worker.await;
        // The step may be over before this begins; then `on_start` is not called. `configure` is called in
        // any case, since it adds the hooks.
        if abort.is_cancelled() {
            return;
        }
        let starting = async {
            let running = running()?;
            match worker.made() {
                Some(worker) => worker.on_start(&running).await,
                None => Ok(()),
            }
        };
        let ended = guarded(starting, &abort).await;
        drop(worker);
        let done = || Message::Input(Input::WorkerStarted);
        send(&messages, ended.step("on_start", or_fault(Fault::OnStart), done));
    }
}

pub(super) async fn hook(
    place: Place,
    number: usize,
    hook: Hook,
    ending: Shutdown,
    abort: CancellationToken,
    messages: UnboundedSender<Message>,
) {
    let Hook { name, run } = hook;
    // The hook is called inside of the guarded future, since the call may panic, too.
    let ended = place.begin(guarded(async move { run(ending).await }, &abort)).await;
    send(&messages, Some(Message::HookEnded(number, ended.outcome(&name))));
}

pub(super) async fn on_shutdown<W: LambdaWorker>(
    keeper: Keeper<W>,
    hooks: ShutdownHooks,
    mut ending: Shutdown,
    abort: CancellationToken,
    messages: UnboundedSender<Message>,
) {
    let by = Instant::now() + ending.time_allowed.min(FAR);
    // No hook can be added after this. It is awaited even after an abort: the hooks begin although no time is
    // left.
    keeper.queue.join().begin(async {}).await;
    // A `configure` or `on_start` that is cut short frees the struct at once. One that blocks its thread for
    // good never does, and then `on_shutdown` cannot run.
    let ended = tokio::select! {
        biased;
        mut worker = keeper.claim() => {
            late_hooks(&hooks, &mut ending, by, &abort, &messages).await;
            ending.time_allowed = by.saturating_duration_since(Instant::now());
            let shutting_down = async {
                match &mut *worker {
                    Kept::Made(worker) => worker.on_shutdown(&ending).await,
                    Kept::ToBeMade(_) => Ok(()),
                }
            };
            guarded(shutting_down, &abort).await
        }
        () = abort.cancelled() => Ended::Aborted,
    };
    send(&messages, Some(Message::ShutdownEnded(ended.outcome("on_shutdown"))));
}

/// Runs the hooks that `configure` added after the end of the invocation had begun: the invocation was cancelled or
/// out of time while `configure` was between two await points. Holding the struct proves that `configure` is over
/// and adds no more.
async fn late_hooks(
    hooks: &ShutdownHooks,
    ending: &mut Shutdown,
    by: Instant,
    abort: &CancellationToken,
    messages: &UnboundedSender<Message>,
) {
    while let Some((Hook { name, run }, waiting)) = hooks.take_next() {
        let now = Instant::now();
        // Time is divided as for the other hooks, and `on_shutdown` is still to come.
        ending.time_allowed = callback_time(by.saturating_duration_since(now), waiting + 1);
        let told = ending.clone();
        let running = guarded(async move { run(told).await }, abort);
        let ended = timeout_at(now + ending.time_allowed, running).await;
        let outcome = ended.unwrap_or(Ended::Aborted).outcome(&name);
        let report = HookReport { name, outcome };
        ending.report.hooks.push(report.clone());
        send(messages, Some(Message::LateHookEnded(report)));
    }
}

fn send(messages: &UnboundedSender<Message>, message: Option<Message>) {
    if let Some(message) = message {
        // The receiver is gone once the invocation is over.
        let _ = messages.send(message);
    }
}
