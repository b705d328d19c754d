//! The live part of the view: environments, and totals.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use indicatif::{ProgressBar, ProgressStyle};
use temporal_lambda_testkit::lambda::{
    EmulatorEvent, EnvironmentState, EnvironmentView, Invocation,
};

use super::log::{Functions, Log};
use crate::cost::Bill;
use crate::show::event_log::{self, plural, short};
use crate::show::paint;
use crate::show::parsed_line::ParsedLine;
use crate::trouble::KnownTroubles;

/// What stands above the columns of [`Row::text`].
const HEADER: &str = "environment          state        invocation, time left        done   memory";

/// What is shown, and what it is made of.
pub(super) struct Board {
    log: Log,
    functions: Functions,
    memory_mb: u32,
    bill: Bill,
    known: KnownTroubles,
    /// By environment.
    rows: BTreeMap<String, Row>,
    header: ProgressBar,
    totals: ProgressBar,
}

/// An environment's line.
struct Row {
    bar: ProgressBar,
    /// The state of its lifecycle, as last heard.
    state: String,
    /// Tasks that its invocations have done.
    tasks: u64,
}

impl Board {
    pub(super) fn new(log: Log, functions: Functions, memory_mb: u32) -> Self {
        let totals = line(&log, None);
        let header = line(&log, Some(&totals));
        // The empty line sets it apart from the log.
        header.set_message(format!("\n{}", paint::dim(HEADER)));
        let (bill, known, rows) = (Bill::default(), KnownTroubles::default(), BTreeMap::new());
        Self { log, functions, memory_mb, bill, known, rows, header, totals }
    }

    /// Takes note of an event, and tells it if it is not seen in the live part.
    pub(super) fn event(&mut self, event: &EmulatorEvent) {
        let mut told = self.log.live().is_none();
        match event {
            EmulatorEvent::Log { environment, line, .. } => match ParsedLine::parse(&line.text) {
                ParsedLine::Moved(moved) => {
                    self.row(environment).state = moved.state;
                }
                _ => told = true,
            },
            EmulatorEvent::Finished { invocation, .. } => {
                self.finished(invocation);
                told = true;
            }
            EmulatorEvent::ApiCall { .. } | EmulatorEvent::Retrying { .. } => told = true,
            _ => {}
        }
        if told && let Some((who, what)) = event_log::describe(event) {
            self.log.line(&who, what);
        }
        if let EmulatorEvent::Finished { invocation, .. } = event {
            self.troubles(invocation);
        }
    }

    /// Tells what an invocation has reported that no earlier one has.
    fn troubles(&mut self, invocation: &Invocation) {
        let Some(report) = invocation.outcome.response() else { return };
        for trouble in self.known.new_ones(report) {
            self.log.line(&invocation.environment, paint::yellow(trouble.text));
        }
    }

    pub(super) fn missed(&self, events: u64) {
        self.log.line("", format!("({events} events were too fast to be shown)"));
    }

    fn finished(&mut self, invocation: &Invocation) {
        self.bill.add(invocation, self.memory_mb);
        let Some(report) = event_log::report(invocation) else { return };
        let tasks = report.tasks;
        let done = tasks.workflow.completed + tasks.activity.completed;
        self.row(&invocation.environment).tasks += done + tasks.local_activity.completed;
    }

    /// Looks at every environment and draws its line.
    pub(super) fn refresh(&mut self) {
        let functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let environments = functions.iter().flat_map(|function| function.environments());
        let (mut alive, mut busy) = (0, 0_usize);
        for environment in environments {
            let view = environment.view();
            if view.state == EnvironmentState::Gone {
                if let Some(row) = self.rows.remove(&view.id) {
                    row.bar.finish_and_clear();
                }
                continue;
            }
            alive += 1;
            busy += usize::from(view.state == EnvironmentState::Busy);
            let row = self.row(&view.id);
            row.bar.set_message(row.text(&view));
        }
        let environments = plural("environment", alive);
        self.totals
            .set_message(format!("{}, {alive} {environments}, {busy} busy", self.bill_text()));
    }

    /// The line of an environment, which may be heard of before it is looked at.
    fn row(&mut self, environment: &str) -> &mut Row {
        self.rows.entry(environment.to_owned()).or_insert_with(|| Row {
            bar: line(&self.log, Some(&self.totals)),
            state: String::new(),
            tasks: 0,
        })
    }

    fn bill_text(&self) -> String {
        format!(
            "{} {}, {:.2} s billed, about ${:.7}",
            self.bill.requests,
            plural("invocation", self.bill.requests),
            self.bill.billed.as_secs_f64(),
            self.bill.dollars()
        )
    }

    /// Clears the live part; the totals are the last line of the log.
    pub(super) fn end(self) {
        for row in self.rows.values() {
            row.bar.finish_and_clear();
        }
        self.header.finish_and_clear();
        self.totals.finish_and_clear();
        self.log.line("lambda", self.bill_text());
    }
}

impl Row {
    fn text(&self, view: &EnvironmentView) -> String {
        let state = match view.state {
            EnvironmentState::Busy if !self.state.is_empty() => self.state.clone(),
            state => state.to_string(),
        };
        let running = view.running.first().map_or_else(String::new, |(id, deadline)| {
            let left = deadline.map(|deadline| {
                deadline.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)
            });
            let left =
                left.map_or_else(String::new, |left| format!("{:.1} s left", left.as_secs_f64()));
            format!("{} {left}", short(id))
        });
        let memory =
            view.peak_rss_kb.map_or_else(String::new, |kb| format!("{} MB", kb.div_ceil(1024)));
        format!(
            "{} {state:<12} {running:<22} {:>5} tasks {memory:>7}",
            paint::cyan(format!("{:<20}", view.id)),
            self.tasks
        )
    }
}

/// A line of the live part, above another; nothing is drawn where there is no terminal.
fn line(log: &Log, above: Option<&ProgressBar>) -> ProgressBar {
    let Some(live) = log.live() else {
        return ProgressBar::hidden();
    };
    let bar = ProgressBar::new_spinner();
    let bar = match above {
        Some(below) => live.insert_before(below, bar),
        None => live.add(bar),
    };
    if let Ok(style) = ProgressStyle::with_template("{msg}") {
        bar.set_style(style);
    }
    bar
}
