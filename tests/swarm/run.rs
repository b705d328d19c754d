//! One scenario, from the start of its server to the last workflow.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use futures_util::future::{join_all, join3};
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::server::DevServer;
use temporal_lambda_tests::{
    Proxy, World,
    losses::{Counts, Loss},
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    client::Client,
    environments::{self, Exit, Invoked, Program, functions},
    load::{Load, Worst},
    random::Random,
    scenario::{Scenario, Trouble},
    work::{self, Progress},
};

/// How often there is a line about the progress.
const LINE: Duration = Duration::from_secs(10);

/// A task that is given out so soon before the end of an invocation is given out at its exit: its
/// draining takes about a second.
const AT_AN_EXIT: Duration = Duration::from_millis(1_500);

/// How long a scenario may take after the last workflow was started. One whose tasks are lost again and again ends by
/// its own limits before.
const AFTER_THE_LAST_START: Duration = Duration::from_secs(600);

/// For how long a server that is restarted now and then runs, at least and at most.
const UP: (Duration, Duration) = (Duration::from_secs(12), Duration::from_secs(18));

/// How a scenario is run.
#[derive(Clone)]
pub(crate) struct Plan {
    /// For how long workflows are started.
    pub(crate) lasting: Duration,
    /// How many a second.
    pub(crate) rate: f64,
    pub(crate) random: Random,
    pub(crate) program: Program,
    /// Whether both we and a peer run: then there are deadline exits only.
    pub(crate) beside_a_peer: bool,
}

/// What came of it.
pub(crate) struct Ran {
    pub(crate) workflows: usize,
    pub(crate) invocations: Vec<Invoked>,
    pub(crate) done: Counts,
    /// With the workflow's ID.
    pub(crate) lost: Vec<(String, Loss)>,
    /// How many of the workflows were given up: nothing had happened to them for a while.
    pub(crate) not_ended: usize,
    /// How many of the swarm's own calls were refused because there were too many.
    pub(crate) refused: usize,
    /// When the server was restarted: from its end until it answered again.
    pub(crate) restarts: Vec<(SystemTime, SystemTime)>,
    pub(crate) worst: Worst,
    pub(crate) took: Duration,
}

impl Ran {
    pub(crate) fn exits(&self, exit: Exit) -> usize {
        self.invocations.iter().filter(|it| it.exit == exit).count()
    }

    pub(crate) fn lost_by_kind(&self) -> Counts {
        let mut counts = Counts::default();
        for (_, loss) in &self.lost {
            counts.add(loss.kind, 1);
        }
        counts
    }

    /// The invocation that was given a lost task, and how long before its end, if that is known.
    fn invoked(&self, loss: &Loss) -> Option<(&Invoked, Duration)> {
        let (identity, at) = loss.given.as_ref()?;
        let invoked = self.invocations.iter().find(|it| identity.contains(&it.request_id))?;
        Some((invoked, invoked.ended.duration_since(*at).unwrap_or_default()))
    }

    /// How many tasks were lost that were given to an invocation whose process was killed, or that had no server for a
    /// while after that.
    pub(crate) fn lost_by_trouble(&self) -> usize {
        let invoked = self.lost.iter().filter_map(|(_, loss)| self.invoked(loss));
        let in_trouble = |(it, before): &(&Invoked, Duration)| {
            it.exit == Exit::Killed || self.saw_no_server(it.ended - *before, it.ended)
        };
        invoked.filter(in_trouble).count()
    }

    /// Whether the server was away in some of this time.
    pub(crate) fn saw_no_server(&self, from: SystemTime, to: SystemTime) -> bool {
        self.restarts.iter().any(|(end, start)| from <= *start && *end <= to)
    }

    /// How many tasks were lost that were given out within [`AT_AN_EXIT`] of an invocation's end.
    pub(crate) fn lost_at_exits(&self) -> usize {
        let invoked = self.lost.iter().filter_map(|(_, loss)| self.invoked(loss));
        invoked.filter(|(_, before)| *before < AT_AN_EXIT).count()
    }

