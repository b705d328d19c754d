//! A run: everything that is asked for, in order.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::billed::{self, Functions};
use super::far::Far;
use super::lab::{Deployed, Lab, ServerKind, Setting};
use super::machine;
use super::programs::{self, Program};
use super::record::{Circumstances, Record, Side};
use super::rows::{Batch, Group, ROWS, Share};
use super::small::Fraction;
use super::visits::{self, Keys};
use super::{exits, fleet, size, soak, throughput};

/// How long invocations may take whose end is not what is measured: 3 s of work; at a share of a core, where everything
/// takes longer, 9 s of work, and 33 s for whom that is not enough.
const fn timeout_of_visit(share: Share, side: Side) -> Duration {
    Duration::from_secs(match (share, side) {
        (Share::Whole, _) => 10,
        (Share::Seventh | Share::Fourteenth, Side::TypeScript) => 40,
        (Share::Seventh | Share::Fourteenth, _) => 16,
    })
}

/// More than so many rounds of what takes minutes show nothing new.
const MOST_LONG_ROUNDS: usize = 3;
/// What a visit takes where the server is near.
const VISIT: Keys = Keys { init: "init", cold: "cold", warm: "warm", memory: "memory", cpu: "cpu" };

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the command was called.
    pub command: String,
    /// Rounds of what takes seconds.
    pub rounds: usize,
    /// How long the soak is.
    pub soak: Duration,
    /// The rows, by key; all where it is empty.
    pub only: Vec<String>,
    /// Sides that cannot be had, and why.
    pub missing: Vec<(Side, String)>,
    /// Where the record is kept while it grows, so that a run that is broken off is not lost.
    pub keep: Option<PathBuf>,
}

impl Plan {
    /// The batches that have a row that is asked for.
    pub fn batches(&self) -> Vec<Batch> {
        let asked = |key: &str| self.only.is_empty() || self.only.iter().any(|it| it == key);
        let wanted = |batch: &Batch| ROWS.iter().any(|row| row.batch == *batch && asked(&row.key));
        Batch::all().filter(wanted).collect()
    }
}

/// Runs it with these sides.
///
/// # Errors
///
/// When the server or the emulator does not start, or no side can be deployed. What one side cannot do is in
/// the record.
pub async fn run(plan: &Plan, programs: &[Program]) -> Result<Record> {
    eprintln!("starting a Temporal server ...");
    let lab = Lab::start(ServerKind::Stock).await?;
    let mut versions = programs::versions(programs);
    versions.push(("Temporal server".to_owned(), machine::server_version(lab.cli())));
    let build = if cfg!(debug_assertions) { "a debug build" } else { "a release build" };
    versions.push(("the emulator".to_owned(), build.to_owned()));
    let mut record = Record::new(Circumstances {
        date: machine::date(),
        command: plan.command.clone(),
        machine: machine::class(),
        load: [machine::load(), 0.0],
        versions: versions.into_iter().collect(),
    });
    for batch in plan.batches() {
        for (side, reason) in &plan.missing {
            record.miss_all(batch, *side, reason);
        }
        take(batch, plan, &lab, programs, &mut record).await?;
        record.circumstances.load[1] = machine::load();
        if let Some(file) = &plan.keep {
            std::fs::write(file, serde_json::to_string_pretty(&record)?)?;
        }
    }
    Ok(record)
}

