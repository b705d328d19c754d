//! Numbers beside the peers, that anyone can repeat.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use temporal_lambda_benches::peers::{
    Plan, Side,
    goals::{GOALS, Outcome},
    programs, publish, rows, run, tables,
};
use temporal_lambda_benches::print;

#[derive(Parser)]
#[command(about = "What a Temporal worker on Lambda costs, measured side by side")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// This library, the bare SDK, Python and TypeScript: brought, built, measured in turn.
    Peers(Peers),
}

#[derive(Args)]
struct Peers {
    /// How often what takes seconds is measured of each side; what takes minutes at most three times.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Only these rows, and those that are taken with them.
    #[arg(long, value_delimiter = ',', value_name = "ROW")]
    only: Vec<String>,
    /// Only these sides: ours, bare, python, typescript.
    #[arg(long, value_delimiter = ',', value_name = "SIDE")]
    sides: Vec<String>,
    /// How long many warm invocations are made.
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    /// Writes the numbers, the pictures and the tables of the documentation. With --only the rest of the published run
    /// stays, if it is of the same day, kind of machine and versions.
    #[arg(long)]
    publish: bool,
    /// Runs nothing: makes pictures and tables of the documentation anew from the numbers that are published.
    #[arg(long, exclusive = true)]
    again: bool,
    /// Where else the numbers are written, as JSON, while the run goes on.
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Command::Peers(arguments) = Arguments::parse().command;
    let root = programs::root();
    if arguments.again {
        return publish::publish(&root, &publish::published(&root)?);
    }
    for key in &arguments.only {
        let keys: Vec<_> = rows::ROWS.iter().map(|row| row.key.as_str()).collect();
        ensure!(
            rows::find(key).is_some(),
            "--only: there is no row {key}; rows: {}",
            keys.join(", ")
        );
    }
    for key in &arguments.sides {
        let keys = Side::ALL.map(Side::key);
        ensure!(
            keys.contains(&key.as_str()),
            "--sides: no side is {key}; sides: {}",
            keys.join(", ")
        );
    }
    ensure!(
        (0.1..=600.0).contains(&arguments.minutes),
        "--minutes: between 0.1 and 600, not {}",
        arguments.minutes
    );
    let (programs, missing) = bring(&arguments.sides)?;
    let plan = Plan {
        command: command(&arguments),
        rounds: arguments.rounds.into(),
        soak: Duration::from_secs_f64(arguments.minutes * 60.0),
        only: arguments.only.clone(),
        missing,
        keep: arguments.json.clone(),
    };
    let mut record = run(&plan, &programs).await?;
    if arguments.publish && !arguments.only.is_empty() {
        record = publish::published(&root)?.amended(record, &plan.batches())?;
    }
    for share in rows::Share::ALL {
        print(&tables::measurements(&record, share));
        println!();
    }
    for table in
        [tables::goals(&record), tables::not_taken(&record), tables::circumstances(&record)]
    {
        print(&table);
        println!();
    }
    if arguments.publish {
        publish::publish(&root, &record)?;
        eprintln!(
            "published: docs/peers.json, the pictures beside it, docs/performance.md, README.md"
        );
    }
    let count =
        |is: fn(&Outcome) -> bool| GOALS.iter().filter(|goal| is(&goal.outcome(&record))).count();
    let missed = count(|it| matches!(it, Outcome::Missed(_)));
    let not_taken = count(|it| matches!(it, Outcome::NotTaken));
    eprintln!("of {} goals {missed} are missed and {not_taken} not taken", GOALS.len());
    Ok(())
}

/// The command as somebody else would type it.
fn command(arguments: &Peers) -> String {
    let release = if cfg!(debug_assertions) { "" } else { "--release " };
    let mut words = vec![format!("cargo run {release}-p temporal-lambda-benches -- peers")];
    words.push(format!("--rounds {} --minutes {}", arguments.rounds, arguments.minutes));
    for (flag, list) in [("--only", &arguments.only), ("--sides", &arguments.sides)] {
        if !list.is_empty() {
            words.push(format!("{flag} {}", list.join(",")));
        }
    }
    words.join(" ")
}

type Bring = fn() -> Result<programs::Program>;
type Missing = Vec<(Side, String)>;

/// Builds ours and brings the others: those that can be had, and why others cannot.
fn bring(only: &[String]) -> Result<(Vec<programs::Program>, Missing)> {
    let wanted = |side: Side| only.is_empty() || only.iter().any(|it| it == side.key());
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    if wanted(Side::Ours) || wanted(Side::Bare) {
        let both = programs::ours_and_bare()?;
        found.extend(both.into_iter().filter(|it| wanted(it.side)));
    }
    let others: [(Side, Bring); 2] =
        [(Side::Python, programs::python), (Side::TypeScript, programs::typescript)];
    for (side, bring) in others.into_iter().filter(|(side, _)| wanted(*side)) {
        match bring() {
            Ok(program) => found.push(program),
            Err(error) => {
                eprintln!("{} cannot be had: {error:#}", side.name());
                missing.push((side, format!("it cannot be had: {error}")));
            }
        }
    }
    if found.is_empty() {
        bail!("there is nothing to measure");
    }
    Ok((found, missing))
}
