//! What came of a case, held against what should have, and the table that shows it.

use std::fmt::Write as _;
use std::time::Duration;

use temporal_lambda_worker::{InvocationReport, LambdaWorkerError, Reason, Shutdown};

/// Whether the invocation returned before its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InTime {
    Yes,
    /// It cannot: the driver itself stood still until then, or the event came too late.
    Cannot,
    NoDeadline,
}

/// What became of hooks and `on_shutdown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callbacks {
    /// Each once, in order.
    Once,
    /// `configure` was never entered, so nothing ran.
    NotEntered,
    /// The hooks once. `on_shutdown` cannot run, since a callback that blocks has the struct.
    StructIsHeld,
    Wrong,
}

/// What the environment is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The next warm invocation works.
    Healthy,
    /// No invocation is accepted any more.
    Poisoned,
    /// Either of them, as it happens, and with or without the error. Only expected.
    Either,
}

/// What should come of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) reason: Option<Reason>,
    /// The type of the first error; empty: none.
    pub(crate) first: &'static str,
    pub(crate) later: &'static [&'static str],
    pub(crate) callbacks: Callbacks,
    pub(crate) in_time: InTime,
    pub(crate) after: After,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) reason: Option<Reason>,
    pub(crate) first: String,
    pub(crate) later: Vec<String>,
    pub(crate) callbacks: Callbacks,
    pub(crate) in_time: InTime,
    pub(crate) after: After,
    took: Duration,
    problems: Vec<String>,
}

impl Seen {
    pub(crate) fn new(took: Duration) -> Self {
        Self {
            reason: None,
            first: String::new(),
            later: Vec::new(),
            callbacks: Callbacks::Wrong,
            in_time: InTime::Cannot,
            after: After::Healthy,
            took,
            problems: Vec::new(),
        }
    }

    /// A case that panicked itself.
    pub(crate) fn of_panic() -> Self {
        let mut seen = Self::new(Duration::ZERO);
        seen.problem("the case panicked");
        seen
    }

    pub(crate) fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// The result; of a dropped future, what `on_shutdown` was told.
    pub(crate) fn outcome(
        &mut self,
        outcome: Option<Result<InvocationReport, LambdaWorkerError>>,
        told: Option<Shutdown>,
    ) {
        match outcome {
            None => self.reason = told.map(|it| it.reason),
            Some(Ok(report)) => {
                self.reason = report.reason;
                self.says_so_if_late(&report);
                if !report.errors.is_empty() || report.poisoned {
                    self.problem(format!("it succeeded with errors: {report:?}"));
                }
            }
            Some(Err(error)) => {
                let report = error.report();
                self.reason = report.reason;
                self.says_so_if_late(report);
                self.first = error.fault().error_type().to_owned();
                self.later = error.later().iter().map(|it| it.error_type().to_owned()).collect();
                let reported: Vec<_> = report.errors.iter().map(|it| &it.error_type).collect();
                if !reported.into_iter().eq(std::iter::once(&self.first).chain(&self.later)) {
                    self.problem(format!("error and report differ: {error}: {report:?}"));
                }
            }
        }
    }

    /// What could not be in time says so: no time was left.
    fn says_so_if_late(&mut self, report: &InvocationReport) {
        if self.in_time == InTime::Cannot && report.time_left_ms != Some(0) {
            self.problem(format!("it was late and says otherwise: {report:?}"));
        }
    }

    /// What was done to the worker, in order.
    pub(crate) fn callbacks(&mut self, log: &[&str]) {
        let hooks = ["first hook", "second hook"];
        let begins = |log: &[&str]| log == ["configure"] || log == ["configure", "on_start"];
        self.callbacks = match log {
            [] => Callbacks::NotEntered,
            [begin @ .., one, two, "on_shutdown"] if [*one, *two] == hooks && begins(begin) => {
                Callbacks::Once
            }
            [begin @ .., one, two] if [*one, *two] == hooks && begins(begin) => {
                Callbacks::StructIsHeld
            }
            wrong => {
                self.problem(format!("callbacks: {wrong:?}"));
                Callbacks::Wrong
            }
        };
    }

    /// What is not as it should be.
    pub(crate) fn differences(&self, expected: &Expected) -> Vec<String> {
        let mut all = self.problems.clone();
        let mut compare = |what: &str, seen: String, expected: String| {
            if seen != expected {
                all.push(format!("{what} is {seen} and should be {expected}"));
            }
        };
        compare("the reason", format!("{:?}", self.reason), format!("{:?}", expected.reason));
        if expected.after != After::Either || !self.first.is_empty() {
            compare("the first error", self.first.clone(), expected.first.to_owned());
        }
        if expected.after != After::Either {
            let (seen, expected) = (self.later.join(", "), expected.later.join(", "));
            compare("what failed later", seen, expected);
        }
        compare("callbacks", format!("{:?}", self.callbacks), format!("{:?}", expected.callbacks));
        compare("in time", format!("{:?}", self.in_time), format!("{:?}", expected.in_time));
        if expected.after != After::Either {
            compare("after it", format!("{:?}", self.after), format!("{:?}", expected.after));
        }
        all
    }
}

const TITLES: [&str; 12] = [
    "#",
    "state",
    "fault",
    "reason",
    "first error",
    "later",
    "hooks once",
    "on_shutdown once",
    "in time",
    "took",
    "environment",
    "verdict",
];

/// The table, with a row for every case.
#[derive(Default)]
pub(crate) struct Table(Vec<[String; TITLES.len()]>);

impl Table {
    pub(crate) fn add(&mut self, state: &str, fault: &str, seen: &Seen, is_right: bool) {
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let (hooks, on_shutdown) = match seen.callbacks {
            Callbacks::Once => ("yes", "yes"),
            Callbacks::NotEntered => ("not entered", "not entered"),
            Callbacks::StructIsHeld => ("yes", "cannot: struct is held"),
            Callbacks::Wrong => ("NO", "NO"),
        };
        let in_time = match seen.in_time {
            InTime::Yes => "yes",
            InTime::Cannot => "cannot",
            InTime::NoDeadline => "no deadline",
        };
        let environment = match seen.after {
            After::Healthy => "next healthy",
            After::Poisoned => "poisoned",
            After::Either => "unknown",
        };
        self.0.push([
            (self.0.len() + 1).to_string(),
            state.to_owned(),
            fault.to_owned(),
            seen.reason.map_or("-".to_owned(), |it| format!("{it:?}")),
            or_dash(seen.first.clone()),
            or_dash(seen.later.join(", ")),
            hooks.to_owned(),
            on_shutdown.to_owned(),
            in_time.to_owned(),
            format!("{:.2} s", seen.took.as_secs_f64()),
            environment.to_owned(),
            (if is_right { "ok" } else { "WRONG" }).to_owned(),
        ]);
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let titles = TITLES.map(str::to_owned);
        let rows = || std::iter::once(&titles).chain(&self.0);
        let widths: [usize; TITLES.len()] =
            std::array::from_fn(|column| rows().map(|row| row[column].len()).max().unwrap_or(0));
        let mut out = String::new();
        for (index, row) in rows().enumerate() {
            for (cell, width) in row.iter().zip(widths) {
                write!(out, "| {cell:width$} ")?;
            }
            out.push_str("|\n");
            if index == 0 {
                for width in widths {
                    write!(out, "|{}", "-".repeat(width + 2))?;
                }
                out.push_str("|\n");
            }
        }
        f.write_str(&out)
    }
}
