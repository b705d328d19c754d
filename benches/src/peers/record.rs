//! A run as it is written down: `docs/peers.json`.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::rows::{Batch, Group, ROWS};
use super::statistics::Summary;

/// Whose function it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The example `hello`, on this library.
    Ours,
    /// `benches/bare`: the SDK and `lambda_runtime` alone.
    Bare,
    /// Temporal's Lambda worker for Python.
    Python,
    /// Temporal's Lambda worker for TypeScript.
    TypeScript,
}

impl Side {
    /// All, in the order of the tables.
    pub const ALL: [Self; 4] = [Self::Ours, Self::Bare, Self::Python, Self::TypeScript];

    /// As it stands above a column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "this library",
            Self::Bare => "bare SDK",
            Self::Python => "Python",
            Self::TypeScript => "TypeScript",
        }
    }

    /// As it stands in names of functions.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Bare => "bare",
            Self::Python => "python",
            Self::TypeScript => "typescript",
        }
    }
}

/// A run: everything that tables, plots and goals are made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Where and when, and with what.
    pub circumstances: Circumstances,
    /// The values of each row, by its key and the side.
    pub values: BTreeMap<String, BTreeMap<Side, Vec<f64>>>,
    /// Why a row was not taken, by its key and the side.
    pub not_taken: BTreeMap<String, BTreeMap<Side, String>>,
    /// What was read of each side after each of its warm invocations.
    pub soak: BTreeMap<Side, Vec<Reading>>,
}

/// Where and when, and with what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Circumstances {
    /// When it began, in UTC: `2026-11-30`.
    pub date: String,
    /// The command.
    pub command: String,
    /// What kind of machine.
    pub machine: String,
    /// The load average of the last minute, at the beginning and at the end.
    pub load: [f64; 2],
    /// Versions of what took part, by name.
    pub versions: BTreeMap<String, String>,
}

/// What the kernel says of a process that is frozen after an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Resident memory.
    pub rss_kb: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub fds: u64,
}

impl Record {
    /// One without values.
    pub fn new(circumstances: Circumstances) -> Self {
        Self {
            circumstances,
            values: BTreeMap::new(),
            not_taken: BTreeMap::new(),
            soak: BTreeMap::new(),
        }
    }

    /// This run with the rows of a later one, of some batches only, in the place of its own. The commands stand one after
    /// the other.
    ///
    /// # Errors
    ///
    /// When the later one was taken on another kind of machine, on another day or with other versions: nobody could
    /// compare its rows with the rest.
    pub fn amended(mut self, later: Self, batches: &[Batch]) -> Result<Self> {
        let mut now = later.circumstances;
        let of = |it: &Circumstances| (it.date.clone(), it.machine.clone(), it.versions.clone());
        let (published, taken) = (of(&self.circumstances), of(&now));
        ensure!(
            published == taken,
            "the published run is not comparable: {published:?}, and this one {taken:?}; publish a run of all rows"
        );
        for row in ROWS.iter().filter(|row| batches.contains(&row.batch)) {
            replace(&mut self.values, &later.values, &row.key);
            replace(&mut self.not_taken, &later.not_taken, &row.key);
        }
        if batches.iter().any(|it| it.group == Group::Soak) {
            self.soak = later.soak;
        }
        now.command = format!("{} && {}", self.circumstances.command, now.command);
        now.load[0] = self.circumstances.load[0];
        Ok(Self { circumstances: now, ..self })
    }

    /// Adds a value, with as many digits as mean something. The row is taken now, whatever was in its way before.
    pub fn add(&mut self, row: &str, side: Side, value: f64) {
        if let Some(reasons) = self.not_taken.get_mut(row) {
            reasons.remove(&side);
        }
        self.not_taken.retain(|_, reasons| !reasons.is_empty());
        let value = (value * 1000.0).round() / 1000.0;
        self.values.entry(row.to_owned()).or_default().entry(side).or_default().push(value);
    }

