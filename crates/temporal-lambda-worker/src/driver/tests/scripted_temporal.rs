//! Temporal's side of a scripted invocation: a connection and a worker that do as the script says.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use temporalio_client::callback_based::{CallbackBasedGrpcService, GrpcSuccessResponse};
use temporalio_client::{Connection, ConnectionOptions};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ms;
use super::scripted_invocation::{
    CONNECT, CREATE, Drain, How, Part, ScriptedInvocation, WORKER, words,
};
use super::scripted_user::{Log, drive, or_failed};
use crate::config::LambdaWorkerConfig;
use crate::connection::{Link, Server};
use crate::error::Fault;
use crate::lifecycle::rules::Failure;
use crate::lifecycle::{Effect, Input};
use crate::report::{ConnectionUse, WorkerReport};
use crate::temporal::{Launched, Ports, Temporal};

/// A connection without a socket: every call is answered at once, with an empty message.
pub(super) async fn connection() -> Connection {
    let answer = |_| {
        async { Ok(GrpcSuccessResponse { headers: Default::default(), proto: Vec::new() }) }.boxed()
    };
    let Ok(nowhere) = "http://nowhere.invalid:7233".parse::<temporalio_client::Url>() else {
        panic!("not a URL")
    };
    let options = ConnectionOptions::new(nowhere)
        .dns_load_balancing(None)
        .service_override(CallbackBasedGrpcService { callback: Arc::new(answer) })
        .build();
    match Connection::connect(options).await {
        Ok(connection) => connection,
        Err(error) => panic!("{error}"),
    }
}

/// A Temporal that does as the script of the current invocation says.
pub(super) struct ScriptedTemporal {
    playing: Mutex<Option<(Arc<ScriptedInvocation>, Log)>>,
    connection: Connection,
}

impl ScriptedTemporal {
    pub(super) async fn new() -> Self {
        Self { playing: Mutex::default(), connection: connection().await }
    }

    /// Sets the script of the current invocation.
    pub(super) fn set_script(&self, script: Arc<ScriptedInvocation>, log: Log) {
        *self.playing.lock().unwrap_or_else(PoisonError::into_inner) = Some((script, log));
    }

    fn playing(&self) -> (Arc<ScriptedInvocation>, Log) {
        let playing = self.playing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(playing) = &*playing else { panic!("no invocation is driven") };
        playing.clone()
    }
}

impl Temporal for ScriptedTemporal {
    fn connect(&self, _: &LambdaWorkerConfig) -> BoxFuture<'static, Result<Link, Fault>> {
        let (script, log) = self.playing();
        log.did(Effect::Connect);
        let connection = self.connection.clone();
        async move {
            // The SDK connects in a task of its own, so a panic there is none here.
            let how =
                if script.connect.how == How::Panics { How::Errs } else { script.connect.how };
            let part = Part { how, ..script.connect };
            match drive(&log, part, CONNECT, or_failed(Input::Connected, CONNECT)).await {
                Ok(()) => Ok(Link {
                    connection,
                    how: ConnectionUse::New,
                    server: Server::nowhere(),
                    has_answered: true,
                }),
                Err(error) => {
                    let reason = error.to_string();
                    Err(Fault::Unreachable { target: "nowhere".to_owned(), reason })
                }
            }
        }
        .boxed()
    }

    fn launch(&self, _: &Link, _: &LambdaWorkerConfig, ports: Ports) -> Box<dyn Launched> {
        let (script, log) = self.playing();
        log.did(Effect::CreateWorker);
        let worker = ScriptedLaunched {
            log,
            script: script.clone(),
            inputs: ports.inputs.clone(),
            holding: Arc::default(),
            poll: CancellationToken::new(),
            stop: CancellationToken::new(),
            drop_activities: CancellationToken::new(),
            drop_worker: CancellationToken::new(),
        };
        tokio::spawn(worker.clone().live(script, ports));
        Box::new(worker)
    }

    fn forget(&self) {}
}

/// A worker.
#[derive(Clone)]
struct ScriptedLaunched {
    log: Log,
    script: Arc<ScriptedInvocation>,
    inputs: UnboundedSender<Input<Fault>>,
    /// Cancelled when polls are resumed, or need not be waited for.
    holding: Arc<Mutex<CancellationToken>>,
    poll: CancellationToken,
    stop: CancellationToken,
    drop_activities: CancellationToken,
    drop_worker: CancellationToken,
}

impl Launched for ScriptedLaunched {
    fn poll(&self) {
        self.log.did(Effect::Poll);
        self.poll.cancel();
    }

    fn hold_polls(&self, _: bool) {
        self.log.did(Effect::HoldPolls);
        let (held, launched) = (CancellationToken::new(), self.clone());
        *self.holding() = held.clone();
        let ended = async move {
            match launched.script.polls_end {
                Some(0) => {}
                Some(after) => sleep(ms(after)).await,
                None => std::future::pending().await,
            }
            launched.log.heard(Input::PollsEnded);
            let _ = launched.inputs.send(Input::PollsEnded);
        };
        tokio::spawn(async move { held.run_until_cancelled(ended).await });
    }

