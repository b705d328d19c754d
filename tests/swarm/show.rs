//! What is shown in the end, and what is wrong with it.

use std::{collections::BTreeMap, time::Duration};

use comfy_table::{Table, presets};
use temporal_lambda_tests::losses::{Counts, Kind};

use crate::{
    environments::{Exit, Invoked},
    run::Ran,
    scenario::{Scenario, Trouble},
};

/// Details of so many losses of a run are shown.
const DETAILS: usize = 12;

/// Where this process, which does little, was late by so much, workers were too.
const STARVED: Duration = Duration::from_secs(2);

/// One run of a scenario.
pub(crate) struct Row<'a> {
    pub(crate) scenario: &'a Scenario,
    /// Whose worker it was.
    pub(crate) whose: &'a str,
    pub(crate) ran: Ran,
}

impl Row<'_> {
    fn is_ours(&self) -> bool {
        self.whose == "ours"
    }

    /// What was lost, and which invocations failed, one by one.
    pub(crate) fn print_details(&self) {
        let ran = &self.ran;
        for (id, loss) in ran.lost.iter().take(DETAILS) {
            println!("  lost, {}: {}", loss.kind.name(), ran.describe(id, loss));
        }
        if ran.refused > 0 {
            println!(
                "  {} of the swarm's own calls were refused, there were too many",
                ran.refused
            );
        }
        let left = ran.lost.len().saturating_sub(DETAILS);
        if left > 0 {
            println!("  and {left} more");
        }
        let mut failures = BTreeMap::<&str, Vec<&Invoked>>::new();
        for invoked in &ran.invocations {
            if let Some(error) = &invoked.error {
                failures.entry(error).or_default().push(invoked);
            }
        }
        for (error, invoked) in failures {
            let (number, first) = (invoked.len(), invoked[0]);
            let (function, id) = (&first.function, &first.request_id);
            println!(
                "  {number} invocations failed, the first of them {id} of {function}: {error}"
            );
        }
    }

    fn cells(&self) -> Vec<String> {
        let (ran, worst) = (&self.ran, self.ran.worst);
        let exits = [Exit::Idle, Exit::Deadline, Exit::Killed, Exit::Failed];
        let exits = exits.map(|exit| ran.exits(exit));
        let load = worst.load.map_or("?".to_owned(), |load| format!("{load:.1}"));
        vec![
            self.scenario.name.to_owned(),
            self.whose.to_owned(),
            exits.map(|it| it.to_string()).join(" / "),
            ran.workflows.to_string(),
            by_kind(ran.done),
            ran.lost.len().to_string(),
            by_kind(ran.lost_by_kind()),
            format!("{} / {}", ran.lost_at_exits(), ran.lost_by_trouble()),
            format!("{load} / {:.0?}", worst.late),
            format!("{:.0?}", ran.took),
        ]
    }
}

fn by_kind(counts: Counts) -> String {
    Kind::ALL.map(|kind| counts.of(kind).to_string()).join(" / ")
}

/// Prints all runs.
pub(crate) fn print_table(rows: &[Row<'_>]) {
    let head = [
        "scenario",
        "worker",
        "exits: idle / deadline / killed / failed",
        "workflows",
        "done: workflow tasks / activities / local / signals / queries / updates",
        "lost",
        "lost: workflow tasks / activities / local / signals / queries / updates",
        "of these at exits / by kills and restarts",
        "worst load / lateness",
        "took",
    ];
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(head);
    table.add_rows(rows.iter().map(Row::cells));
    println!("{table}");
}

/// Why this is no success.
pub(crate) fn faults(rows: &[Row<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    let beside_a_peer = rows.iter().any(|row| !row.is_ours());
    for row in rows.iter().filter(|row| row.is_ours()) {
        let (ran, name) = (&row.ran, row.scenario.name);
        let lost = ran.lost.len() - ran.lost_by_trouble();
        let peer = rows.iter().find(|it| !it.is_ours() && it.scenario.name == name);
        match peer {
            _ if row.scenario.is_strict && lost > 0 => {
                faults.push(format!("{name}: {lost} were lost"));
            }
            Some(peer) if lost > peer.ran.lost.len() => {
                let (whose, its) = (peer.whose, peer.ran.lost.len());
                faults.push(format!("{name}: {lost} were lost, and {its} with {whose}"));
            }
            _ => {}
        }
        if ran.not_ended > 0 {
            faults.push(format!("{name}: {} workflows did not end", ran.not_ended));
        }
        if ran.worst.late > STARVED && lost > 0 {
            let late = ran.worst.late;
            faults
                .push(format!("{name}: the machine is too busy to blame the worker ({late:.1?})"));
        }
        let is_excused = |it: &&Invoked| {
            let error = it.error.as_deref().unwrap_or_default();
            match row.scenario.trouble {
                Trouble::Refusals => is_refusal(error),
                Trouble::Restarts => {
                    is_without_server(error) && ran.saw_no_server(it.began, it.ended)
                }
                _ => false,
            }
        };
        let failed = ran.exits(Exit::Failed) - ran.invocations.iter().filter(is_excused).count();
        if failed > 0 {
            faults.push(format!("{name}: {failed} invocations failed"));
        }
        // What did not occur was not tried.
        let idle = ran.exits(Exit::Idle) > 0 || beside_a_peer;
        if !idle || ran.exits(Exit::Deadline) == 0 {
            faults.push(format!("{name}: there was not every kind of exit"));
        }
        let had_trouble = match row.scenario.trouble {
            Trouble::Nothing => true,
            Trouble::Refusals => ran.refused > 0,
            Trouble::Kills | Trouble::Freezes => ran.invocations.iter().any(|it| it.is_disturbed),
            Trouble::Restarts => !ran.restarts.is_empty(),
        };
        if !had_trouble {
            faults.push(format!("{name}: it had not the trouble that it is about"));
        }
        for kind in Kind::ALL.into_iter().filter(|kind| ran.done.of(*kind) == 0) {
            faults.push(format!("{name}: there were no {}", kind.name()));
        }
    }
    faults
}

/// Whether this is how an invocation fails whose server is away.
fn is_without_server(error: &str) -> bool {
    ["TemporalUnreachable", "TemporalAnsweredWithError", "ServerTrouble", "OutOfTime"]
        .iter()
        .any(|kind| error.contains(kind))
}

/// An invocation may be over before a server that refuses calls has taken one of its polls. Whether this is how an invocation
/// fails that could not poll once, because the server refused it for the number of calls.
fn is_refusal(error: &str) -> bool {
    error.contains("ServerTrouble") && error.contains("Poll") && error.contains("ResourceExhausted")
}
