//! One case, played: a server, a handler, a fault, and a second invocation to see what is left.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use temporal_lambda_testkit::context::TestContext;
use temporal_lambda_testkit::frontend::{
    ActivityStart, ActivityStatus, MockFrontend, MockTls, Rpc, ServedFrontend,
};
use temporal_lambda_worker::lifecycle::{State, Step};
use temporal_lambda_worker::{Fault, InvocationReport, LambdaWorkerError, LambdaWorkerHandler};
use temporalio_client::tonic::Code;
use temporalio_client::{ConnectionOptions, Url};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::strike::{Gone, Network, Strike, heal};
use crate::support::{BOUND, Manners, QUEUE, Subject, invocation, lock};
use crate::verdict::{After, InTime, Seen};

/// The API key that servers ask for in the cases about credentials.
pub(crate) const KEY: &str = "right";
const FAULTY: &str = "faulty";
const NEXT: &str = "next";

type Outcome = Result<InvocationReport, LambdaWorkerError>;

struct Scene {
    strike: Strike,
    frontend: MockFrontend,
    served: Option<ServedFrontend>,
    _silent: Option<TcpListener>,
    subject: Subject,
    handler: LambdaWorkerHandler<Subject>,
}

/// Plays one case.
pub(crate) async fn play(strike: Strike) -> Seen {
    let mut scene = Scene::set(strike).await;
    if let Strike::AfterPoison = strike {
        let poisoned = scene.handler.handle(invocation("earlier").event(())).await;
        assert!(poisoned.expect_err("a blocked thread").is_poisoned());
    }
    let arrived = Instant::now();
    let event = scene.event();
    let deadline = event.build().deadline;
    let outcome = scene.invoke(&event).await;
    let took = arrived.elapsed();

    let mut seen = Seen::new(took);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    seen.in_time = match deadline {
        0 => InTime::NoDeadline,
        _ if now.as_millis() < u128::from(deadline) => InTime::Yes,
        _ => InTime::Cannot,
    };
    seen.outcome(outcome, scene.subject.told(FAULTY));
    scene.catch_up().await;
    seen.callbacks(&scene.subject.log_of(FAULTY));
    scene.look_for_remains(&mut seen).await;
    scene.heal().await;
    scene.invoke_again(&mut seen).await;
    scene.subject.0.gate.open();
    seen
}

impl Scene {
    async fn set(strike: Strike) -> Self {
        let frontend = MockFrontend::new();
        let mut silent = None;
        let (served, options) = match strike {
            Strike::Network(network) => {
                let (served, options) = broken(network, &frontend).await;
                silent = match network {
                    Network::Silent => Some(listener(served.address()).await),
                    _ => None,
                };
                (Some(served), options)
            }
            Strike::ServerGone(..) => {
                let served = frontend.serve().await.expect("a port");
                let options = served.connection_options();
                (Some(served), options)
            }
            _ => (None, frontend.connection_options()),
        };
        let subject = Subject::new(options);
        let handler = subject.handler();
        strike.prepare(&frontend);
        let mut manners = subject.manners();
        manners.wrong = strike.wrong();
        match strike {
            Strike::Leaves(tweak) => manners.tweak = tweak,
            Strike::StoppedByItself => manners.on_start = |running| running.stop.cancel(),
            _ => {}
        }
        drop(manners);
        Self { strike, frontend, served, _silent: silent, subject, handler }
    }

    fn event(&self) -> TestContext {
        let event = invocation(FAULTY);
        match self.strike {
            Strike::Event(change) => change(event),
            _ => event,
        }
    }