    fn resume_polls(&self) {
        self.log.did(Effect::ResumePolls);
        self.holding().cancel();
    }

    fn stop(&self) {
        self.log.did(Effect::StopWorker);
        self.holding().cancel();
        self.stop.cancel();
    }

    fn abandon_activities(&self) {
        self.log.did(Effect::AbandonActivities);
        self.drop_activities.cancel();
    }

    fn abandon(&self) {
        self.log.did(Effect::AbandonWorker);
        self.drop_worker.cancel();
    }

    fn finalize(&self) {
        self.log.did(Effect::Finalize);
    }

    fn report(&self) -> WorkerReport {
        WorkerReport::default()
    }

    fn server_fault(&self, _: bool) -> Option<Fault> {
        None
    }
}

impl ScriptedLaunched {
    fn holding(&self) -> std::sync::MutexGuard<'_, CancellationToken> {
        self.holding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn live(self, script: Arc<ScriptedInvocation>, ports: Ports) {
        let token = ports.running.token();
        let say = |input: Input<Failure>| {
            self.log.heard(input.clone());
            let _ = ports.inputs.send(translate(input));
        };
        let ended = self.drive(&script, &say).await;
        self.holding().cancel();
        // Like the SDK's worker, which drops its resources before it reports its end.
        drop(token);
        match ended {
            Some(ended) => say(ended),
            // Its creation failed, and that was reported already.
            None => drop(ports.inputs.send(Input::WorkerStopped)),
        }
    }

    /// Runs the worker from its creation to its end: how it ended, or `None` if its creation failed.
    async fn drive(
        &self,
        script: &ScriptedInvocation,
        say: &impl Fn(Input<Failure>),
    ) -> Option<Input<Failure>> {
        let created = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Some(Input::WorkerStopped),
            created = create(script) => created,
        };
        if matches!(created, Input::WorkerFailed(_)) {
            return Some(created);
        }
        let failed = matches!(created, Input::Failed(_));
        say(created);
        if failed {
            return None;
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Some(Input::WorkerStopped),
            () = self.poll.cancelled() => {}
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Some(self.drain(script.drain).await),
            ended = work(script, say) => Some(ended),
        }
    }

    async fn drain(&self, how: Drain) -> Input<Failure> {
        match how {
            Drain::Stops(after) | Drain::Fails(after) => {
                let ended = async {
                    if after > 0 {
                        sleep(ms(after)).await;
                    }
                };
                tokio::select! {
                    biased;
                    () = self.drop_activities.cancelled() => {}
                    () = ended => {}
                }
            }
            Drain::Stubborn => self.drop_activities.cancelled().await,
            Drain::Deaf => self.drop_worker.cancelled().await,
            Drain::Never => std::future::pending().await,
        }
        if matches!(how, Drain::Fails(_)) {
            Input::WorkerFailed(WORKER)
        } else {
            Input::WorkerStopped
        }
    }
}

/// Creates the worker: the input for the driver.
async fn create(script: &ScriptedInvocation) -> Input<Failure> {
    let part = script.create;
    if part.after > 0 {
        sleep(ms(part.after)).await;
    }
    match part.how {
        How::Succeeds => Input::WorkerCreated { polls_end_within: ms(script.polls_end_within) },
        How::Errs => Input::Failed(CREATE),
        How::Panics => Input::WorkerFailed(CREATE),
        How::Hangs => std::future::pending().await,
    }
}

/// Runs the worker's tasks, then waits until it ends by itself.
async fn work(script: &ScriptedInvocation, say: &impl Fn(Input<Failure>)) -> Input<Failure> {
    for (index, gap) in script.tasks.iter().enumerate() {
        if *gap > 0 {
            sleep(ms(*gap)).await;
        }
        say(if index % 2 == 0 { Input::Busy } else { Input::Quiet });
    }
    let Some(part) = script.gives_up else { return std::future::pending().await };
    if part.after > 0 {
        sleep(ms(part.after)).await;
    }
    match part.how {
        How::Succeeds => Input::WorkerStopped,
        How::Errs | How::Panics => Input::WorkerFailed(WORKER),
        How::Hangs => std::future::pending().await,
    }
}

/// The input of a worker as the driver takes it.
fn translate(input: Input<Failure>) -> Input<Fault> {
    match input {
        Input::WorkerCreated { polls_end_within } => Input::WorkerCreated { polls_end_within },
        Input::Busy => Input::Busy,
        Input::Quiet => Input::Quiet,
        Input::WorkerStopped => Input::WorkerStopped,
        Input::Failed(failure) => Input::Failed(Fault::WorkerCreation { reason: words(failure) }),
        Input::WorkerFailed(failure) => {
            Input::WorkerFailed(Fault::WorkerFailed { reason: words(failure) })
        }
        other => panic!("a worker does not say {other:?}"),
    }
}