    /// Keeps what was measured of a side, by key of the whole core's row; or why it was not.
    pub fn keep(
        &mut self,
        batch: Batch,
        side: Side,
        measured: Result<impl IntoIterator<Item = (&'static str, f64)>>,
    ) {
        match measured {
            Ok(values) => {
                for (row, value) in values {
                    self.add(&batch.key(row), side, value);
                }
            }
            Err(error) => {
                eprintln!("{}: {}: {error:#}", batch.words(), side.name());
                // Logs follow the first line.
                let reason = error.to_string().lines().next().unwrap_or_default().to_owned();
                self.miss_all(batch, side, &format!("it failed: {reason}"));
            }
        }
    }

    /// Sets the one value of a row.
    pub fn set(&mut self, row: &str, side: Side, value: f64) {
        self.values.entry(row.to_owned()).or_default().remove(&side);
        self.add(row, side, value);
    }

    /// Notes why a row has no values for this side.
    pub fn miss(&mut self, row: &str, side: Side, reason: impl Into<String>) {
        self.not_taken.entry(row.to_owned()).or_default().insert(side, reason.into());
    }

    /// Notes why rows of a batch have no values for this side: those that have none.
    pub fn miss_all(&mut self, batch: Batch, side: Side, reason: &str) {
        for row in ROWS.iter().filter(|row| row.batch == batch) {
            if self.values(&row.key, side).is_empty() {
                self.miss(&row.key, side, reason);
            }
        }
    }

    /// The values of a row.
    pub fn values(&self, row: &str, side: Side) -> &[f64] {
        self.values.get(row).and_then(|it| it.get(&side)).map_or(&[], Vec::as_slice)
    }

    /// What is said of the values of a row.
    pub fn summary(&self, row: &str, side: Side) -> Option<Summary> {
        Summary::of(self.values(row, side))
    }

    /// Why a row was not taken.
    pub fn reason(&self, row: &str, side: Side) -> Option<&str> {
        self.not_taken.get(row).and_then(|it| it.get(&side)).map(String::as_str)
    }
}

/// Makes a row what it is in the later run.
fn replace<T: Clone>(rows: &mut BTreeMap<String, T>, later: &BTreeMap<String, T>, key: &str) {
    rows.remove(key);
    rows.extend(later.get(key).map(|row| (key.to_owned(), row.clone())));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::rows::Share;
    use super::*;

    fn run(command: &str, date: &str) -> Record {
        let (command, date) = (command.to_owned(), date.to_owned());
        Record::new(Circumstances { command, date, ..Circumstances::default() })
    }

    #[test]
    fn a_row_of_a_side_has_values_or_a_reason() {
        let batch = Batch { group: Group::Visits, share: Share::Seventh };
        let mut record = run("all", "2026-11-30");
        record.keep(batch, Side::Python, Ok([("cold", 9.0)]));
        let failed = || Err::<[_; 0], _>(anyhow::anyhow!("it timed out\nand its log"));
        record.keep(batch, Side::Python, failed());
        assert_eq!(record.values("7th-cold", Side::Python), [9.0]);
        assert_eq!(record.reason("7th-cold", Side::Python), None);
        assert_eq!(record.reason("7th-warm", Side::Python), Some("it failed: it timed out"));
        assert_eq!(record.reason("cold", Side::Python), None);
        record.keep(batch, Side::Python, Ok([("warm", 5.0)]));
        assert_eq!(record.reason("7th-warm", Side::Python), None);
    }

    #[test]
    fn some_batches_that_are_taken_anew_replace_theirs_and_no_others() {
        let mut whole = run("all", "2026-11-30");
        whole.add("cold", Side::Ours, 50.0);
        whole.add("soak-fds", Side::Ours, 9.0);
        whole.add("soak-memory", Side::Bare, 70.0);
        let mut soak = run("all --only soak-fds", "2026-11-30");
        soak.add("cold", Side::Ours, 99.0);
        soak.add("soak-fds", Side::Ours, 0.0);
        soak.miss("soak-memory", Side::Bare, "it failed");
        let batches = [Batch { group: Group::Soak, share: Share::Whole }];
        let both = whole.clone().amended(soak, &batches).unwrap();
        assert_eq!(both.values("cold", Side::Ours), [50.0]);
        assert_eq!(both.values("soak-fds", Side::Ours), [0.0]);
        assert_eq!(both.values("soak-memory", Side::Bare), [0.0; 0]);
        assert_eq!(both.reason("soak-memory", Side::Bare), Some("it failed"));
        assert_eq!(both.circumstances.command, "all && all --only soak-fds");
        let refused = whole.amended(run("all", "2026-12-01"), &batches).unwrap_err();
        assert!(refused.to_string().contains("publish a run of all rows"), "{refused}");
    }
}
