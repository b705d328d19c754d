//! What the numbers ought to be, and whether they are.

use temporal_lambda_tests::growth;

use super::record::{Reading, Record, Side};
use super::rows::{Unit, find};

/// What invocations before this one make is made for the first time.
const WARMED_UP: usize = 5;
/// Of threads and descriptors so many readings are looked at together, since the freeze may catch a thread that is
/// about to end.
const TOGETHER: usize = 10;

/// Something that a number ought to be.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// The row that it is about, by its key.
    pub row: &'static str,
    /// What it ought to be.
    pub wanted: Wanted,
}

/// What a median ought to be at most.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// So many times the other's.
    Times(f64, Side),
    /// The other's and so much more.
    Over(f64, Side),
    /// So much.
    AtMost(f64),
    /// What was read after warm invocations does not grow.
    Flat,
}

/// All goals.
pub const GOALS: [Goal; 15] = [
    Goal { row: "init", wanted: Wanted::Times(1.5, Side::Bare) },
    Goal { row: "cold", wanted: Wanted::Times(0.10, Side::Python) },
    Goal { row: "cold", wanted: Wanted::Times(0.05, Side::TypeScript) },
    Goal { row: "14th-cold", wanted: Wanted::Times(0.03, Side::Python) },
    Goal { row: "warm", wanted: Wanted::Times(0.8, Side::Python) },
    Goal { row: "warm", wanted: Wanted::Times(0.15, Side::TypeScript) },
    Goal { row: "memory", wanted: Wanted::Over(1.0, Side::Bare) },
    Goal { row: "billed-burst", wanted: Wanted::Times(0.04, Side::Python) },
    Goal { row: "billed-burst", wanted: Wanted::Times(0.04, Side::TypeScript) },
    Goal { row: "billed-ended", wanted: Wanted::Times(0.04, Side::Python) },
    Goal { row: "billed-ended", wanted: Wanted::Times(0.04, Side::TypeScript) },
    Goal { row: "exits-lost", wanted: Wanted::AtMost(0.0) },
    Goal { row: "package", wanted: Wanted::AtMost(15.0) },
    Goal { row: "zip", wanted: Wanted::AtMost(6.0) },
    Goal { row: "soak-memory", wanted: Wanted::Flat },
];

/// How a goal came out.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is so: the number.
    Met(String),
    /// It is not: the number.
    Missed(String),
    /// A row was not taken.
    NotTaken,
}

impl Outcome {
    fn of(met: bool, number: String) -> Self {
        if met { Self::Met(number) } else { Self::Missed(number) }
    }
}

impl Goal {
    /// The goal in words.
    pub fn words(self) -> String {
        match self.wanted {
            Wanted::Times(factor, side) => format!("at most {factor:.2} × {}", side.name()),
            Wanted::Over(more, side) => format!("at most {} + {more:.0} MB", side.name()),
            Wanted::AtMost(most) => format!("at most {}", self.with_unit(most, 0)),
            Wanted::Flat => "flat: no more threads or descriptors".to_owned(),
        }
    }

    /// A value of its row, with so many decimals where it is no number of things.
    fn with_unit(self, value: f64, decimals: usize) -> String {
        match find(self.row).map(|row| row.unit) {
            Some(Unit::Count) | None => format!("{value:.0}"),
            Some(unit) => format!("{value:.decimals$} {}", unit.name()),
        }
    }

    /// How it came out in a run.
    pub fn outcome(self, record: &Record) -> Outcome {
        let median = |side| record.summary(self.row, side).map(|it| it.median);
        let outcome = match self.wanted {
            Wanted::Flat => record.soak.get(&Side::Ours).and_then(|it| growth(it)).map(|it| {
                let number = format!("{:.1} kB, {:+}, {:+}", it.memory_kb, it.threads, it.fds);
                Outcome::of(it.is_flat(), number)
            }),
            Wanted::AtMost(most) => {
                median(Side::Ours).map(|it| Outcome::of(it <= most, self.with_unit(it, 1)))
            }
            Wanted::Times(factor, other) => median(Side::Ours)
                .zip(median(other))
                .map(|(it, other)| Outcome::of(it <= factor * other, format!("{:.3}", it / other))),
            Wanted::Over(more, other) => {
                median(Side::Ours).zip(median(other)).map(|(it, other)| {
                    Outcome::of(it <= other + more, format!("{:+.1} MB", it - other))
                })
            }
        };
        outcome.unwrap_or(Outcome::NotTaken)
    }
}

