//! Many workflows for one environment: how long after the event each is done.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use futures::future;
use temporal_lambda_testkit::lambda::Environment;

use super::lab::{Deployed, Lab, cpu_ms, ms};
use super::record::{Record, Side};
use super::rows::{Batch, Share};
use super::statistics::percentile;

/// How many workflows wait when the event comes.
pub(super) const WORKFLOWS: usize = 200;

/// How long an invocation may take: 23 s of work, and at a share of a core as much more as workers need there.
pub(super) const fn timeout(share: Share) -> Duration {
    match share {
        Share::Whole => Duration::from_secs(30),
        Share::Seventh => Duration::from_secs(60),
        Share::Fourteenth => Duration::from_secs(120),
    }
}

/// Takes it, side after side, at a share of a core too, where all sides together would be limited by the server; in each
/// round in a new environment that has served one workflow. A side that fails, as on a machine that is too busy for 200
/// workflows in that time, is told of and not tried again.
pub(super) async fn take(
    lab: &Lab,
    deployed: &[(Side, Deployed)],
    (batch, rounds): (Batch, usize),
    record: &mut Record,
) {
    let mut failed = Vec::new();
    for round in 1..=rounds {
        let words = format!("{}: {WORKFLOWS} workflows, round {round} of {rounds}", batch.words());
        eprintln!("{words}: one for each side, up to {} s", timeout(batch.share).as_secs());
        let left: Vec<_> = deployed.iter().filter(|(side, _)| !failed.contains(side)).collect();
        let warmed = future::join_all(left.iter().map(|(_, it)| warm_up(lab, it))).await;
        for ((side, deployed), warmed) in left.into_iter().zip(warmed) {
            eprintln!("{words}, {}", side.name());
            let values = burst(lab, deployed, warmed).await;
            if values.is_err() {
                deployed.function.environments().iter().for_each(Environment::kill);
                failed.push(*side);
            }
            record.keep(batch, *side, values);
        }
    }
}

/// An environment that has served one workflow, so that what is made for the first time is not among what is measured.
async fn warm_up(lab: &Lab, deployed: &Deployed) -> Result<Environment> {
    let id = lab.start_workflow(deployed).await?;
    let first = deployed.begin();
    lab.result(&id).await?;
    first.await??;
    deployed.environment()
}

async fn burst(
    lab: &Lab,
    deployed: &Deployed,
    warmed: Result<Environment>,
) -> Result<[(&'static str, f64); 3]> {
    let environment = warmed?;
    let pid = environment.pid().context("it is a process")?;
    let cpu_before = cpu_ms(pid)?;
    let mut ids = Vec::with_capacity(WORKFLOWS);
    for _ in 0..WORKFLOWS {
        ids.push(lab.start_workflow(deployed).await?);
    }
    let event = SystemTime::now();
    let invocation = deployed.begin();
    for id in &ids {
        lab.result(id).await?;
    }
    let cpu = cpu_ms(pid)? - cpu_before;
    environment.kill();
    let _ = invocation.await?;
    // By the server's clock, which is this machine's, since asking for 200 results takes time of its own.
    let mut times = Vec::with_capacity(WORKFLOWS);
    for id in &ids {
        times.push(ms(lab.closed(id).await?.duration_since(event).unwrap_or_default()));
    }
    let of = |percent| percentile(&times, percent).context("there are workflows");
    Ok([("burst-p50", of(50)?), ("burst-p99", of(99)?), ("burst-cpu", cpu)])
}