async fn take(
    batch: Batch,
    plan: &Plan,
    lab: &Lab,
    programs: &[Program],
    record: &mut Record,
) -> Result<()> {
    // It outlives the functions that are in it.
    let fraction = match Fraction::of(batch.share) {
        Ok(fraction) => fraction,
        Err(reason) => {
            programs.iter().for_each(|it| record.miss_all(batch, it.side, &reason));
            return Ok(());
        }
    };
    let started_by = fraction.as_ref().map(Fraction::command).unwrap_or_default();
    let setting = |name: &str, timeout| Setting {
        started_by: started_by.clone(),
        ..Setting::new(&batch.key(name), timeout)
    };
    let few = plan.rounds.min(MOST_LONG_ROUNDS);
    // Everything takes longer at a share of a core.
    let (rounds, long_rounds) = match batch.share {
        Share::Whole => (plan.rounds, few),
        Share::Seventh | Share::Fourteenth => (few, 1),
    };
    match batch.group {
        Group::Size => size::take(programs, batch, record),
        Group::Visits | Group::Far => {
            let (keys, far) = match batch.group {
                Group::Far => {
                    let keys = Keys { cold: "far-cold", warm: "far-warm", ..Keys::default() };
                    (keys, Some(Far::from(&lab.address()).await?))
                }
                _ => (VISIT, None),
            };
            let variables = far.as_ref().map(Far::variables).unwrap_or_default();
            let name = if far.is_some() { "far" } else { "visit" };
            let visit = |side| Setting {
                variables: variables.clone(),
                ..setting(name, timeout_of_visit(batch.share, side))
            };
            let deployed = all(lab, programs, visit).await?;
            visits::take(lab, &deployed, (batch, keys), rounds, record).await;
        }
        Group::Throughput => {
            let timeout = throughput::timeout(batch.share);
            let deployed = all(lab, programs, |_| setting("burst", timeout)).await?;
            throughput::take(lab, &deployed, (batch, long_rounds), record).await;
        }
        Group::Billed => {
            let ends_polls = Lab::start(ServerKind::EndsPolls).await?;
            let whole = |name| setting(name, billed::TIMEOUT);
            let idle = |name| whole(name).idle_timeout(billed::IDLE_TIMEOUT);
            let mut functions = Vec::new();
            for program in programs {
                functions.push(Functions {
                    side: program.side,
                    one: lab.deploy(program, &idle("one")).await?,
                    burst: lab.deploy(program, &idle("ten")).await?,
                    ended: ends_polls.deploy(program, &idle("ended")).await?,
                    whole: lab.deploy(program, &whole("whole")).await?,
                });
            }
            let labs = (lab, &ends_polls);
            billed::take(labs, &functions, (batch, long_rounds), record).await;
        }
        Group::Exits => {
            let environments = exits::ENVIRONMENTS;
            let exits = |_| Setting { environments, ..setting("exits", exits::TIMEOUT) };
            let deployed = all(lab, programs, exits).await?;
            exits::take(lab, &deployed, batch, record).await;
        }
        Group::Fleet => {
            let calls_functions = Lab::start(ServerKind::CallsFunctions).await?;
            fleet::take(&calls_functions, programs, batch, record).await;
        }
        Group::Soak => {
            // An idle exit is over sooner there, so that there are more of them.
            let ends_polls = Lab::start(ServerKind::EndsPolls).await?;
            let mut soak = setting("soak", soak::TIMEOUT).idle_timeout("200ms");
            let stay = ("TEMPORAL_LAMBDA_MINIMUM_STAY".to_owned(), "200ms".to_owned());
            soak.variables.push(stay);
            let deployed = all(&ends_polls, programs, |_| soak.clone()).await?;
            soak::take(&ends_polls, &deployed, (batch, plan.soak), record).await;
        }
    }
    Ok(())
}

async fn all(
    lab: &Lab,
    programs: &[Program],
    setting: impl Fn(Side) -> Setting,
) -> Result<Vec<(Side, Deployed)>> {
    let mut deployed = Vec::new();
    for program in programs {
        deployed.push((program.side, lab.deploy(program, &setting(program.side)).await?));
    }
    Ok(deployed)
}

#[cfg(test)]
mod tests {
    use super::super::rows::find;
    use super::*;

    #[test]
    fn numbers_in_titles_are_those_that_are_taken() {
        let counts = [
            ("burst-p50", throughput::WORKFLOWS),
            ("burst-p99", throughput::WORKFLOWS),
            ("burst-cpu", throughput::WORKFLOWS),
            ("billed-burst", billed::BURST),
            ("exits-wasted", exits::ACTIVITIES as usize),
            ("exits-number", exits::ACTIVITIES as usize),
            ("exits-time", exits::ACTIVITIES as usize),
            ("fleet-time", fleet::WORKFLOWS),
            ("fleet-size", fleet::WORKFLOWS),
            ("fleet-billed", fleet::WORKFLOWS),
        ];
        for (key, count) in counts {
            let title = find(key).map_or("", |row| &row.title);
            assert!(title.split(' ').any(|word| word == count.to_string()), "{key}: {title}");
        }
    }
}
