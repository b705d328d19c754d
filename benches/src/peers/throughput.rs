//! Many workflows for one environment: how long after the event each is done.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};

use super::lab::{Deployed, Lab, cpu_ms, ms};
use super::record::{Record, Side};
use super::rows::Group;
use super::statistics::percentile;

/// How many workflows wait when the event comes.
pub(super) const WORKFLOWS: usize = 200;
/// How long an invocation may take: 23 s of work.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// Takes it, side after side, in each round in a new environment that has served one workflow. A side that fails,
/// as on a machine that is too busy for 200 workflows in that time, is told of and not tried again.
pub(super) async fn take(
    lab: &Lab,
    deployed: &[(Side, Deployed)],
    rounds: usize,
    record: &mut Record,
) {
    let mut failed = Vec::new();
    for round in 1..=rounds {
        for (side, deployed) in deployed {
            if failed.contains(side) {
                continue;
            }
            eprintln!("{WORKFLOWS} workflows, round {round} of {rounds}, {}", side.name());
            if let Err(error) = burst(lab, deployed, *side, record).await {
                eprintln!("{WORKFLOWS} workflows: {}: {error:#}", side.name());
                failed.push(*side);
                record.miss_all(Group::Throughput, *side, &format!("it failed: {error}"));
            }
        }
    }
}

async fn burst(lab: &Lab, deployed: &Deployed, side: Side, record: &mut Record) -> Result<()> {
    // So that what is made for the first time is not among what is measured.
    let id = lab.start_workflow(deployed).await?;
    let first = deployed.begin();
    lab.result(&id).await?;
    first.await??;
    let environment = deployed.environment()?;
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
    record.add("burst-p50", side, of(50)?);
    record.add("burst-p99", side, of(99)?);
    record.add("burst-cpu", side, cpu);
    Ok(())
}