/// What came to be between early and late warm invocations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Resident memory in kB, for each invocation.
    pub memory_kb: f64,
    /// Threads.
    pub threads: i64,
    /// File descriptors.
    pub fds: i64,
}

impl Growth {
    /// Whether it is none. One descriptor may be the second connection that a client of the Runtime API opens
    /// now and then.
    pub fn is_flat(self) -> bool {
        self.memory_kb < growth::TOLERATED_KB && self.threads <= 0 && self.fds <= 1
    }
}

/// What came to be; `None` where there are too few readings to tell.
#[allow(clippy::cast_possible_wrap, reason = "they are small")]
pub fn growth(readings: &[Reading]) -> Option<Growth> {
    if readings.len() < 2 * (WARMED_UP + TOGETHER) {
        return None;
    }
    let least = |of: fn(&Reading) -> u64, some: &[Reading]| {
        some.iter().map(of).min().unwrap_or_default() as i64
    };
    let (early, late) =
        (&readings[WARMED_UP..WARMED_UP + TOGETHER], &readings[readings.len() - TOGETHER..]);
    let rss_kb: Vec<_> = readings[WARMED_UP..].iter().map(|it| it.rss_kb).collect();
    Some(Growth {
        memory_kb: growth::per_reading(&rss_kb)?,
        threads: least(|it| it.threads, late) - least(|it| it.threads, early),
        fds: least(|it| it.fds, late) - least(|it| it.fds, early),
    })
}

#[cfg(test)]
mod tests {
    use super::super::record::Circumstances;
    use super::*;

    fn record(row: &str, ours: f64, other: Side, its: f64) -> Record {
        let mut record = Record::new(Circumstances::default());
        record.add(row, Side::Ours, ours);
        record.add(row, other, its);
        record
    }

    #[test]
    fn a_goal_is_met_at_its_limit_and_missed_over_it_and_not_taken_without_both_sides() {
        let goal = Goal { row: "cold", wanted: Wanted::Times(0.10, Side::Python) };
        let at = record("cold", 50.0, Side::Python, 500.0);
        assert_eq!(goal.outcome(&at), Outcome::Met("0.100".to_owned()));
        let over = record("cold", 51.0, Side::Python, 500.0);
        assert_eq!(goal.outcome(&over), Outcome::Missed("0.102".to_owned()));
        let alone = record("cold", 51.0, Side::Bare, 500.0);
        assert_eq!(goal.outcome(&alone), Outcome::NotTaken);
        let goal = Goal { row: "exits-lost", wanted: Wanted::AtMost(0.0) };
        let lost = record("exits-lost", 1.0, Side::Bare, 0.0);
        assert_eq!(
            (goal.words(), goal.outcome(&lost)),
            ("at most 0".to_owned(), Outcome::Missed("1".to_owned()))
        );
        let goal = Goal { row: "memory", wanted: Wanted::Over(1.0, Side::Bare) };
        let over = record("memory", 17.5, Side::Bare, 16.0);
        assert_eq!(goal.outcome(&over), Outcome::Missed("+1.5 MB".to_owned()));
    }

    #[test]
    fn growth_of_a_leaking_process_is_seen_and_that_of_a_steady_one_is_none() {
        let reading = |rss_kb, threads, fds| Reading { rss_kb, threads, fds };
        let steady: Vec<_> = (0..100).map(|n| reading(20_000 + n % 3, 8 + n % 2, 19)).collect();
        assert!(growth(&steady).is_some_and(Growth::is_flat));
        let leaking: Vec<_> = (0..100).map(|n| reading(20_000 + 90 * n, 8, 19)).collect();
        let found = growth(&leaking).unwrap();
        assert!((found.memory_kb - 90.0).abs() < 5.0, "{found:?}");
        assert!(!found.is_flat());
        let threads: Vec<_> = (0..100).map(|n| reading(20_000, 8 + n / 50, 19)).collect();
        assert!(growth(&threads).is_some_and(|it| !it.is_flat()));
        assert_eq!(growth(&steady[..20]), None);
    }
}
