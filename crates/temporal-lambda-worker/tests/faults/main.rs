//! The fault matrix: what can go wrong in which state, and what comes of it.
//!
//! Every case is a handler of its own against a mock frontend of its own. An invocation has 3 s, of
//! which the last 1.2 s are for shutting down; the grace period is 300 ms. After every case the
//! server is healed and a second invocation shows what the environment is still good for.
//!
//! In all cases: the worker is unregistered from its connection, none of its polls stays open, and
//! if it polled (and the server was there to hear it) it said goodbye.
//!
//! "Frozen" cases stand still by blocking the thread that the driver runs on, as it is for a driver
//! whose timers fire late. They have a second more, so that a busy machine thaws them in time. The SDK's threads go on meanwhile. Whole processes are stopped in the
//! end-to-end tests (`tests/e2e/network.rs`), and the driver's own tests let a clock jump in every
//! step (`src/driver/tests/ends.rs`).
//!
//! Settling takes microseconds, so nothing can be made to strike there; the driver's
//! tests drop and cancel at every moment. A clock that is set during an invocation cannot be shown
//! here either, since all cases share this machine's: the driver's tests let the monotonic clock run
//! away from the one on the wall.

mod fixture;
mod link;
mod remains;
mod strike;
#[path = "../support/mod.rs"]
mod support;
mod verdict;

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::frontend::{MockFrontend, On, Rpc};
use temporal_lambda_worker::Reason::{self, Cancelled, DeadlineNear, Failed, Idle};
use temporal_lambda_worker::lifecycle::State::{
    self, ColdStart, Configuring, Connected, Draining, Polling, TornDown,
};
use temporal_lambda_worker::lifecycle::Step;
use temporalio_client::tonic::Code;

use fixture::KEY;
use strike::Exit;
use strike::Gone::*;
use strike::Network::*;
use strike::Strike::{self, *};
use strike::Task::{Activity, Workflow};
use support::Place::*;
use support::TOO_LARGE;
use support::Way::*;
use verdict::After::{self, Either, Healthy, Poisoned};
use verdict::Callbacks::{self, NotEntered, Once, StructIsHeld};
use verdict::InTime::{self, Cannot, NoDeadline, Yes};
use verdict::{Expected, Seen, Table};

/// So many cases at a time: more would make a small machine late for deadlines.
const WIDTH: usize = 10;

/// Polling is over by then, the deadline is not.
const PAST_STOP: Duration = Duration::from_millis(2100);
/// A worker that has not stopped is given up by then; there is still time for the callbacks.
const PAST_CAPS: Duration = Duration::from_millis(2650);
/// The deadline is over by then.
const PAST_DEADLINE: Duration = Duration::from_millis(3100);

/// One row: where the fault strikes, what it is, how; and what should come of it.
struct Case(
    State,
    &'static str,
    Strike,
    Option<Reason>,
    &'static str,
    &'static [&'static str],
    Callbacks,
    InTime,
    After,
);

const NONE: &[&str] = &[];
const LEFT: &[&str] = &["NotSettled"];

