//! What can strike, as data: each is one line of the table.

use std::time::Duration;

use temporal_lambda_testkit::context::TestContext;
use temporal_lambda_testkit::frontend::{ActivityStart, MockFrontend, Rpc, WorkflowStart};
use temporal_lambda_worker::LambdaWorkerConfig;
use temporal_lambda_worker::lifecycle::Step;
use temporalio_client::tonic::Code;

use crate::support::{Place, QUEUE, TOO_LARGE, Way};

/// A fault, and when it strikes.
#[derive(Clone, Copy)]
pub(crate) enum Strike {
    /// Nothing goes wrong.
    Nothing,
    /// User code goes wrong.
    In(Place, Way),
    /// User code goes wrong twice.
    Both((Place, Way), (Place, Way)),
    /// `configure` leaves something that cannot work.
    Leaves(fn(&mut LambdaWorkerConfig)),
    /// The way to the server is broken.
    Network(Network),
    /// The server misbehaves from the start.
    Server(fn(&MockFrontend)),
    /// A poll's answer is fatal to the worker, and then user code goes wrong.
    WorkerFailsAnd((Place, Way)),
    /// A task of the worker has begun when a poll's answer is fatal to the worker.
    WorkerFailsWhile(Task),
    /// The server is far away, and the invocation ends like this.
    Far(Exit),
    /// Every poll is refused, and the invocation ends like this.
    Unpolled(Exit),
    /// The connection goes away under a completion; calls have this long to end.
    GoesAway(Duration),
    /// The server misbehaves as soon as the worker polls.
    WhilePolling(fn(&MockFrontend)),
    /// The server is gone from this step on.
    ServerGone(Step, Gone),
    /// A task of the worker goes wrong.
    Task(Task),
    /// The server never responds to the worker's answer to this task.
    Unanswered(Task),
    /// The handler's stop token is cancelled in this step.
    Cancelled(Step),
    /// The handler's stop token is cancelled before the event arrives.
    CancelledBefore,
    /// `on_start` cancels the worker's own token.
    StoppedByItself,
    /// The handler's future is dropped in this step.
    Dropped(Step),
    /// The handler's future is dropped before it was polled.
    NeverPolled,
    /// The driver stands still from this step on, until so long after the arrival.
    Frozen(Step, Duration),
    /// The event is a strange one. It is cancelled after 300 ms of polling.
    Event(fn(TestContext) -> TestContext),
    /// An invocation after one that poisoned the environment.
    AfterPoison,
}

/// How the way to the server is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// Nobody listens.
    Refused,
    /// Somebody listens and never says a word.
    Silent,
    /// The server speaks TLS, the worker does not.
    PlainToTls,
    /// The worker speaks TLS, the server does not.
    TlsToPlain,
    /// The worker trusts another authority than the server's.
    WrongAuthority,
    /// The server wants a client certificate and the worker has none.
    NoClientCertificate,
}

/// How an invocation comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It has had nothing to do.
    Idle,
    /// Its time is over.
    Deadline,
    /// The handler's stop token is cancelled.
    Cancellation,
    /// A poll's answer is fatal to the worker.
    Worker,
    /// Its time is over, and a hook errs.
    Hook,
}

/// For how long a server is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Until the invocation is over.
    Away,
    /// It is back at once.
    BackAgain,
}

/// What the worker is handed once it polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Activity(&'static str),
    Workflow(&'static str),
}

impl Task {
    pub(crate) fn hand_out(self, frontend: &MockFrontend) {
        match self {
            Self::Activity(kind) => {
                let kind = format!("Work::{kind}");
                frontend.schedule_activity(ActivityStart::new(QUEUE, kind, "task"));
            }
            Self::Workflow(kind) => {
                frontend.start_workflow(WorkflowStart::new(QUEUE, kind, "task"));
            }
        }
    }
}

