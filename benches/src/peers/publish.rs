//! A run in the documentation: the JSON file, the pictures, and the tables between their marks.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::record::Record;
use super::rows::Share;
use super::{plots, soak, tables};

/// Where a run is kept.
const RECORD: &str = "docs/peers.json";
/// Where tables stand.
const PAGES: [&str; 2] = ["docs/performance.md", "README.md"];

/// The run that is published in this folder.
///
/// # Errors
///
/// When there is none, or it cannot be read.
pub fn published(root: &Path) -> Result<Record> {
    let text = fs::read_to_string(root.join(RECORD)).context(RECORD)?;
    let mut record = serde_json::from_str(&text).context(RECORD)?;
    soak::reckon(&mut record);
    Ok(record)
}

/// The files that show a run, with what ought to be in them.
///
/// # Errors
///
/// When a page that has tables cannot be read, or lacks a mark.
pub fn files(root: &Path, record: &Record) -> Result<Vec<(PathBuf, String)>> {
    let mut files = vec![(root.join(RECORD), serde_json::to_string_pretty(record)? + "\n")];
    let pictures = plots::all(record).map_err(|error| anyhow::anyhow!("{error}"))?;
    files.extend(
        pictures.into_iter().map(|(name, text)| (root.join("docs").join(name), text + "\n")),
    );
    for page in PAGES {
        let path = root.join(page);
        let text = fs::read_to_string(&path).with_context(|| page.to_owned())?;
        files.push((path, with_tables(&text, record)));
    }
    Ok(files)
}

/// Writes them.
///
/// # Errors
///
/// As [`files`], and when one cannot be written.
pub fn publish(root: &Path, record: &Record) -> Result<()> {
    for (path, text) in files(root, record)? {
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// A page with each of its tables anew: what is between `<!-- numbers: NAME -->` and `<!-- end -->`.
pub fn with_tables(page: &str, record: &Record) -> String {
    let measurements = |share| tables::markdown(&tables::measurements(record, share));
    let named = [
        ("summary", summary(record)),
        ("goals", tables::markdown(&tables::goals(record))),
        ("measurements", measurements(Share::Whole)),
        ("a seventh", measurements(Share::Seventh)),
        ("a fourteenth", measurements(Share::Fourteenth)),
        ("not taken", tables::markdown(&tables::not_taken(record))),
        ("circumstances", tables::markdown(&tables::circumstances(record))),
    ];
    named.iter().fold(page.to_owned(), |page, (name, table)| {
        let mark = format!("<!-- numbers: {name} -->\n");
        let Some((before, rest)) = page.split_once(&mark) else { return page };
        let Some((_, after)) = rest.split_once("<!-- end -->") else { return page.clone() };
        format!("{before}{mark}\n{table}\n<!-- end -->{after}")
    })
}

/// The short table, or a sentence where this library is in no row of the run.
fn summary(record: &Record) -> String {
    let table = tables::summary(record);
    if table.len() > 1 {
        return tables::markdown(&table);
    }
    "(The published run has no numbers of this library: the page on performance says why.)\n"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::record::{Circumstances, Side};
    use super::*;

    #[test]
    fn a_page_has_its_table_anew_between_its_marks_and_the_rest_as_it_was() {
        let mut record = Record::new(Circumstances::default());
        record.add("cold", Side::Ours, 44.0);
        let page = "Before.\n<!-- numbers: summary -->\nstale\n<!-- end -->\nAfter.\n";
        let once = with_tables(page, &record);
        assert!(once.starts_with("Before.\n<!-- numbers: summary -->\n\n|  | this library |"));
        assert!(once.contains("| 44.0 | not taken |"), "{once}");
        assert!(once.ends_with("\n<!-- end -->\nAfter.\n") && !once.contains("stale"));
        assert_eq!(with_tables(&once, &record), once);
    }
}