    /// Invokes the handler and strikes. `None`: the future was dropped.
    async fn invoke(&mut self, event: &TestContext) -> Option<Outcome> {
        if let Strike::CancelledBefore = self.strike {
            self.handler.stop_token().cancel();
        }
        let arrived = Instant::now();
        let event = event.event(());
        if let Strike::Frozen(Step::ColdStart, until) = self.strike {
            std::thread::sleep(until);
        }
        let handling = self.handler.handle(event);
        if let Strike::NeverPolled = self.strike {
            drop(handling);
            return None;
        }
        let handling = tokio::spawn(handling);
        match self.strike {
            Strike::WhilePolling(misbehave) => {
                self.reach(Step::Polling).await;
                misbehave(&self.frontend);
            }
            Strike::ServerGone(step, gone) => {
                self.reach(step).await;
                let served = self.served.as_mut().expect("it is served");
                served.stop().await;
                if gone == Gone::BackAgain {
                    served.start().await.expect("the port is still free");
                }
                if (step, gone) == (Step::Polling, Gone::BackAgain) {
                    self.schedule("after the return");
                    self.completed("after the return").await;
                }
            }
            Strike::Task(task) => {
                self.reach(Step::Polling).await;
                task.hand_out(&self.frontend);
            }
            Strike::WorkerFailsWhile(task) => {
                self.reach(Step::Polling).await;
                task.hand_out(&self.frontend);
                self.wait(|it| matches!(it.activity_status("task"), Ok(ActivityStatus::Started)))
                    .await;
                let poll = self.frontend.on(Rpc::PollWorkflowTaskQueue);
                poll.fail(Code::ResourceExhausted, crate::TOO_LARGE);
                // The polls under way end, and the next one has that answer.
                self.frontend.drop_connections();
            }
            Strike::Cancelled(step) => {
                self.reach(step).await;
                self.handler.stop_token().cancel();
            }
            Strike::Dropped(step) => {
                self.reach(step).await;
                return self.drop_future(step, handling).await;
            }
            Strike::Frozen(step, until) if step != Step::ColdStart => {
                self.reach(step).await;
                // The driver runs on this very thread.
                std::thread::sleep(until.saturating_sub(arrived.elapsed()));
            }
            Strike::Event(_) => self.cancel_if_it_polls(&handling).await,
            _ => {}
        }
        let ended = timeout(BOUND, handling).await.expect("it ends");
        Some(ended.expect("the handler does not panic"))
    }

    async fn reach(&self, step: Step) {
        let mut watch = self.handler.watch();
        let reached = watch.wait_for(|it| it.request_id == FAULTY && it.step == step);
        timeout(BOUND, reached).await.expect("the step is reached").expect("it lives");
        // What the step is about, too, and not only the intention.
        match (self.strike, step) {
            (Strike::Cancelled(_) | Strike::Dropped(_), Step::Polling) => {
                self.wait(|it| matches!(it.activity_status("task"), Ok(ActivityStatus::Started)))
                    .await;
            }
            (Strike::Frozen(..) | Strike::ServerGone(..), Step::Polling) => {
                self.wait(|it| it.open_polls().len() >= 2).await;
            }
            _ => {}
        }
    }

    async fn drop_future(&self, step: Step, handling: JoinHandle<Outcome>) -> Option<Outcome> {
        handling.abort();
        match handling.await {
            Ok(_) => assert_eq!(step, Step::Healthy, "it was done, and nobody looks at it"),
            Err(error) => assert!(error.is_cancelled()),
        }
        let mut watch = self.handler.watch();
        let over = watch.wait_for(|it| it.state == State::TornDown);
        timeout(BOUND, over).await.expect("it ends by itself").expect("it lives");
        None
    }

    async fn cancel_if_it_polls(&self, handling: &JoinHandle<Outcome>) {
        let mut watch = self.handler.watch();
        let gets_far = watch.wait_for(|it| matches!(it.state, State::Polling | State::TornDown));
        timeout(BOUND, gets_far).await.expect("it gets somewhere").expect("it lives");
        if !handling.is_finished() {
            self.wait(|it| it.open_polls().len() >= 2).await;
            self.handler.stop_token().cancel();
        }
    }

