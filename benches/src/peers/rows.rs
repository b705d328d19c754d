//! What is measured: the rows of the tables.

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Megabytes: 1,000,000 bytes.
    Megabytes,
    /// US dollars.
    Dollars,
    /// A number of things.
    Count,
}

impl Unit {
    /// As it stands in a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Megabytes => "MB",
            Self::Dollars => "$",
            Self::Count => "",
        }
    }

    /// A value with the digits that mean something.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Milliseconds if value < 100.0 => format!("{value:.1}"),
            Self::Milliseconds | Self::Count => format!("{value:.0}"),
            Self::Seconds | Self::Dollars => format!("{value:.2}"),
            Self::Megabytes => format!("{value:.1}"),
        }
    }
}

/// One thing that is measured of every side.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What it is called in `--only` and in the JSON file.
    pub key: &'static str,
    /// What is measured.
    pub title: &'static str,
    /// In what.
    pub unit: Unit,
    /// What takes it: rows of one group are taken together.
    pub group: Group,
}

/// What takes a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// A cold and a warm invocation, with one workflow each.
    Visits,
    /// The same, far from the server.
    Far,
    /// The same, at a fourteenth of a core.
    Fourteenth,
    /// The same, at a seventh of a core.
    Seventh,
    /// Invocations in full length.
    Billed,
    /// Many workflows at once.
    Throughput,
    /// Many workflows at once, and no environment when they come.
    Fleet,
    /// Activities of which some outlast their invocation.
    Exits,
    /// Many warm invocations.
    Soak,
    /// What is uploaded.
    Size,
}

impl Group {
    /// All, in the order in which they are taken: what is quick and matters most comes first.
    pub const ALL: [Self; 10] = [
        Self::Size,
        Self::Visits,
        Self::Far,
        Self::Fourteenth,
        Self::Seventh,
        Self::Throughput,
        Self::Billed,
        Self::Exits,
        Self::Fleet,
        Self::Soak,
    ];
}

const fn row(key: &'static str, title: &'static str, unit: Unit, group: Group) -> Row {
    Row { key, title, unit, group }
}

/// All rows, in the order of the tables.
pub const ROWS: [Row; 36] = [
    row("init", "spawn to first `/next`", Unit::Milliseconds, Group::Visits),
    row("cold", "cold: spawn to workflow done", Unit::Milliseconds, Group::Visits),
    row("warm", "warm: event to workflow done", Unit::Milliseconds, Group::Visits),
    row("memory", "peak memory after two workflows", Unit::Megabytes, Group::Visits),
    row("cpu", "CPU of a cold invocation with one workflow", Unit::Milliseconds, Group::Visits),
    row("far-cold", "cold, 25 ms round trip, TLS", Unit::Milliseconds, Group::Far),
    row("far-warm", "warm, 25 ms round trip, TLS", Unit::Milliseconds, Group::Far),
    row("14th-init", "1/14 core: spawn to first `/next`", Unit::Milliseconds, Group::Fourteenth),
    row("14th-cold", "1/14 core: spawn to workflow done", Unit::Milliseconds, Group::Fourteenth),
    row(
        "14th-warm",
        "1/14 core: warm event to workflow done",
        Unit::Milliseconds,
        Group::Fourteenth,
    ),
    row("7th-init", "1/7 core: spawn to first `/next`", Unit::Milliseconds, Group::Seventh),
    row("7th-cold", "1/7 core: spawn to workflow done", Unit::Milliseconds, Group::Seventh),
    row("7th-warm", "1/7 core: warm event to workflow done", Unit::Milliseconds, Group::Seventh),
    row(
        "burst-p50",
        "200 workflows, one environment: median",
        Unit::Milliseconds,
        Group::Throughput,
    ),
    row("burst-p99", "200 workflows, one environment: p99", Unit::Milliseconds, Group::Throughput),
    row("burst-cpu", "CPU of those 200 workflows", Unit::Milliseconds, Group::Throughput),
    row("billed-one", "billed for one workflow", Unit::Seconds, Group::Billed),
    row("billed-burst", "billed for a burst of 10 workflows", Unit::Seconds, Group::Billed),
    row("billed-ended", "the same, a server that ends polls", Unit::Seconds, Group::Billed),
    row("billed-hour", "billed for an hour of sparse work", Unit::Seconds, Group::Billed),
    row("dollars-burst", "a million such bursts", Unit::Dollars, Group::Billed),
    row("dollars-month", "a month of sparse work", Unit::Dollars, Group::Billed),
    row("drain", "from the stop time to the response", Unit::Milliseconds, Group::Billed),
    row("exits-wasted", "attempts in vain, of 120 activities", Unit::Count, Group::Exits),
    row("exits-lost", "tasks lost at those exits", Unit::Count, Group::Exits),
    row("exits-number", "exits among those 120 activities", Unit::Count, Group::Exits),
    row("exits-time", "those 120 activities: all done", Unit::Seconds, Group::Exits),
    row("fleet-time", "400 workflows from zero: all done", Unit::Seconds, Group::Fleet),
    row("fleet-size", "environments for those 400 workflows", Unit::Count, Group::Fleet),
    row("fleet-billed", "billed for those 400 workflows", Unit::Seconds, Group::Fleet),
    row("soak-memory", "memory per warm invocation, second half, kB", Unit::Count, Group::Soak),
    row("soak-threads", "threads: more at the end than early on", Unit::Count, Group::Soak),
    row("soak-fds", "file descriptors: more at the end than early on", Unit::Count, Group::Soak),
    row("soak-invocations", "warm invocations served meanwhile", Unit::Count, Group::Soak),
    row("package", "package, unpacked", Unit::Megabytes, Group::Size),
    row("zip", "package, zipped", Unit::Megabytes, Group::Size),
];

/// The row with this key.
pub fn find(key: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_key_and_every_group_has_rows() {
        for row in &ROWS {
            assert_eq!(find(row.key).map(|it| it.title), Some(row.title));
        }
        for group in Group::ALL {
            assert!(ROWS.iter().any(|row| row.group == group), "{group:?}");
        }
    }
}
