//! A run as tables, for the terminal and for Markdown.

use std::fmt::Write as _;

use super::goals::{GOALS, Outcome};
use super::record::{Record, Side};
use super::rows::{ROWS, Row, Share, Unit, find};

/// A table: its head and its rows.
pub type Table = Vec<Vec<String>>;

/// Every row at this share of a core that a side has a value of, with the least, the middle and the most of each side, and
/// how many times ours the others' is.
pub fn measurements(record: &Record, share: Share) -> Table {
    let mut head = vec!["median (least to most)".to_owned()];
    for side in Side::ALL {
        head.push(side.name().to_owned());
        if side != Side::Ours {
            head.push("/ ours".to_owned());
        }
    }
    let is_taken = |row: &&Row| {
        row.batch.share == share
            && Side::ALL.iter().any(|it| !record.values(&row.key, *it).is_empty())
    };
    let rows = ROWS.iter().filter(is_taken).map(|row| {
        let mut line = vec![title(row)];
        for side in Side::ALL {
            line.push(cell(record, row, side));
            if side != Side::Ours {
                line.push(ratio(record, row, side));
            }
        }
        line
    });
    std::iter::once(head).chain(rows).collect()
}

/// The few rows that a reader of the README wants, as medians, where this library has them.
pub fn summary(record: &Record) -> Table {
    const KEYS: [&str; 8] = [
        "cold",
        "14th-cold",
        "warm",
        "memory",
        "zip",
        "billed-burst",
        "dollars-month",
        "burst-p50",
    ];
    let head = std::iter::once(String::new()).chain(Side::ALL.map(|it| it.name().to_owned()));
    let is_wanted = |row: &&Row| {
        KEYS.contains(&row.key.as_str()) && !record.values(&row.key, Side::Ours).is_empty()
    };
    let rows = ROWS.iter().filter(is_wanted).map(|row| {
        let median = |side| record.summary(&row.key, side).map(|it| row.unit.show(it.median));
        let cells = Side::ALL.map(|side| median(side).unwrap_or_else(|| "not taken".to_owned()));
        std::iter::once(title(row)).chain(cells).collect()
    });
    std::iter::once(head.collect()).chain(rows).collect()
}

/// Every goal, and whether it is met.
pub fn goals(record: &Record) -> Table {
    let head = ["", "goal", "measured", ""].map(ToOwned::to_owned).to_vec();
    let rows = GOALS.iter().map(|goal| {
        let title = find(goal.row).map_or(goal.row, |row| &row.title);
        let (measured, verdict) = match goal.outcome(record) {
            Outcome::Met(number) => (number, "met"),
            Outcome::Missed(number) => (number, "**missed**"),
            Outcome::NotTaken => (String::new(), "not taken"),
        };
        vec![title.to_owned(), goal.words(), measured, verdict.to_owned()]
    });
    std::iter::once(head).chain(rows).collect()
}

/// What was not taken, and why: rows that share both in one line. Nothing but its head where everything was.
pub fn not_taken(record: &Record) -> Table {
    // Of rows, by their titles: whose, and why.
    let mut lines: Vec<(Vec<&str>, String, &str)> = Vec::new();
    for row in ROWS.iter() {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for side in Side::ALL.into_iter().filter(|side| record.values(&row.key, *side).is_empty()) {
            let reason = record.reason(&row.key, side).unwrap_or("not asked for in this run");
            match reasons.iter_mut().find(|(it, _)| *it == reason) {
                Some((_, sides)) => sides.push(side.name()),
                None => reasons.push((reason, vec![side.name()])),
            }
        }
        for (reason, sides) in reasons {
            let sides = sides.join(", ");
            match lines.iter_mut().find(|(_, of, because)| *of == sides && *because == reason) {
                Some((titles, ..)) => titles.push(&row.title),
                None => lines.push((vec![&row.title], sides, reason)),
            }
        }
    }
    let head = ["not taken", "of", "because"].map(ToOwned::to_owned).to_vec();
    let lines = lines.into_iter();
    let lines = lines.map(|(titles, of, because)| vec![titles.join("; "), of, because.to_owned()]);
    std::iter::once(head).chain(lines).collect()
}

/// Where, when and with what.
pub fn circumstances(record: &Record) -> Table {
    let it = &record.circumstances;
    let [before, after] = it.load;
    let mut table = vec![
        vec!["date".to_owned(), it.date.clone()],
        vec!["command".to_owned(), format!("`{}`", it.command)],
        vec!["machine".to_owned(), it.machine.clone()],
        vec!["load average before, after".to_owned(), format!("{before:.1}, {after:.1}")],
    ];
    table.extend(it.versions.iter().map(|(name, version)| vec![name.clone(), version.clone()]));
    table.insert(0, vec![String::new(), String::new()]);
    table
}

/// As Markdown.
pub fn markdown(table: &Table) -> String {
    let mut text = String::new();
    for (number, row) in table.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if number == 0 {
            let _ = writeln!(text, "|{}", "-|".repeat(row.len()));
        }
    }
    text
}

fn title(row: &Row) -> String {
    match row.unit {
        Unit::Count => row.title.clone(),
        unit => format!("{}, {}", row.title, unit.name()),
    }
}

fn cell(record: &Record, row: &Row, side: Side) -> String {
    match record.summary(&row.key, side) {
        None => "not taken".to_owned(),
        Some(it) if it.min < it.max => {
            let show = |value| row.unit.show(value);
            format!("{} ({} to {})", show(it.median), show(it.min), show(it.max))
        }
        Some(it) => row.unit.show(it.median),
    }
}

/// How many times ours it is, for what a ratio means something.
fn ratio(record: &Record, row: &Row, side: Side) -> String {
    let median = |side| record.summary(&row.key, side).map(|it| it.median);
    match (median(Side::Ours), median(side)) {
        (Some(ours), Some(other)) if row.unit != Unit::Count && ours > 0.0 => {
            format!("{:.1}", other / ours)
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Circumstances;
    use super::*;

    #[test]
    fn a_table_has_medians_with_their_spread_and_ratios_and_says_what_was_not_taken() {
        let mut record = Record::new(Circumstances::default());
        for value in [40.0, 50.0, 44.0] {
            record.add("cold", Side::Ours, value);
        }
        record.add("cold", Side::Python, 440.0);
        record.miss("cold", Side::TypeScript, "npm is not installed");
        let table = measurements(&record, Share::Whole);
        let row = table.iter().find(|it| it[0].starts_with("cold: spawn")).unwrap();
        let expected = ["44.0 (40.0 to 50.0)", "not taken", "", "440", "10.0", "not taken", ""];
        assert_eq!(row[1..], expected);
        let reasons = not_taken(&record);
        let of_cold: Vec<_> =
            reasons.iter().filter(|it| it[0].starts_with("cold: spawn")).collect();
        assert_eq!(of_cold.len(), 2);
        assert_eq!(of_cold[1][1..], ["TypeScript", "npm is not installed"]);
        assert!(markdown(&summary(&record)).starts_with("|  | this library | bare SDK |"));
    }
}
