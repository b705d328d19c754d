//! Many workflows over many short invocations: no task is lost between them, and where processes are
//! killed, no other task than those that they had.
//!
//! In a program of its own, so that it has the machine for itself: what it looks for are moments.
//! Without arguments it runs a few scenarios for less than a minute each, as CI does. By hand:
//!
//! ```sh
//! cargo test -p temporal-lambda-tests --test swarm -- --minutes 10
//! cargo test -p temporal-lambda-tests --test swarm -- cut --peer python --minutes 2
//! ```
//!
//! It prints its seed. The same seed makes the same workflows and the same gaps between
//! invocations; what a server and a network do in between is new each time.

mod client;
mod environments;
mod load;
mod random;
mod run;
mod scenario;
mod show;
mod work;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use environments::Program;
use random::Random;
use run::Plan;
use scenario::{SCENARIOS, Scenario};
use show::Row;

/// For how long the short form starts workflows, in each scenario.
const SHORT: Duration = Duration::from_secs(35);
/// What a scenario takes besides: a server starts, the last workflows end.
const BESIDES: Duration = Duration::from_secs(15);

#[derive(Parser)]
#[command(about = "Counts the tasks that are lost between the invocations of a worker.")]
struct Args {
    /// Scenarios whose names contain one of these. Default: all with --minutes, else a few.
    names: Vec<String>,
    /// Runs for about so many minutes altogether, all scenarios unless some are named.
    #[arg(long)]
    minutes: Option<u64>,
    /// A seed that was printed before.
    #[arg(long)]
    seed: Option<u64>,
    /// How many workflows are started in a second.
    #[arg(long, default_value_t = 6.0)]
    rate: f64,
    /// Runs each scenario twice, with us and with a peer, and with deadline exits only.
    #[arg(long, value_enum)]
    peer: Option<Peer>,
    /// Lists the scenarios.
    #[arg(long)]
    list: bool,
    /// What Rust's own test programs understand, for `cargo test -- ...` over several of them.
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, hide = true)]
    show_output: bool,
    #[arg(long, hide = true)]
    exact: bool,
    #[arg(long, hide = true)]
    include_ignored: bool,
    #[arg(long, hide = true)]
    test_threads: Option<usize>,
    #[arg(long, hide = true)]
    skip: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Peer {
    /// Temporal's package for Python with its Lambda worker.
    Python,
}

impl Args {
    fn scenarios(&self) -> Vec<&'static Scenario> {
        let all = SCENARIOS.iter();
        let is_exact = |name: &str| all.clone().any(|it| it.name == name);
        let is_like = |it: &Scenario, name: &str| {
            if is_exact(name) { it.name == name } else { it.name.contains(name) }
        };
        let named = |it: &&Scenario| self.names.iter().any(|name| is_like(it, name));
        match (self.names.is_empty(), self.minutes) {
            (false, _) => all.clone().filter(named).collect(),
            (true, Some(_)) => all.collect(),
            (true, None) => all.filter(|it| it.is_short).collect(),
        }
    }

    /// How long each of so many runs starts workflows.
    fn lasting(&self, runs: usize) -> Duration {
        let Some(minutes) = self.minutes else { return SHORT };
        let runs = u32::try_from(runs).unwrap_or(u32::MAX).max(1);
        let each = Duration::from_secs(60 * minutes) / runs;
        each.saturating_sub(BESIDES).max(SHORT)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let scenarios = args.scenarios();
    if args.list {
        for scenario in &SCENARIOS {
            println!("{:16} {}", scenario.name, scenario.about);
        }
        return ExitCode::SUCCESS;
    }
    if scenarios.is_empty() {
        println!("swarm: no scenario is named like {:?}; --list lists them", args.names);
        return ExitCode::SUCCESS;
    }
    let seed = args.seed.unwrap_or_else(Random::any_seed);
    let programs = match args.peer {
        None => vec![("ours", Program::Ours)],
        Some(Peer::Python) => {
            let python = temporal_lambda_tests::peer::python();
            vec![("ours", Program::Ours), ("Python 1.35", Program::Python(python))]
        }
    };
    let lasting = args.lasting(scenarios.len() * programs.len());
    println!("swarm: seed {seed}, {} scenarios, {lasting:.0?} each", scenarios.len());

    let mut rows: Vec<Row<'_>> = Vec::new();
    for scenario in scenarios {
        let plan = |program| Plan {
            lasting,
            rate: args.rate,
            random: Random::seeded(seed),
            program,
            beside_a_peer: args.peer.is_some(),
        };
        for (whose, program) in &programs {
            println!("{}: {}; {whose}", scenario.name, scenario.about);
            let ran = run::run(scenario, plan(program.clone())).await;
            let row = Row { scenario, whose, ran };
            row.print_details();
            rows.push(row);
        }
    }
    show::print_table(&rows);
    let faults = show::faults(&rows);
    for fault in &faults {
        println!("swarm: {fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