impl Strike {
    /// What user code has to do for this.
    pub(crate) fn wrong(self) -> Vec<(Place, Way)> {
        match self {
            Self::In(place, way) => vec![(place, way)],
            Self::WorkerFailsAnd(wrong) => vec![wrong],
            Self::Both(one, other) => vec![one, other],
            Self::Far(Exit::Hook) | Self::Unpolled(Exit::Hook) => vec![(Place::Hook, Way::Errs)],
            Self::Cancelled(step) | Self::Dropped(step) | Self::Frozen(step, _) => match step {
                Step::Configuring => vec![(Place::Configure, Way::Hangs)],
                Step::Starting => vec![(Place::OnStart, Way::Hangs)],
                Step::Hooks => vec![(Place::Hook, Way::Hangs)],
                Step::Farewell => vec![(Place::OnShutdown, Way::Hangs)],
                _ => Vec::new(),
            },
            Self::AfterPoison => vec![(Place::Hook, Way::Blocks)],
            _ => Vec::new(),
        }
    }

    /// What the server has to do from the start.
    pub(crate) fn prepare(self, frontend: &MockFrontend) {
        match self {
            Self::Server(misbehave) => misbehave(frontend),
            Self::WorkerFailsAnd(_) => {
                let poll = frontend.on(Rpc::PollWorkflowTaskQueue);
                poll.fail(Code::ResourceExhausted, TOO_LARGE);
            }
            Self::Unpolled(exit) => {
                if exit == Exit::Worker {
                    // Later than the others are refused.
                    let poll = frontend.on(Rpc::PollWorkflowTaskQueue);
                    let fails = poll.fail(Code::ResourceExhausted, TOO_LARGE);
                    fails.delayed_by(Duration::from_millis(500));
                }
                crate::polls(frontend, |on| drop(on.fail(Code::PermissionDenied, "no").always()));
            }
            Self::Unanswered(task) => {
                for rpc in ANSWERS {
                    frontend.on(rpc).hang().always();
                }
                task.hand_out(frontend);
            }
            // Something that ends while nobody looks, or that the server never hears of.
            Self::Frozen(Step::Stopping, _) | Self::ServerGone(Step::Stopping, _) => {
                Task::Activity("polite").hand_out(frontend);
            }
            // What makes the invocation stay in a step.
            Self::Cancelled(step) | Self::Dropped(step) | Self::Frozen(step, _) => match step {
                Step::Connecting => {
                    frontend.on(Rpc::GetSystemInfo).hang().always();
                }
                Step::Creating => {
                    frontend.on(Rpc::DescribeNamespace).hang().always();
                }
                Step::Stopping => Task::Activity("stubborn").hand_out(frontend),
                Step::Polling => Task::Activity("polite").hand_out(frontend),
                _ => {}
            },
            _ => {}
        }
    }

    /// Whether the server keeps what it was told of a task to itself.
    pub(crate) fn is_unanswered(self) -> bool {
        matches!(self, Self::Unanswered(_))
    }

    /// Whether the server hears nothing of the worker's end.
    pub(crate) fn is_server_gone(self) -> bool {
        matches!(self, Self::ServerGone(_, Gone::Away))
    }
}

const ANSWERS: [Rpc; 4] = [
    Rpc::RespondWorkflowTaskCompleted,
    Rpc::RespondActivityTaskCompleted,
    Rpc::RespondActivityTaskFailed,
    Rpc::RespondActivityTaskCanceled,
];

/// Takes back what was done to the server.
pub(crate) fn heal(frontend: &MockFrontend) {
    let scripted = [
        Rpc::GetSystemInfo,
        Rpc::DescribeNamespace,
        Rpc::PollWorkflowTaskQueue,
        Rpc::PollActivityTaskQueue,
        Rpc::PollNexusTaskQueue,
        Rpc::ShutdownWorker,
    ];
    for rpc in scripted.into_iter().chain(ANSWERS) {
        frontend.clear_scripts(&rpc);
    }
    frontend.permission_granted();
    frontend.remove_namespace("default").namespace("default");
}
