//! The demo's table: what each phase took, and what it cost.

use std::sync::Arc;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use temporal_lambda_testkit::lambda::Invocation;

use crate::show::event_log::report;

/// One part of the demo.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    /// Workflows that were started.
    pub(crate) started: usize,
    /// From start to result, of each workflow that completed.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) invocations: Vec<Arc<Invocation>>,
}

/// A row for every phase.
pub(crate) fn table(phases: &[Phase]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header([
        "",
        "workflows",
        "start to done",
        "invocations",
        "init",
        "to first poll",
        "billed",
        "peak memory",
    ]);
    for phase in phases {
        table.add_row(row(phase));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn row(phase: &Phase) -> [String; 8] {
    let invocations = &phase.invocations;
    let cold = invocations.iter().filter(|it| it.cold).count();
    let warm = invocations.len() - cold;
    let inits = invocations.iter().filter_map(|it| it.init);
    let polls = invocations.iter().filter_map(|it| report(it)?.first_poll_ms);
    let billed: Duration = invocations.iter().map(|it| it.billed).sum();
    let peak = invocations.iter().filter_map(|it| it.max_memory_kb).max();
    [
        phase.name.to_owned(),
        format!("{}/{}", phase.latencies.len(), phase.started),
        range(phase.latencies.iter().map(Duration::as_millis)),
        match (cold, warm) {
            (0, warm) => format!("{warm} warm"),
            (cold, 0) => format!("{cold} cold"),
            (cold, warm) => format!("{cold} cold, {warm} warm"),
        },
        range(inits.map(|init| init.as_millis())),
        range(polls.map(u128::from)),
        format!("{} ms", billed.as_millis()),
        peak.map_or_else(|| "-".to_owned(), |kb| format!("{} MB", kb.div_ceil(1024))),
    ]
}

/// The least and the most of some milliseconds.
fn range(millis: impl Iterator<Item = u128>) -> String {
    let millis: Vec<_> = millis.collect();
    match (millis.iter().min(), millis.iter().max()) {
        (Some(least), Some(most)) if least < most => format!("{least}-{most} ms"),
        (Some(only), _) => format!("{only} ms"),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_shows_what_there_is() {
        assert_eq!(range([].into_iter()), "-");
        assert_eq!(range([5].into_iter()), "5 ms");
        assert_eq!(range([7, 5, 6].into_iter()), "5-7 ms");
    }
}