#[rustfmt::skip]
const CASES: &[Case] = &[
    //   state        fault                                       how                                      reason              first error                 later   callbacks     in time     afterwards
    Case(ColdStart,   "nothing",                                  Nothing,                                 Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(ColdStart,   "deadline is past",                         Event(|it| it.lasting(ms(0))),           None,               "TooLate",                  NONE,   NotEntered,   Cannot,     Healthy),
    Case(ColdStart,   "deadline in 90 ms",                        Event(|it| it.lasting(ms(90))),          None,               "TooLate",                  NONE,   NotEntered,   Yes,        Healthy),
    Case(ColdStart,   "no deadline: runs until cancelled",        Event(|it| it.unlimited()),              Some(Cancelled),    "",                         NONE,   Once,         NoDeadline, Healthy),
    Case(ColdStart,   "clock is far behind: deadline in 500 y",   Event(|it| it.lasting(YEAR * 500)),      Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(ColdStart,   "clock is far ahead: deadline in 1970",     Event(|it| it.until(std::time::UNIX_EPOCH)), None,           "TooLate",                  NONE,   NotEntered,   Cannot,     Healthy),
    Case(ColdStart,   "frozen before the event is looked at",     Frozen(Step::ColdStart, PAST_STOP),      Some(Failed),       "TooLittleTime",            NONE,   Once,         Yes,        Healthy),
    Case(ColdStart,   "token cancelled before the event",         CancelledBefore,                         Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(ColdStart,   "future dropped before it was polled",      NeverPolled,                             None,               "",                         NONE,   NotEntered,   Yes,        Healthy),

    Case(Configuring, "configure errs",                           In(Configure, Errs),                     Some(Failed),       "ConfigureFailed",          NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "configure panics",                         In(Configure, Panics),                   Some(Failed),       "Panicked",                 NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "configure hangs",                          In(Configure, Hangs),                    Some(Failed),       "OutOfTime",                NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "configure never yields",                   In(Configure, Blocks),                   Some(Failed),       "OutOfTime",                LEFT,   StructIsHeld, Yes,        Poisoned),
    Case(Configuring, "configure names no task queue",            Leaves(|it| it.worker_options.task_queue.clear()), Some(Failed), "Configuration",        NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "configure leaves a buffer too small",      Leaves(|it| it.shutdown_deadline_buffer = Some(ms(500))), Some(Failed), "Configuration", NONE,  Once,         Yes,        Healthy),
    Case(Configuring, "configure leaves 1 s for work",            Leaves(|it| it.shutdown_deadline_buffer = Some(ms(2000))), Some(Failed), "TooLittleTime", NONE, Once,         Yes,        Healthy),
    Case(Configuring, "token cancelled in configure",             Strike::Cancelled(Step::Configuring),    Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "future dropped in configure",              Dropped(Step::Configuring),              Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "frozen in configure, past the stop",       Frozen(Step::Configuring, PAST_STOP),    Some(Failed),       "OutOfTime",                NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "configure errs, on_shutdown never yields", Both((Configure, Errs), (OnShutdown, Blocks)), Some(Failed), "ConfigureFailed",          LEFT,   Once,         Yes,        Poisoned),

    Case(Configuring, "connection refused",                       Network(Refused),                        Some(Failed),       "TemporalUnreachable",      NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "connection accepted, then silence",        Network(Silent),                         Some(Failed),       "OutOfTime",                NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "server speaks TLS, worker does not",       Network(PlainToTls),                     Some(Failed),       "TemporalUnreachable",      NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "worker speaks TLS, server does not",       Network(TlsToPlain),                     Some(Failed),       "TemporalUnreachable",      NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "certificate of an unknown authority",      Network(WrongAuthority),                 Some(Failed),       "TemporalUnreachable",      NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "client certificate is missing",            Network(NoClientCertificate),            Some(Failed),       "TemporalUnreachable",      NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "hang in connect",                          Server(|it| drop(it.on(SYSTEM).hang().always())), Some(Failed), "OutOfTime",             NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "unauthenticated",                          Server(|it| { it.require_api_key(KEY); }), Some(Failed),    "TemporalRefused",          NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "resource exhausted in connect",            Server(|it| drop(it.on(SYSTEM).fail(BUSY, "busy").always())), Some(Failed), "TemporalAnsweredWithError", NONE, Once, Yes, Healthy),
    Case(Configuring, "unavailable in connect",                   Server(|it| drop(it.on(SYSTEM).fail(AWAY, "away").always())), Some(Failed), "TemporalUnreachable", NONE, Once,  Yes, Healthy),
    Case(Configuring, "connection lost in connect",               Server(|it| drop(it.on(SYSTEM).drop_connection().always())), Some(Failed), "TemporalUnreachable", NONE, Once,   Yes, Healthy),
    Case(Configuring, "malformed answer in connect",              Server(|it| drop(it.on(SYSTEM).malformed().always())), Some(Failed), "TemporalAnsweredWithError", NONE, Once,   Yes, Healthy),
    Case(Configuring, "token cancelled in connect",               Strike::Cancelled(Step::Connecting),     Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "future dropped in connect",                Dropped(Step::Connecting),               Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(Configuring, "frozen in connect, past the stop",         Frozen(Step::Connecting, PAST_STOP),     Some(Failed),       "OutOfTime",                NONE,   Once,         Yes,        Healthy),

    Case(Connected,   "permission denied",                        Server(|it| { it.permission_denied(); }), Some(Failed),     "TemporalRefused",          NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "namespace not found",                      Server(|it| { it.remove_namespace("default"); }), Some(Failed), "NamespaceNotFound",    NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "hang in describing the namespace",         Server(|it| drop(it.on(DESCRIBE).hang().always())), Some(Failed), "OutOfTime",           NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "resource exhausted for good",              Server(|it| drop(it.on(DESCRIBE).fail(BUSY, "busy").always())), Some(Failed), "OutOfTime", NONE, Once,         Yes,        Healthy),
    Case(Connected,   "unavailable twice, then not",              Server(|it| drop(it.on(DESCRIBE).fail(AWAY, "away").times(2))), Some(DeadlineNear), "",  NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "on_start errs",                            In(OnStart, Errs),                       Some(Failed),       "OnStartFailed",            NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "on_start panics",                          In(OnStart, Panics),                     Some(Failed),       "Panicked",                 NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "on_start hangs",                           In(OnStart, Hangs),                      Some(Failed),       "OutOfTime",                NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "on_start never yields",                    In(OnStart, Blocks),                     Some(Failed),       "OutOfTime",                LEFT,   StructIsHeld, Yes,        Poisoned),
    Case(Connected,   "on_start errs, a hook never yields",       Both((OnStart, Errs), (Hook, Blocks)),   Some(Failed),       "OnStartFailed",            LEFT,   Once,         Yes,        Poisoned),
    Case(Connected,   "on_start cancels the worker",              StoppedByItself,                         Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "token cancelled in creation",              Strike::Cancelled(Step::Creating),       Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "token cancelled in on_start",              Strike::Cancelled(Step::Starting),       Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "future dropped in creation",               Dropped(Step::Creating),                 Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "future dropped in on_start",               Dropped(Step::Starting),                 Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "frozen in creation, past the stop",        Frozen(Step::Creating, PAST_STOP),       Some(Failed),       "OutOfTime",                NONE,   Once,         Yes,        Healthy),
    Case(Connected,   "frozen in on_start, past the stop",        Frozen(Step::Starting, PAST_STOP),       Some(Failed),       "OutOfTime",                NONE,   Once,         Yes,        Healthy),

    Case(Polling,     "server gone",                              ServerGone(Step::Polling, Away),         Some(DeadlineNear), "ServerTrouble",                  NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "server gone and back again",               ServerGone(Step::Polling, BackAgain),    Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "connection lost",                          WhilePolling(|it| it.drop_connections()), Some(DeadlineNear), "",                        NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "connection closed under a completion",     GoesAway(Duration::ZERO),                Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "connection goes away, calls may end",      GoesAway(YEAR),                          Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "resource exhausted at every poll",         Server(|it| polls(it, |on| drop(on.fail(BUSY, "busy").always()))), Some(DeadlineNear), "ServerTrouble", NONE,  Once,       Yes,        Healthy),
    Case(Polling,     "every poll is malformed",                  Server(|it| polls(it, |on| drop(on.malformed().always()))), Some(DeadlineNear), "ServerTrouble",      NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "a poll's answer is fatal: worker fails",   Server(|it| polls(it, |on| drop(on.fail(BUSY, TOO_LARGE)))), Some(Failed), "WorkerFailed", NONE, Once,          Yes,        Healthy),
    Case(Polling,     "worker fails while an activity waits",     WorkerFailsWhile(Activity("polite")),    Some(Failed),       "WorkerFailed",             NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "worker fails while an activity sleeps",    WorkerFailsWhile(Activity("stubborn")),  Some(Failed),       "WorkerFailed",             NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "worker fails while a local one sleeps",    WorkerFailsWhile(Workflow("WaitsForItself")),Some(Failed),       "WorkerFailed",             NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "worker fails, a hook never yields",        WorkerFailsAnd((Hook, Blocks)),              Some(Failed),       "WorkerFailed",             LEFT,   Once,         Yes,        Poisoned),
    Case(Polling,     "an activity panics",                       Task(Activity("panicking")),             Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "token cancelled, an activity in flight",   Strike::Cancelled(Step::Polling),        Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "future dropped, an activity in flight",    Dropped(Step::Polling),                  Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "frozen, past the stop",                    Frozen(Step::Polling, PAST_STOP),        Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Polling,     "frozen, past the deadline",                Frozen(Step::Polling, PAST_DEADLINE),    Some(DeadlineNear), "WorkerNotStopped",         NONE,   Once,         Cannot,     Either),

    Case(Draining,    "activity waits for its cancellation",      Task(Activity("polite")),                Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "activity ignores its cancellation",        Task(Activity("stubborn")),              Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "activity blocks its thread",               Task(Activity("blocking")),              Some(DeadlineNear), "WorkerNotStopped",         LEFT,   Once,         Yes,        Poisoned),
    Case(Draining,    "workflow blocks its thread",               Task(Workflow("BlocksItsThread")),       Some(DeadlineNear), "WorkerNotStopped",         LEFT,   Once,         Yes,        Poisoned),
    Case(Draining,    "an activity's result is not answered",     Unanswered(Activity("quick")),           Some(DeadlineNear), "ServerTrouble",            NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "an activity's failure is not answered",    Unanswered(Activity("panicking")),       Some(DeadlineNear), "ServerTrouble",            NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "a workflow task's result is not answered", Unanswered(Workflow("EndsAtOnce")),      Some(DeadlineNear), "ServerTrouble",            NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "hang in ShutdownWorker",                   Server(|it| drop(it.on(GOODBYE).hang().always())), Some(DeadlineNear), "",               NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "ShutdownWorker fails",                     Server(|it| drop(it.on(GOODBYE).fail(Code::Unimplemented, "old").always())), Some(DeadlineNear), "",               NONE, Once, Yes,   Healthy),
    Case(Draining,    "server gone, an activity in flight",       ServerGone(Step::Stopping, Away),        Some(DeadlineNear), "ServerTrouble",         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "token cancelled, activity is stubborn",    Strike::Cancelled(Step::Stopping),       Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "future dropped, activity is stubborn",     Dropped(Step::Stopping),                 Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "token cancelled in a hook",                Strike::Cancelled(Step::Hooks),          Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "token cancelled in on_shutdown",           Strike::Cancelled(Step::Farewell),       Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "future dropped in a hook",                 Dropped(Step::Hooks),                    Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "future dropped in on_shutdown",            Dropped(Step::Farewell),                 Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "frozen while the worker stops",            Frozen(Step::Stopping, PAST_CAPS),       Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "frozen in a hook, past the deadline",      Frozen(Step::Hooks, PAST_DEADLINE),      Some(DeadlineNear), "NotSettled",               NONE,   Once,         Cannot,     Either),
    Case(Draining,    "frozen in on_shutdown, past the deadline", Frozen(Step::Farewell, PAST_DEADLINE),   Some(DeadlineNear), "NotSettled",               NONE,   Once,         Cannot,     Either),
    Case(Draining,    "a hook errs",                              In(Hook, Errs),                          Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "a hook panics",                            In(Hook, Panics),                        Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "a hook hangs",                             In(Hook, Hangs),                         Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "a hook never yields",                      In(Hook, Blocks),                        Some(DeadlineNear), "NotSettled",               NONE,   Once,         Yes,        Poisoned),
    Case(Draining,    "on_shutdown errs",                         In(OnShutdown, Errs),                    Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "on_shutdown panics",                       In(OnShutdown, Panics),                  Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "on_shutdown hangs",                        In(OnShutdown, Hangs),                   Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "on_shutdown never yields",                 In(OnShutdown, Blocks),                  Some(DeadlineNear), "NotSettled",               NONE,   Once,         Yes,        Poisoned),

    Case(Draining,    "server is far away: idle",                 Far(Exit::Idle),                         Some(Idle),         "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "server is far away: deadline",             Far(Exit::Deadline),                     Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "server is far away: cancellation",         Far(Exit::Cancellation),                 Some(Cancelled),    "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "server is far away: worker fails",         Far(Exit::Worker),                       Some(Failed),       "WorkerFailed",             NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "server is far away: a hook errs",          Far(Exit::Hook),                         Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "every poll is refused: idle",              Unpolled(Exit::Idle),                    Some(Idle),         "TemporalRefused",          NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "every poll is refused: deadline",          Unpolled(Exit::Deadline),                Some(DeadlineNear), "TemporalRefused",          NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "every poll is refused: cancellation",      Unpolled(Exit::Cancellation),            Some(Cancelled),    "TemporalRefused",          NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "every poll is refused: worker fails",      Unpolled(Exit::Worker),                  Some(Failed),       "WorkerFailed",             NONE,   Once,         Yes,        Healthy),
    Case(Draining,    "every poll is refused: a hook errs",       Unpolled(Exit::Hook),                    Some(DeadlineNear), "TemporalRefused",          NONE,   Once,         Yes,        Healthy),

    Case(TornDown,    "token cancelled after the end",            Strike::Cancelled(Step::Healthy),        Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(TornDown,    "future dropped after the end",             Dropped(Step::Healthy),                  Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(TornDown,    "frozen between two events",                Frozen(Step::Healthy, PAST_STOP),        Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(TornDown,    "server restarted between two events",      ServerGone(Step::Healthy, BackAgain),    Some(DeadlineNear), "",                         NONE,   Once,         Yes,        Healthy),
    Case(TornDown,    "an event after the environment is poisoned", AfterPoison,                           None,               "Poisoned",                 NONE,   NotEntered,   Yes,        Poisoned),
];

const SYSTEM: Rpc = Rpc::GetSystemInfo;
const DESCRIBE: Rpc = Rpc::DescribeNamespace;
const GOODBYE: Rpc = Rpc::ShutdownWorker;
const BUSY: Code = Code::ResourceExhausted;
const AWAY: Code = Code::Unavailable;
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Scripts every kind of long poll.
fn polls(frontend: &MockFrontend, script: fn(On<'_>)) {
    for rpc in [Rpc::PollWorkflowTaskQueue, Rpc::PollActivityTaskQueue, Rpc::PollNexusTaskQueue] {
        script(frontend.on(rpc));
    }
}

#[test]
fn every_fault_in_every_state_ends_in_time_and_leaves_nothing_behind() {
    let _limit = TimeLimit::of(Duration::from_secs(600));
    // Without a backtrace: on a busy machine, one of a debug build takes longer than a case has.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Seen>>> = Mutex::new(CASES.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..WIDTH.min(CASES.len()) {
            scope.spawn(|| {
                while let Some((index, case)) = take(&next) {
                    let seen = play(case.2);
                    results.lock().expect("nobody panics under it")[index] = seen;
                }
            });
        }
    });
    let (mut table, mut wrong) = (Table::default(), String::new());
    let results = results.into_inner().expect("nobody panics under it");
    for (case, seen) in CASES.iter().zip(results) {
        let &Case(state, fault, _, reason, first, later, callbacks, in_time, after) = case;
        let expected = Expected { reason, first, later, callbacks, in_time, after };
        let seen = seen.unwrap_or_else(Seen::of_panic);
        let differences = seen.differences(&expected);
        table.add(state.name(), fault, &seen, differences.is_empty());
        for difference in differences {
            wrong.push_str(&format!("{state}, {fault}: {difference}\n"));
        }
    }
    // Not `print!`, which only shows what failed.
    let _ = writeln!(std::io::stdout().lock(), "\n{table}");
    assert!(wrong.is_empty(), "{wrong}");
}

fn take(next: &AtomicUsize) -> Option<(usize, &'static Case)> {
    let index = next.fetch_add(1, Ordering::SeqCst);
    Some((index, CASES.get(index)?))
}

/// Plays a case on this thread, driver included, so that it can be made to stand still.
fn play(strike: Strike) -> Option<Seen> {
    let play = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime starts").block_on(fixture::play(strike))
    };
    std::panic::catch_unwind(play).ok()
}
