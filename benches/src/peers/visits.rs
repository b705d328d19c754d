//! A cold invocation and a warm one, with one workflow each: side after side, round after round.

use std::time::Instant;

use anyhow::{Context as _, Result};
use temporal_lambda_testkit::lambda::{EnvEvent, ProcessStats};

use super::lab::{Deployed, Lab, cpu_ms, first, ms};
use super::record::{Record, Side};
use super::rows::Group;

/// The keys of the rows that a visit takes; an empty one is not kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Keys {
    /// From spawn to the first `/next`.
    pub(super) init: &'static str,
    /// From spawn to the end of the workflow.
    pub(super) cold: &'static str,
    /// From the event to the end of the workflow.
    pub(super) warm: &'static str,
    /// The peak of memory.
    pub(super) memory: &'static str,
    /// CPU of the cold invocation.
    pub(super) cpu: &'static str,
}

/// Visits each side once to warm up what is beside it, then once in each round. A side that fails is told of
/// in its rows and not visited again.
pub(super) async fn take(
    lab: &Lab,
    deployed: &[(Side, Deployed)],
    (group, keys): (Group, Keys),
    rounds: usize,
    record: &mut Record,
) {
    let mut failed = Vec::new();
    for round in 0..=rounds {
        for place in 0..deployed.len() {
            // Nobody is always the first of a round.
            let (side, deployed) = &deployed[(place + round) % deployed.len()];
            if failed.contains(side) {
                continue;
            }
            let began = Instant::now();
            let mut found = Record::new(record.circumstances.clone());
            match visit(lab, deployed, *side, keys, &mut found).await {
                Ok(()) if round == 0 => {}
                Ok(()) => {
                    for (row, values) in &found.values {
                        for value in values.values().flatten().filter(|_| !row.is_empty()) {
                            record.add(row, *side, *value);
                        }
                    }
                }
                Err(error) => {
                    failed.push(*side);
                    record.miss_all(group, *side, &format!("it failed: {}", first_line(&error)));
                    eprintln!("{group:?}: {}: {error:#}", side.name());
                }
            }
            let last = |key| found.values(key, *side).last().copied().unwrap_or_default();
            eprintln!(
                "{group:?}, round {round} of {rounds}, {}: cold {:.0} ms, warm {:.0} ms (took {:.0} s)",
                side.name(),
                last(keys.cold),
                last(keys.warm),
                began.elapsed().as_secs_f64()
            );
        }
    }
}

/// A new environment, two workflows in two invocations, and its end.
async fn visit(
    lab: &Lab,
    deployed: &Deployed,
    side: Side,
    keys: Keys,
    found: &mut Record,
) -> Result<()> {
    let id = lab.start_workflow(deployed).await?;
    let invocation = deployed.begin();
    lab.result(&id).await?;
    let done = Instant::now();
    invocation.await??;
    let environment = deployed.environment()?;
    let spawned = first(&environment, |it| matches!(it, EnvEvent::Spawned))?;
    let ready = first(&environment, |it| matches!(it, EnvEvent::Ready))?;
    let pid = environment.pid().context("it is a process")?;
    found.add(keys.init, side, ms(ready - spawned));
    found.add(keys.cold, side, ms(done - spawned));
    found.add(keys.cpu, side, cpu_ms(pid)?);

    let id = lab.start_workflow(deployed).await?;
    let began = Instant::now();
    let invocation = deployed.begin();
    lab.result(&id).await?;
    found.add(keys.warm, side, ms(began.elapsed()));
    #[allow(clippy::cast_precision_loss, reason = "one digit is shown")]
    found.add(keys.memory, side, ProcessStats::of(pid)?.peak_rss_kb as f64 * 1024.0 / 1e6);
    // What was to be seen was seen: nobody waits for its deadline.
    environment.kill();
    let _ = invocation.await?;
    Ok(())
}

fn first_line(error: &anyhow::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
