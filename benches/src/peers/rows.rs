//! What is measured: the rows of the tables.

use std::sync::LazyLock;

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
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is called in `--only` and in the JSON file.
    pub key: String,
    /// What is measured.
    pub title: String,
    /// In what.
    pub unit: Unit,
    /// What it is taken with.
    pub batch: Batch,
}

/// Rows that are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What takes them.
    pub group: Group,
    /// What of a core each environment has.
    pub share: Share,
}

/// What takes a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// A cold and a warm invocation, with one workflow each.
    Visits,
    /// The same, far from the server.
    Far,
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

/// What of a core an environment has. Lambda gives a core to 1,769 MB: a fourteenth of it to 128 MB, a seventh
/// to 256 MB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All that it can use.
    Whole,
    /// A seventh.
    Seventh,
    /// A fourteenth.
    Fourteenth,
}

impl Group {
    /// All, in the order in which they are taken: what is quick and matters most comes first.
    pub const ALL: [Self; 8] = [
        Self::Size,
        Self::Visits,
        Self::Far,
        Self::Throughput,
        Self::Billed,
        Self::Exits,
        Self::Fleet,
        Self::Soak,
    ];

    /// At what shares of a core it is taken. What is uploaded has none; many warm invocations end with the same memory at
    /// each; and the forty environments of a fleet would have three and six cores together, which is more than a
    /// machine of two has.
    const fn shares(self) -> &'static [Share] {
        match self {
            Self::Size | Self::Soak | Self::Fleet => &[Share::Whole],
            Self::Visits | Self::Far | Self::Throughput | Self::Billed | Self::Exits => &Share::ALL,
        }
    }
}

impl Share {
    /// All, in the order in which they are taken.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Fourteenth, Self::Seventh];

    /// How many environments have a core together.
    pub const fn parts(self) -> u32 {
        match self {
            Self::Whole => 1,
            Self::Seventh => 7,
            Self::Fourteenth => 14,
        }
    }

    /// How many sides may be measured at once: all, where each has its own share and a machine has more than all of them,
    /// else one.
    pub const fn sides_at_once(self) -> usize {
        match self {
            Self::Whole => 1,
            Self::Seventh | Self::Fourteenth => 4,
        }
    }
}

impl Batch {
    /// All, in the order in which they are taken.
    pub fn all() -> impl Iterator<Item = Self> {
        Share::ALL.into_iter().flat_map(|share| {
            let taken = Group::ALL.into_iter().filter(move |it| it.shares().contains(&share));
            taken.map(move |group| Self { group, share })
        })
    }

    /// A key as it is at this share of a core: `14th-cold`.
    pub fn key(self, key: &str) -> String {
        match self.share {
            Share::Whole => key.to_owned(),
            share => format!("{}th-{key}", share.parts()),
        }
    }

    /// As it is named while a run goes on.
    pub fn words(self) -> String {
        self.title(&format!("{:?}", self.group))
    }

    fn title(self, title: &str) -> String {
        match self.share {
            Share::Whole => title.to_owned(),
            share => format!("1/{} core, {title}", share.parts()),
        }
    }
}

/// The rows of a whole core, in the order of the tables.
const WHOLE: [(&str, &str, Unit, Group); 30] = [
    ("init", "spawn to first `/next`", Unit::Milliseconds, Group::Visits),
    ("cold", "cold: spawn to workflow done", Unit::Milliseconds, Group::Visits),
    ("warm", "warm: event to workflow done", Unit::Milliseconds, Group::Visits),
    ("memory", "peak memory after two workflows", Unit::Megabytes, Group::Visits),
    ("cpu", "CPU of a cold invocation with one workflow", Unit::Milliseconds, Group::Visits),
    ("far-cold", "cold, 25 ms round trip, TLS", Unit::Milliseconds, Group::Far),
    ("far-warm", "warm, 25 ms round trip, TLS", Unit::Milliseconds, Group::Far),
    ("burst-p50", "200 workflows, one environment: median", Unit::Milliseconds, Group::Throughput),
    ("burst-p99", "200 workflows, one environment: p99", Unit::Milliseconds, Group::Throughput),
    ("burst-cpu", "CPU of those 200 workflows", Unit::Milliseconds, Group::Throughput),
    ("billed-one", "billed for one workflow", Unit::Seconds, Group::Billed),
    ("billed-burst", "billed for a burst of 10 workflows", Unit::Seconds, Group::Billed),
    ("billed-ended", "the same, a server that ends polls", Unit::Seconds, Group::Billed),
    ("billed-hour", "billed for an hour of sparse work", Unit::Seconds, Group::Billed),
    ("dollars-burst", "a million such bursts", Unit::Dollars, Group::Billed),
    ("dollars-month", "a month of sparse work", Unit::Dollars, Group::Billed),
    ("drain", "from the stop time to the response", Unit::Milliseconds, Group::Billed),
    ("exits-wasted", "attempts in vain, of 120 activities", Unit::Count, Group::Exits),
    ("exits-lost", "tasks lost at those exits", Unit::Count, Group::Exits),
    ("exits-number", "exits among those 120 activities", Unit::Count, Group::Exits),
    ("exits-time", "those 120 activities: all done", Unit::Seconds, Group::Exits),
    ("fleet-time", "400 workflows from zero: all done", Unit::Seconds, Group::Fleet),
    ("fleet-size", "environments for those 400 workflows", Unit::Count, Group::Fleet),
    ("fleet-billed", "billed for those 400 workflows", Unit::Seconds, Group::Fleet),
    ("soak-memory", "memory more with each warm invocation, kB", Unit::Count, Group::Soak),
    ("soak-threads", "threads: more at the end than early on", Unit::Count, Group::Soak),
    ("soak-fds", "file descriptors: more at the end than early on", Unit::Count, Group::Soak),
    ("soak-invocations", "warm invocations served meanwhile", Unit::Count, Group::Soak),
    ("package", "package, unpacked", Unit::Megabytes, Group::Size),
    ("zip", "package, zipped", Unit::Megabytes, Group::Size),
];

/// All rows, in the order of the tables.
pub static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let of = |share: Share| {
        let taken = WHOLE.iter().filter(move |(.., group)| group.shares().contains(&share));
        taken.map(move |&(key, title, unit, group)| {
            let batch = Batch { group, share };
            Row { key: batch.key(key), title: batch.title(title), unit, batch }
        })
    };
    Share::ALL.into_iter().flat_map(of).collect()
});

/// The row with this key.
pub fn find(key: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_key_and_every_batch_has_rows() {
        for row in ROWS.iter() {
            assert_eq!(find(&row.key).map(|it| &it.title), Some(&row.title));
        }
        for batch in Batch::all() {
            assert!(ROWS.iter().any(|row| row.batch == batch), "{batch:?}");
        }
        assert_eq!(find("14th-burst-cpu").map(|it| it.batch.share), Some(Share::Fourteenth));
        assert!(find("7th-zip").is_none());
    }
}