    /// A loss in words, with the invocation that was given the task, if that is known.
    pub(crate) fn describe(&self, id: &str, loss: &Loss) -> String {
        let mut text = format!("{id}: {}", loss.what);
        // A task that only carried an update has no identity once it timed out.
        if let Some((it, before)) = self.invoked(loss) {
            let (function, id, exit) = (&it.function, &it.request_id, it.exit);
            text.push_str(&format!(
                "; given to {function} {before:.1?} before the end of its invocation {id} ({exit:?})"
            ));
            let given = it.ended - before;
            if let Some((end, _)) = self.restarts.iter().find(|(_, start)| given <= *start) {
                let left = end.duration_since(given).unwrap_or_default();
                text.push_str(&format!(", {left:.1?} before the server went away"));
            }
            if let Some((_, start)) = self.restarts.iter().rev().find(|(_, start)| *start < given) {
                let since = given.duration_since(*start).unwrap_or_default();
                text.push_str(&format!(", {since:.1?} after it had come back"));
            }
        }
        text
    }
}

pub(crate) async fn run(scenario: &Scenario, plan: Plan) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    let server = scenario.server(folder.path()).start().await.expect("the dev server starts");
    let proxy = Proxy::with_round_trip(&server.address(), scenario.round_trip).await;
    // Functions take the long way only where there is one.
    let address = if scenario.round_trip.is_zero() { server.address() } else { proxy.address() };
    let limit = TimeLimit::of(plan.lasting + AFTER_THE_LAST_START);
    let world = World::limited(&address, scenario.name, limit).await;
    world.temporal().await;
    let client = Client::connect(&server.address(), &world.name).await;
    let functions = functions(&world, &plan.program, plan.beside_a_peer);

    let jobs = work::jobs(&mut plan.random.fork(0), plan.lasting, plan.rate);
    let (progress, load, finished) = (Progress::default(), Load::watch(), CancellationToken::new());
    let began = Instant::now();
    let environments = functions.iter().zip(1..).map(|(function, number)| {
        environments::roll(function, plan.random.fork(number), scenario.trouble, &finished)
    });
    let ids = (0..jobs.len()).map(|number| world.id(number)).collect::<Vec<_>>();
    let swarm = async {
        let each = jobs.iter().zip(&ids);
        let each = each.map(|(job, id)| work::carry_out(job, id, &client, began, &progress));
        let readings = tokio::select! {
            readings = join_all(each) => readings,
            () = tell(scenario, &plan, jobs.len(), &progress) => unreachable!("it goes on"),
            () = client.crowd(), if scenario.trouble == Trouble::Refusals => unreachable!("it goes on"),
        };
        finished.cancel();
        readings
    };
    let keeping = keep(server, scenario.trouble, plan.random.fork(99), &finished);
    let (readings, invocations, (server, restarts)) =
        join3(swarm, join_all(environments), keeping).await;

    let mut done = Counts::default();
    let mut lost = Vec::new();
    for (id, reading) in ids.iter().zip(readings) {
        done.add_all(reading.done);
        lost.extend(reading.lost.into_iter().map(|loss| (id.clone(), loss)));
    }
    let invocations = invocations.into_iter().flatten().collect();
    let (worst, took) = (load.worst(), began.elapsed());
    server.stop().await;
    let (workflows, refused) = (jobs.len(), client.refused());
    let not_ended = workflows - progress.ended.load(Ordering::Relaxed);
    Ran { workflows, invocations, done, lost, not_ended, refused, restarts, worst, took }
}

/// Keeps the server until the swarm has `finished`, with restarts if they are its trouble: the server, and when it was
/// away.
async fn keep(
    mut server: DevServer,
    trouble: Trouble,
    mut random: Random,
    finished: &CancellationToken,
) -> (DevServer, Vec<(SystemTime, SystemTime)>) {
    let mut restarts = Vec::new();
    loop {
        let up = random.between(UP.0, UP.1);
        tokio::select! {
            () = finished.cancelled() => return (server, restarts),
            () = sleep(up), if trouble == Trouble::Restarts => {
                let end = SystemTime::now();
                server = server.restart().await.expect("the dev server starts again");
                restarts.push((end, SystemTime::now()));
            }
        }
    }
}

/// Says now and then how far it is.
async fn tell(scenario: &Scenario, plan: &Plan, all: usize, progress: &Progress) {
    let began = Instant::now();
    loop {
        sleep(LINE).await;
        let (at, lasting) = (began.elapsed().as_secs(), plan.lasting.as_secs());
        let started = progress.started.load(Ordering::Relaxed);
        let ended = progress.ended.load(Ordering::Relaxed);
        eprintln!(
            "  {}: {at} s of {lasting} s, {started} of {all} workflows started, {ended} ended",
            scenario.name
        );
    }
}
