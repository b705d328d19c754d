//! One case, played: a server, a handler, a fault, and a second invocation to see what is left.

use std::time::{Duration, Instant, SystemTime};

use temporal_lambda_testkit::context::TestContext;
use temporal_lambda_testkit::frontend::{
    ActivityStart, ActivityStatus, MockFrontend, Rpc, ServedFrontend,
};
use temporal_lambda_worker::lifecycle::{State, Step};
use temporal_lambda_worker::{
    InvocationReport, LambdaWorkerConfig, LambdaWorkerError, LambdaWorkerHandler,
};
use temporalio_client::tonic::Code;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::link::{broken, far, listener};
use crate::strike::{Exit, Gone, Network, Strike, Task};
use crate::support::{BOUND, BUFFER, QUEUE, Subject, TIME, TOO_LARGE, invocation};
use crate::verdict::{InTime, Seen};

/// The API key that servers ask for in the cases about credentials.
pub(crate) const KEY: &str = "right";
pub(crate) const FAULTY: &str = "faulty";
pub(crate) const NEXT: &str = "next";

/// How much longer an invocation has for its end if it is frozen before.
const MORE: Duration = Duration::from_secs(1);

type Outcome = Result<InvocationReport, LambdaWorkerError>;

pub(crate) struct Fixture {
    pub(crate) strike: Strike,
    pub(crate) frontend: MockFrontend,
    pub(crate) served: Option<ServedFrontend>,
    pub(crate) silent: Option<TcpListener>,
    pub(crate) subject: Subject,
    pub(crate) handler: LambdaWorkerHandler<Subject>,
}

/// Makes an invocation end as soon as it is idle.
pub(crate) fn end_soon_when_idle(config: &mut LambdaWorkerConfig) {
    config.idle_timeout = Some(Duration::from_millis(50));
    config.minimum_stay = Duration::from_millis(100);
}

/// Plays one case.
pub(crate) async fn play(strike: Strike) -> Seen {
    let mut fixture = Fixture::new(strike).await;
    if let Strike::AfterPoison = strike {
        let poisoned = fixture.handler.handle(invocation("earlier").event(())).await;
        assert!(poisoned.expect_err("a blocked thread").is_poisoned());
    }
    let arrived = Instant::now();
    let event = fixture.event();
    let deadline = event.build().deadline;
    let outcome = fixture.invoke(&event).await;
    let took = arrived.elapsed();

    let mut seen = Seen::new(took);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    seen.in_time = match deadline {
        0 => InTime::NoDeadline,
        _ if now.as_millis() < u128::from(deadline) => InTime::Yes,
        _ => InTime::Cannot,
    };
    seen.outcome(outcome, fixture.subject.told(FAULTY));
    fixture.catch_up().await;
    seen.callbacks(&fixture.subject.log_of(FAULTY));
    fixture.look_for_remains(&mut seen).await;
    fixture.heal().await;
    fixture.invoke_again(&mut seen).await;
    fixture.subject.0.gate.open();
    seen
}

impl Fixture {
    async fn new(strike: Strike) -> Self {
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
            Strike::ServerGone(..) | Strike::GoesAway(_) => {
                let served = frontend.serve().await.expect("a port");
                let options = served.connection_options();
                (Some(served), options)
            }
            Strike::Far(_) => (None, far(&frontend)),
            _ => (None, frontend.connection_options()),
        };
        let subject = Subject::new(options);
        let handler = subject.handler();
        strike.prepare(&frontend);
        let mut manners = subject.manners();
        manners.wrong = strike.wrong();
        match strike {
            Strike::Leaves(tweak) => manners.tweak = tweak,
            Strike::Far(Exit::Idle) | Strike::Unpolled(Exit::Idle) => {
                manners.tweak = end_soon_when_idle
            }
            Strike::Frozen(_, until) if until < crate::PAST_DEADLINE => {
                manners.tweak = |config| config.shutdown_deadline_buffer = Some(BUFFER + MORE);
            }
            Strike::StoppedByItself => manners.on_start = |running| running.stop.cancel(),
            _ => {}
        }
        drop(manners);
        Self { strike, frontend, served, silent, subject, handler }
    }

    fn event(&self) -> TestContext {
        let event = invocation(FAULTY);
        match self.strike {
            Strike::Event(change) => change(event),
            Strike::Frozen(_, until) if until < crate::PAST_DEADLINE => event.lasting(TIME + MORE),
            // Much longer than it stays.
            Strike::Far(Exit::Idle) | Strike::Unpolled(Exit::Idle | Exit::Cancellation) => {
                event.lasting(BOUND)
            }
            _ => event,
        }
    }

    /// Invokes the handler and strikes. `None`: the future was dropped.
    async fn invoke(&mut self, event: &TestContext) -> Option<Outcome> {
        if let Strike::CancelledBefore = self.strike {
            self.handler.shutdown_token().cancel();
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
            Strike::WorkerFailsWhile(task) => self.fail_while(task).await,
            Strike::GoesAway(grace) => self.go_away(grace).await,
            Strike::Far(exit) => match exit {
                Exit::Idle | Exit::Deadline | Exit::Hook => {
                    self.reach(Step::Quiescing).await;
                    // For the last polls.
                    Task::Activity("quick").hand_out(&self.frontend);
                }
                Exit::Cancellation => {
                    self.reach(Step::Polling).await;
                    self.begin(Task::Activity("polite")).await;
                    self.handler.shutdown_token().cancel();
                }
                Exit::Worker => self.fail_while(Task::Activity("polite")).await,
            },
            Strike::Unpolled(Exit::Cancellation) => {
                // The second comes when the worker has heard of the first.
                self.wait(|it| it.count(Rpc::PollActivityTaskQueue) > 1).await;
                self.handler.shutdown_token().cancel();
            }
            Strike::Cancelled(step) => {
                self.reach(step).await;
                self.handler.shutdown_token().cancel();
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

    /// Has a task begun when a poll's answer is fatal to the worker.
    async fn fail_while(&self, task: Task) {
        self.reach(Step::Polling).await;
        self.begin(task).await;
        let poll = self.frontend.on(Rpc::PollWorkflowTaskQueue);
        poll.fail(Code::ResourceExhausted, TOO_LARGE);
        // The polls under way end, and the next one has that answer.
        self.frontend.drop_connections();
    }

    /// Hands a task out, and waits until its activity has begun.
    async fn begin(&self, task: Task) {
        let mut begun = self.subject.0.begun.subscribe();
        task.hand_out(&self.frontend);
        let begun = begun.wait_for(|begun| *begun > 0);
        timeout(BOUND, begun).await.expect("it begins").expect("it lives");
    }

    /// The connection goes away under a completion; then there is more to do.
    async fn go_away(&self, grace: Duration) {
        self.reach(Step::Polling).await;
        let completion = || self.frontend.on(Rpc::RespondActivityTaskCompleted);
        match grace {
            Duration::ZERO => completion().hang(),
            _ => completion().delay(Duration::from_millis(200)),
        };
        self.schedule("task");
        self.wait(|it| it.count(Rpc::RespondActivityTaskCompleted) > 0).await;
        self.served.as_ref().expect("it is served").go_away(grace);
        self.schedule("after it");
        for id in ["task", "after it"] {
            self.completed(id).await;
        }
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
            self.handler.shutdown_token().cancel();
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

    pub(crate) fn schedule(&self, id: &str) {
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