    /// An invocation that thaws when its time is over does not wait long for callbacks that it has
    /// cut short at once; they begin all the same.
    async fn catch_up(&self) {
        let began = Instant::now();
        while matches!(self.strike, Strike::Frozen(..))
            && self.subject.log_of(FAULTY).last() != Some(&"on_shutdown")
            && began.elapsed() < BOUND
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// What must not be left of an invocation.
    async fn look_for_remains(&self, seen: &mut Seen) {
        seen.after = if self.handler.is_poisoned() { After::Poisoned } else { After::Healthy };
        if let Err(error) = self.frontend.wait_until(|it| it.open_polls().is_empty()).await {
            seen.problem(format!("polls are still open: {error}"));
        }
        for call in self.frontend.seen() {
            if self.subject.was_registered(&call.worker_instance_key) {
                seen.problem("a worker is still registered");
            }
        }
        let all_said_goodbye = |frontend: &MockFrontend| {
            let goodbyes = frontend.shutdown_workers();
            frontend.polls().iter().all(|poll| {
                goodbyes.iter().any(|it| it.worker_instance_key == poll.worker_instance_key)
            })
        };
        if !self.strike.is_server_gone()
            && let Err(error) = self.frontend.wait_until(all_said_goodbye).await
        {
            seen.problem(format!("a worker polled and never said goodbye: {error}"));
        }
        // The admission ends with the driver's task, a moment after its result is there.
        let began = Instant::now();
        while self.handler.active_invocations() != 0 && began.elapsed() < BOUND {
            tokio::task::yield_now().await;
        }
        if self.handler.active_invocations() != 0 {
            seen.problem("an invocation is still under way");
        }
    }

    async fn heal(&mut self) {
        heal(&self.frontend);
        // Brief, so that the table is soon done.
        *self.subject.manners() = Manners {
            tweak: |config| {
                config.idle_timeout = Some(Duration::from_millis(50));
                config.minimum_stay = Duration::from_millis(100);
            },
            ..Manners::default()
        };
        lock(&self.subject.0.connection_options).api_key = Some(KEY.to_owned());
        if let Strike::Network(network) = self.strike {
            self._silent = None;
            let served = self.served.as_mut().expect("it is served");
            if matches!(network, Network::Refused | Network::Silent) {
                served.start().await.expect("the port is still free");
            }
            let healed = served.connection_options();
            let mut options = lock(&self.subject.0.connection_options);
            options.target = healed.target;
            options.tls_options = healed.tls_options;
            // With a key and no settings, the SDK would speak TLS.
            options.api_key = None;
        }
        if let Strike::ServerGone(_, gone) = self.strike {
            lock(&self.subject.0.connection_options).api_key = None;
            if gone == Gone::Away {
                let served = self.served.as_mut().expect("it is served");
                served.start().await.expect("the port is still free");
            }
        }
        if self.handler.stop_token().is_cancelled() {
            // That token ends all invocations to come, too: the next environment has a new one.
            self.handler = self.subject.handler();
        }
    }

    /// The next warm invocation works like any other, or is refused.
    async fn invoke_again(&self, seen: &mut Seen) {
        self.schedule(NEXT);
        let next = self.handler.handle(invocation(NEXT).event(()));
        let next = timeout(BOUND, next).await.expect("it ends");
        match (next, seen.after) {
            (Ok(report), After::Healthy) => {
                if report.tasks.activity.completed != 1 {
                    seen.problem(format!("the next invocation did nothing: {report:?}"));
                }
                let expected =
                    ["configure", "on_start", "first hook", "second hook", "on_shutdown"];
                if self.subject.log_of(NEXT) != expected {
                    seen.problem("the next invocation is not like any other");
                }
            }
            (Err(error), After::Poisoned) => {
                let refused = matches!(error.fault(), Fault::Poisoned) && error.is_poisoned();
                if !refused || !self.subject.log_of(NEXT).is_empty() {
                    seen.problem(format!("the next invocation was not refused: {error}"));
                }
            }
            (next, _) => seen.problem(format!("the next invocation: {next:?}")),
        }
    }

    fn schedule(&self, id: &str) {
        self.frontend.schedule_activity(ActivityStart::new(QUEUE, "Work::quick", id));
    }

    async fn completed(&self, id: &str) {
        let status = self.frontend.activity_result(id).await.expect("it is known");
        assert!(matches!(status, ActivityStatus::Completed(_)), "{id}: {status:?}");
    }

    async fn wait(&self, condition: impl FnMut(&MockFrontend) -> bool) {
        self.frontend.wait_until(condition).await.expect("it comes about");
    }
}

/// A server that is, for the moment, the wrong one for these options.
async fn broken(network: Network, frontend: &MockFrontend) -> (ServedFrontend, ConnectionOptions) {
    let tls = || MockTls::new().expect("certificates");
    let mut served = match network {
        Network::Refused | Network::Silent | Network::TlsToPlain => frontend.serve().await,
        Network::PlainToTls | Network::WrongAuthority => frontend.serve_tls(tls()).await,
        Network::NoClientCertificate => {
            frontend.serve_tls(tls().require_client_certificate()).await
        }
    }
    .expect("a port");
    let mut options = served.connection_options();
    let with_scheme = |scheme| format!("{scheme}://localhost:{}", served.address().port());
    match network {
        Network::Refused | Network::Silent => served.stop().await,
        Network::PlainToTls => {
            options.target = Url::parse(&with_scheme("http")).expect("a URL");
            options.tls_options = None;
        }
        Network::TlsToPlain => {
            options.target = Url::parse(&with_scheme("https")).expect("a URL");
            options.tls_options = Some(tls().tls_options());
        }
        Network::WrongAuthority => options.tls_options = Some(tls().tls_options()),
        Network::NoClientCertificate => {
            let tls = options.tls_options.as_mut().expect("TLS is on");
            tls.client_tls_options = None;
        }
    }
    (served, options)
}

/// Accepts connections, as the kernel does for it, and never looks at them.
async fn listener(address: SocketAddr) -> TcpListener {
    TcpListener::bind(address).await.expect("the port is still free")
}
