//! A cold invocation and a warm one, with one workflow each: side after side, round after round.

use std::time::Instant;

use anyhow::{Context as _, Result};
use temporal_lambda_testkit::lambda::{EnvEvent, Environment, ProcessStats};

use super::lab::{Deployed, Lab, cpu_ms, first, ms};
use super::record::{Record, Side};
use super::rows::Batch;

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

/// Visits each side once to warm up what is beside it, then once in each round. A side that fails before it has
/// shown anything is not visited again. Rows that a side has no value of say why.
pub(super) async fn take(
    lab: &Lab,
    deployed: &[(Side, Deployed)],
    (batch, keys): (Batch, Keys),
    rounds: usize,
    record: &mut Record,
) {
    let mut shows_nothing = Vec::new();
    for round in 0..=rounds {
        for place in 0..deployed.len() {
            // Nobody is always the first of a round.
            let (side, deployed) = &deployed[(place + round) % deployed.len()];
            if shows_nothing.contains(side) {
                continue;
            }
            let began = Instant::now();
            let mut found = Record::new(record.circumstances.clone());
            let visited = visit(lab, deployed, *side, keys, &mut found).await;
            for (row, values) in found.values.iter().filter(|(row, _)| round > 0 && !row.is_empty())
            {
                values.values().flatten().for_each(|it| record.add(&batch.key(row), *side, *it));
            }
            if let Err(error) = visited {
                deployed.function.environments().iter().for_each(Environment::kill);
                if found.values.is_empty() {
                    shows_nothing.push(*side);
                }
                record.keep(batch, *side, Err::<[_; 0], _>(error));
            }
            let last = |key| found.values(key, *side).last().copied().unwrap_or_default();
            eprintln!(
                "{}, round {round} of {rounds}, {}: cold {:.0} ms, warm {:.0} ms (took {:.0} s)",
                batch.words(),
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
    let environment = deployed.environment()?;
    let spawned = first(&environment, |it| matches!(it, EnvEvent::Spawned))?;
    let ready = first(&environment, |it| matches!(it, EnvEvent::Ready))?;
    let pid = environment.pid().context("it is a process")?;
    found.add(keys.init, side, ms(ready - spawned));
    found.add(keys.cold, side, ms(done - spawned));
    invocation.await??;
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
