//! Several invocations at once in one handler: each has a lifecycle and a worker of its own, all
//! share a connection, and none hears of another.

mod support;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::frontend::{ActivityStart, MockFrontend, Rpc};
use temporal_lambda_worker::lifecycle::Step;
use temporal_lambda_worker::report::ConnectionUse;
use temporal_lambda_worker::{
    Fault, InvocationReport, LambdaWorkerError, LambdaWorkerHandler, Reason,
};
use temporalio_client::{ConnectionOptions, GrpcCompression, Url};
use temporalio_common::protos::temporal::api::workflowservice::v1::RespondActivityTaskCompletedRequest;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use support::{BOUND, Manners, Place, QUEUE, Subject, TIME, Way, invocation};

/// So many at once.
const MANY: usize = 8;

/// A frontend behind a door that counts who comes in.
struct Door {
    frontend: MockFrontend,
    connections: Arc<AtomicUsize>,
    options: ConnectionOptions,
}

impl Door {
    async fn open() -> Self {
        let frontend = MockFrontend::new();
        let served = frontend.serve().await.expect("a port");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut options = served.connection_options();
        options.target = Url::parse(&format!("http://{address}")).expect("a URL");
        // The frontend knows none, and the SDK would come in again to say that it can do without.
        options.grpc_compression = GrpcCompression::None;
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let address = served.address();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(address).await.expect("it listens");
                    // It fails when either side hangs up, which is their business.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { frontend, connections, options }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn names() -> impl Iterator<Item = String> {
    (0..MANY).map(|number| format!("r-{number}"))
}

async fn at_once(
    handler: &LambdaWorkerHandler<Subject>,
    time: impl Fn(usize) -> Duration,
) -> Vec<Result<InvocationReport, LambdaWorkerError>> {
    let all = names().enumerate().map(|(number, name)| {
        tokio::spawn(handler.handle(invocation(&name).lasting(time(number)).event(())))
    });
    let all = timeout(BOUND, join_all(all)).await.expect("they end");
    all.into_iter().map(|it| it.expect("no panic")).collect()
}

/// Has [`MANY`] invocations at once until each has done two activities. Nobody can end one while
/// another invocation has none: all of them have to have begun.
async fn at_once_until_all_is_done(
    door: &Door,
    subject: &Subject,
    handler: &LambdaWorkerHandler<Subject>,
) -> Vec<InvocationReport> {
    subject.0.together.store(2 * MANY, Ordering::SeqCst);
    for number in 0..2 * MANY {
        let start = ActivityStart::new(QUEUE, "Work::whose", number.to_string());
        door.frontend.schedule_activity(start);
    }
    let stop = handler.shutdown_token();
    let done = async {
        let all = |it: &MockFrontend| it.count(Rpc::RespondActivityTaskCompleted) == 2 * MANY;
        door.frontend.wait_until(all).await.expect("all is done");
        stop.cancel();
    };
    let (reports, ()) = tokio::join!(at_once(handler, |_| BOUND), done);
    reports.into_iter().map(|it| it.expect("it is healthy")).collect()
}

fn log_of_all_is_in_order(subject: &Subject) {
    for name in names() {
        assert_eq!(
            subject.log_of(&name),
            ["configure", "on_start", "first hook", "second hook", "on_shutdown"],
            "{name}"
        );
        assert_eq!(subject.told(&name).expect("on_shutdown ran").report.request_id, name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_invocations_race_share_one_connection_and_are_all_healthy() {
    let _limit = TimeLimit::of_this_test();
    let door = Door::open().await;
    let subject = Subject::new(door.options.clone());
    let handler = subject.handler();
    let reports = at_once_until_all_is_done(&door, &subject, &handler).await;
    assert_eq!(reports.iter().filter(|it| it.cold_start).count(), 1, "one is the first");
    let made = |it: &&InvocationReport| it.connection == Some(ConnectionUse::New);
    assert_eq!(reports.iter().filter(made).count(), 1, "one makes the connection");
    assert_eq!(door.connections(), 1, "all share it");
    assert!(reports.iter().all(|it| it.tasks.activity.completed == 2), "{reports:?}");
    log_of_all_is_in_order(&subject);
    assert!(!handler.is_poisoned());
    assert!(door.frontend.open_polls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_has_its_own_identity_in_polls_in_results_and_in_its_activities() {
    let _limit = TimeLimit::of_this_test();
    let door = Door::open().await;
    let subject = Subject::new(door.options.clone());
    let handler = subject.handler();
    at_once_until_all_is_done(&door, &subject, &handler).await;

    let mut workers: HashMap<String, HashSet<String>> = HashMap::new();
    for poll in door.frontend.polls() {
        workers.entry(poll.identity).or_default().insert(poll.worker_instance_key);
    }
    assert_eq!(workers.len(), MANY, "an identity for each");
    assert!(workers.values().all(|keys| keys.len() == 1), "and one worker: {workers:?}");
    let goodbyes: HashSet<_> =
        door.frontend.shutdown_workers().into_iter().map(|it| it.worker_instance_key).collect();
    assert_eq!(goodbyes.len(), MANY, "each says goodbye for itself");

    let completions = door.frontend.completions();
    let completions = completions.iter().filter(|it| it.rpc == Rpc::RespondActivityTaskCompleted);
    let mut counts: HashMap<String, usize> = HashMap::new();
    for completion in completions {
        let request: RespondActivityTaskCompletedRequest = completion.decode().expect("a request");
        let result = request.result.expect("a result");
        let whose: String = serde_json::from_slice(&result.payloads[0].data).expect("a name");
        assert!(request.identity.starts_with(&format!("{whose}@")), "{}", request.identity);
        *counts.entry(whose).or_default() += 1;
    }
    assert_eq!(counts, names().map(|name| (name, 2)).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_has_its_own_time() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let subject = Subject::new(frontend.connection_options());
    let handler = subject.handler();
    let time =
        |number: usize| TIME + Duration::from_millis(250) * u32::try_from(number).unwrap_or(0);
    let began = Instant::now();
    let reports = at_once(&handler, time).await;
    let took = began.elapsed();
    let mut polled = Vec::new();
    let mut total = Duration::ZERO;
    for (number, report) in reports.into_iter().enumerate() {
        let report = report.expect("it is healthy");
        assert_eq!(report.reason, Some(Reason::DeadlineNear));
        let polled_until = Duration::from_millis(
            report.state_ms.configuring + report.state_ms.connected + report.state_ms.polling,
        );
        assert!(Duration::from_millis(report.total_ms) < time(number), "{number}: {report:?}");
        polled.push(polled_until);
        total += Duration::from_millis(report.total_ms);
    }
    // They arrive at about the same time, and each of the deadlines is 250 ms after the one before.
    let spread = polled[MANY - 1].saturating_sub(polled[0]);
    assert!(2 * spread > time(MANY - 1) - time(0), "{polled:?}");
    assert!(2 * took < total, "they ran at once: {took:?} for all, {total:?} in all");
    log_of_all_is_in_order(&subject);
}

#[tokio::test(flavor = "multi_thread")]
async fn warm_invocations_at_once_take_over_the_connection_that_there_is() {
    let _limit = TimeLimit::of_this_test();
    let door = Door::open().await;
    let subject = Subject::new(door.options.clone());
    *subject.manners() = ends_soon_when_idle();
    let handler = subject.handler();
    let first = handler.handle(invocation("first").event(())).await.expect("it is healthy");
    assert_eq!(first.connection, Some(ConnectionUse::New));
    for report in at_once(&handler, |_| TIME).await {
        let report = report.expect("it is healthy");
        assert_eq!(report.connection, Some(ConnectionUse::Reused));
        assert!(!report.cold_start);
    }
    assert_eq!(door.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_that_is_dropped_leaves_the_others_alone() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let subject = Subject::new(frontend.connection_options());
    let handler = subject.handler();
    let dropped = tokio::spawn(handler.handle(invocation("dropped").event(())));
    let other = tokio::spawn(handler.handle(invocation("other").event(())));
    let both_poll = |it: &MockFrontend| {
        let polls = it.open_polls();
        ["dropped@", "other@"].iter().all(|name| polls.iter().any(|p| p.identity.starts_with(name)))
    };
    frontend.wait_until(both_poll).await.expect("they poll");
    dropped.abort();
    let only_one_polls =
        |it: &MockFrontend| it.open_polls().iter().all(|poll| poll.identity.starts_with("other@"));
    frontend.wait_until(only_one_polls).await.expect("it ends in the background");
    let start = ActivityStart::new(QUEUE, "Work::whose", "task");
    frontend.schedule_activity(start);
    let report = timeout(BOUND, other).await.expect("it ends").expect("no panic");
    let report = report.expect("it is healthy");
    assert_eq!(report.reason, Some(Reason::DeadlineNear));
    assert_eq!(report.tasks.activity.completed, 1);
    assert_eq!(subject.told("dropped").expect("on_shutdown ran").reason, Reason::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_that_poisons_the_environment_does_not_cut_the_others_short() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let subject = Subject::new(frontend.connection_options());
    let handler = subject.handler();
    let longer = handler.handle(invocation("longer").lasting(2 * TIME).event(()));
    let longer = tokio::spawn(longer);
    let polls =
        |it: &MockFrontend| it.open_polls().iter().any(|p| p.identity.starts_with("longer@"));
    frontend.wait_until(polls).await.expect("it polls");
    subject.manners().wrong = vec![(Place::OnStart, Way::Blocks)];
    let poisoning = handler.handle(invocation("poisoning").event(())).await;
    let poisoning = poisoning.expect_err("it cannot be stopped");
    assert!(poisoning.is_poisoned() && handler.is_poisoned());
    assert_eq!(handler.active_invocations(), 1, "the other one is still under way");
    let refused = handler.handle(invocation("refused").event(())).await.expect_err("no more");
    assert!(matches!(refused.fault(), Fault::Poisoned) && refused.is_poisoned());
    assert!(subject.log_of("refused").is_empty());

    let report = timeout(BOUND, longer).await.expect("it ends").expect("no panic");
    let report = report.expect("it is healthy");
    assert_eq!(report.reason, Some(Reason::DeadlineNear));
    assert!(!report.poisoned);
    subject.0.gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stop_token_ends_them_all() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let subject = Subject::new(frontend.connection_options());
    let handler = subject.handler();
    let stop = handler.shutdown_token();
    let mut watch = handler.watch();
    let stopping = async {
        watch.wait_for(|it| it.step == Step::Polling).await.expect("it lives");
        stop.cancel();
    };
    let (reports, ()) = tokio::join!(at_once(&handler, |_| BOUND), stopping);
    for report in reports {
        assert_eq!(report.expect("it is healthy").reason, Some(Reason::Cancelled));
    }
    assert!(frontend.open_polls().is_empty());
}

/// Invocations that end as soon as there is nothing to do.
fn ends_soon_when_idle() -> Manners {
    Manners {
        tweak: |config| {
            config.idle_timeout = Some(Duration::from_millis(50));
            config.minimum_stay = Duration::from_millis(100);
        },
        ..Manners::default()
    }
}
