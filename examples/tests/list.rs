//! The README beside the examples lists all of them, and none is long.

use std::collections::BTreeSet;
use std::path::Path;

/// Lines of an example, at most.
const MOST_LINES: usize = 99;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the programs that the manifest has.
fn programs() -> BTreeSet<String> {
    let manifest = file("Cargo.toml");
    let (programs, _) = manifest.split_once("[[test]]").unwrap();
    let paths = programs.lines().filter_map(|line| line.strip_prefix("path = \""));
    paths.filter_map(|path| Some(path.strip_suffix("/main.rs\"")?.to_owned())).collect()
}

#[test]
fn each_example_is_listed_with_the_question_that_it_begins_with() {
    let readme = file("README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| [`"));
    let rows: Vec<(&str, &str)> = rows
        .map(|row| {
            let (name, rest) = row.split_once("`](").expect("a link");
            let (_, question) = rest.split_once(" | ").expect("a question");
            (name, question.strip_suffix(" |").expect("the end of a row"))
        })
        .collect();
    let listed: BTreeSet<_> = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, programs());
    for (name, question) in rows {
        assert!(readme.contains(&format!("[`{name}`]({name}/main.rs)")), "the link of {name}");
        let source = file(&format!("{name}/main.rs"));
        let first = source.lines().next().unwrap().trim_start_matches("//! ");
        // The quickstart's first line is the README's.
        assert!(first == question || name == "quickstart", "{name}: {first}");
        assert!(question.ends_with('?'), "{name}: {question}");
    }
}

#[test]
fn no_example_has_a_hundred_lines() {
    for name in programs() {
        let lines = file(&format!("{name}/main.rs")).lines().count();
        assert!(lines <= MOST_LINES, "{name} has {lines} lines");
    }
}
