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
use super::rows::{Group, ROWS};
use super::small::Fraction;
use super::visits::{self, Keys};
use super::{exits, fleet, size, soak, throughput};

/// How long invocations may take whose end is not what is measured: 3 s of work.
const TIMEOUT: Duration = Duration::from_secs(10);
/// At a fraction of a core everything takes longer: 9 s of work, and 33 s for whom that is not enough.
const SMALL_TIMEOUT: Duration = Duration::from_secs(16);
const SMALL_TIMEOUT_OF_TYPESCRIPT: Duration = Duration::from_secs(40);
/// More than so many rounds of what takes minutes show nothing new.
const MOST_LONG_ROUNDS: usize = 3;

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
    /// The groups that have a row that is asked for.
    pub fn groups(&self) -> Vec<Group> {
        let asked = |key: &str| self.only.is_empty() || self.only.iter().any(|it| it == key);
        let wanted = |group: &Group| ROWS.iter().any(|row| row.group == *group && asked(row.key));
        Group::ALL.into_iter().filter(wanted).collect()
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
    for group in plan.groups() {
        for (side, reason) in &plan.missing {
            record.miss_all(group, *side, reason);
        }
        take(group, plan, &lab, programs, &mut record).await?;
        record.circumstances.load[1] = machine::load();
        if let Some(file) = &plan.keep {
            std::fs::write(file, serde_json::to_string_pretty(&record)?)?;
        }
    }
    Ok(record)
}

async fn take(
    group: Group,
    plan: &Plan,
    lab: &Lab,
    programs: &[Program],
    record: &mut Record,
) -> Result<()> {
    let long_rounds = plan.rounds.min(MOST_LONG_ROUNDS);
    match group {
        Group::Size => size::take(programs, record),
        Group::Visits => {
            let keys =
                Keys { init: "init", cold: "cold", warm: "warm", memory: "memory", cpu: "cpu" };
            let deployed = all(lab, programs, &Setting::new("visit", TIMEOUT)).await?;
            visits::take(lab, &deployed, (group, keys), plan.rounds, record).await;
        }
        Group::Far => {
            let keys = Keys { cold: "far-cold", warm: "far-warm", ..Keys::default() };
            let far = Far::from(&lab.address()).await?;
            let setting = Setting { variables: far.variables(), ..Setting::new("far", TIMEOUT) };
            let deployed = all(lab, programs, &setting).await?;
            visits::take(lab, &deployed, (group, keys), plan.rounds, record).await;
        }
        Group::Fourteenth => {
            let keys =
                Keys { init: "14th-init", cold: "14th-cold", warm: "14th-warm", ..Keys::default() };
            small(lab, programs, 14, (group, keys), long_rounds, record).await?;
        }
        Group::Seventh => {
            let keys =
                Keys { init: "7th-init", cold: "7th-cold", warm: "7th-warm", ..Keys::default() };
            small(lab, programs, 7, (group, keys), long_rounds, record).await?;
        }
        Group::Throughput => {
            let setting = Setting::new("burst", throughput::TIMEOUT);
            let deployed = all(lab, programs, &setting).await?;
            throughput::take(lab, &deployed, long_rounds, record).await;
        }
        Group::Billed => {
            let ends_polls = Lab::start(ServerKind::EndsPolls).await?;
            let whole = |name| Setting::new(name, billed::TIMEOUT);
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
            billed::take((lab, &ends_polls), &functions, long_rounds, record).await;
        }
        Group::Exits => {
            let environments = exits::ENVIRONMENTS;
            let setting = Setting { environments, ..Setting::new("exits", exits::TIMEOUT) };
            let deployed = all(lab, programs, &setting).await?;
            exits::take(lab, &deployed, record).await;
        }
        Group::Fleet => {
            let calls_functions = Lab::start(ServerKind::CallsFunctions).await?;
            fleet::take(&calls_functions, programs, record).await;
        }
        Group::Soak => {
            // An idle exit is over sooner there, so that there are more of them.
            let ends_polls = Lab::start(ServerKind::EndsPolls).await?;
            let mut setting = Setting::new("soak", soak::TIMEOUT).idle_timeout("200ms");
            let stay = ("TEMPORAL_LAMBDA_MINIMUM_STAY".to_owned(), "200ms".to_owned());
            setting.variables.push(stay);
            let deployed = all(&ends_polls, programs, &setting).await?;
            soak::take(&ends_polls, &deployed, plan.soak, record).await;
        }
    }
    Ok(())
}

/// The visits of functions that have one of so many parts of a core.
async fn small(
    lab: &Lab,
    programs: &[Program],
    parts: u32,
    (group, keys): (Group, Keys),
    rounds: usize,
    record: &mut Record,
) -> Result<()> {
    let mut deployed = Vec::new();
    // They outlive the functions that are in them.
    let mut fractions = Vec::new();
    for program in programs {
        match Fraction::new(program.side.key(), parts) {
            Ok(fraction) => {
                let timeout = match program.side {
                    Side::TypeScript => SMALL_TIMEOUT_OF_TYPESCRIPT,
                    _ => SMALL_TIMEOUT,
                };
                let cgroup = Some(fraction.procs());
                let setting = Setting { cgroup, ..Setting::new(&format!("of-{parts}"), timeout) };
                deployed.push((program.side, lab.deploy(program, &setting).await?));
                fractions.push(fraction);
            }
            Err(reason) => record.miss_all(group, program.side, &reason),
        }
    }
    visits::take(lab, &deployed, (group, keys), rounds, record).await;
    Ok(())
}

async fn all(lab: &Lab, programs: &[Program], setting: &Setting) -> Result<Vec<(Side, Deployed)>> {
    let mut deployed = Vec::new();
    for program in programs {
        deployed.push((program.side, lab.deploy(program, setting).await?));
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
            let title = find(key).map_or("", |row| row.title);
            assert!(title.split(' ').any(|word| word == count.to_string()), "{key}: {title}");
        }
    }
}
