//! Warm invocations of one environment, one after the other: what the process has after each.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use temporal_lambda_testkit::lambda::ProcessStats;

use super::goals::growth;
use super::lab::{Deployed, Lab};
use super::record::{Reading, Record, Side};
use super::rows::Batch;

/// How long an invocation may take: 1.3 s of work, since the peers refuse a second or less.
pub(super) const TIMEOUT: Duration = Duration::from_millis(8300);

/// Takes it, all sides at the same time, as many invocations as each can have in that time.
pub(super) async fn take(
    lab: &Lab,
    deployed: &[(Side, Deployed)],
    (batch, time): (Batch, Duration),
    record: &mut Record,
) {
    eprintln!("soak: all sides at once, {} s", time.as_secs());
    let began = Instant::now();
    let taken = deployed.iter().map(|(side, deployed)| async move {
        let mut readings = Vec::new();
        while began.elapsed() < time {
            match reading(lab, deployed).await {
                Ok(reading) => readings.push(reading),
                Err(error) => {
                    eprintln!("soak: {}: {error:#}", side.name());
                    break;
                }
            }
            if readings.len().is_multiple_of(20) {
                let seconds = began.elapsed().as_secs();
                eprintln!("soak: {}: {} invocations in {seconds} s", side.name(), readings.len());
            }
        }
        (*side, readings)
    });
    record.soak.extend(futures::future::join_all(taken).await);
    reckon(record);
    for (side, _) in deployed {
        record.miss_all(batch, *side, "too few invocations: ask for more --minutes");
    }
}

/// Makes the rows of warm invocations from what was read after each.
pub(super) fn reckon(record: &mut Record) {
    for (side, readings) in record.soak.clone() {
        #[allow(clippy::cast_precision_loss, reason = "they are small")]
        if let Some(grown) = growth(&readings) {
            record.set("soak-memory", side, grown.memory_kb);
            record.set("soak-threads", side, grown.threads as f64);
            record.set("soak-fds", side, grown.fds as f64);
            record.set("soak-invocations", side, readings.len() as f64);
        }
    }
}

/// One invocation for one workflow, and what the process has after it, frozen.
async fn reading(lab: &Lab, deployed: &Deployed) -> Result<Reading> {
    let id = lab.start_workflow(deployed).await?;
    deployed.invoke().await?;
    lab.result(&id).await?;
    let pid = deployed.environment()?.pid().context("it is a process")?;
    let stats = ProcessStats::of(pid)?;
    Ok(Reading { rss_kb: stats.rss_kb, threads: stats.threads, fds: stats.fds })
}
