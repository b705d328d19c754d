//! The shape of the crates: which files and folders know which.
//!
//! `UPDATE=1 cargo test -p temporal-lambda-test-structure` draws the pictures in ARCHITECTURE.md anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

use temporal_lambda_test_structure::{Arrow, Graph, circles};

/// Lines of a source file at most, tests in it included.
const MOST_LINES: usize = 350;
/// Files of a folder of the library at most.
const MOST_FILES: usize = 12;

/// The library's rooms from the top down: each knows only some below it.
const ROOMS: [&str; 16] = [
    "lib",
    "guide",
    "lambda",
    "driver",
    "temporal",
    "connection",
    "telemetry",
    "from_fn",
    "worker",
    "config",
    "hooks",
    "invocation",
    "observe",
    "report",
    "rotating",
    "error",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The crates in `crates`, by name, with their sources.
fn crates() -> Vec<(String, PathBuf)> {
    let folders = fs::read_dir(root().join("crates")).expect("there are crates");
    let folders = folders.map(|it| it.expect("a folder").path());
    let name = |it: &Path| it.file_name().expect("a name").to_string_lossy().into_owned();
    let mut crates: Vec<_> = folders.map(|it| (name(&it), it.join("src"))).collect();
    crates.sort();
    crates
}

#[test]
fn no_files_of_a_crate_import_each_other_in_a_circle() {
    for (name, src) in crates() {
        let graph = Graph::of(&src);
        assert!(graph.files().count() > 5, "{name}: its files are read");
        assert!(graph.arrows().count() > 5, "{name}: their imports are seen");
        let circles = graph.circles();
        let inside = |arrow: &&Arrow| {
            circles.iter().any(|it| it.contains(&arrow.from) && it.contains(&arrow.to))
        };
        let arrows: Vec<_> = graph.arrows().filter(inside).collect();
        assert!(arrows.is_empty(), "{name}: these import each other: {arrows:#?}");
    }
}

#[test]
fn the_rooms_of_the_library_know_only_rooms_below_them() {
    let place = |room: &str| {
        let place = ROOMS.iter().position(|it| *it == room);
        place.unwrap_or_else(|| panic!("{room} is new: give it a place among the rooms"))
    };
    for (from, to) in library().rooms() {
        assert!(place(&from) < place(&to), "{from} knows {to}, which is above it");
    }
}

#[test]
fn no_source_file_is_longer_than_350_lines_and_no_folder_of_the_library_has_more_than_12() {
    for (name, src) in crates() {
        let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for file in all_files(&src) {
            let lines = fs::read_to_string(&file).expect("a file").lines().count();
            assert!(lines <= MOST_LINES, "{}: {lines} lines", file.display());
            *folders.entry(file.with_file_name("")).or_default() += 1;
        }
        for (folder, files) in folders {
            let is_library = name == "temporal-lambda-worker";
            assert!(!is_library || files <= MOST_FILES, "{}: {files} files", folder.display());
        }
    }
}

#[test]
fn the_pictures_in_architecture_md_are_what_the_code_is() {
    let path = root().join("ARCHITECTURE.md");
    let text = fs::read_to_string(&path).expect("it is there");
    let drawn = [("crates", dependencies()), ("rooms", library().rooms())];
    let new =
        drawn.iter().fold(text.clone(), |text, (name, arrows)| with_picture(&text, name, arrows));
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, &new).expect("it can be written");
    } else {
        assert!(new == text, "ARCHITECTURE.md shows another structure: draw it with UPDATE=1");
    }
}

#[test]
fn a_circle_is_found_and_a_chain_is_none() {
    assert!(circles([("a", "b"), ("b", "c"), ("a", "c")].into_iter()).is_empty());
    let found = circles([("a", "b"), ("b", "c"), ("c", "b")].into_iter());
    assert_eq!(found, [BTreeSet::from(["b", "c"])]);
}

fn library() -> Graph {
    Graph::of(&root().join("crates/temporal-lambda-worker/src"))
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files
}

/// Which crate of the project depends on which, as users get them.
fn dependencies() -> BTreeSet<(String, String)> {
    let short = |name: &str| name.trim_start_matches("temporal-lambda-").to_owned();
    let mut arrows = BTreeSet::new();
    for (name, src) in crates() {
        let manifest = fs::read_to_string(src.with_file_name("Cargo.toml")).expect("a manifest");
        let manifest: toml::Table = manifest.parse().expect("TOML");
        let needed = manifest.get("dependencies").and_then(|it| it.as_table());
        let needed = needed.into_iter().flat_map(|it| it.keys());
        arrows.extend(
            needed
                .filter(|it| it.starts_with("temporal-lambda-"))
                .map(|it| (short(&name), short(it))),
        );
    }
    arrows
}

/// The text with a new picture after the comment that names it. An arrow that follows from two others is
/// left out.
fn with_picture(text: &str, name: &str, arrows: &BTreeSet<(String, String)>) -> String {
    let begin = format!("<!-- picture: {name} -->\n");
    let (before, rest) = text.split_once(&begin).expect("the picture has its place");
    let (_, after) = rest.split_once("\n```\n").expect("the picture has an end");
    let follows = |from: &str, to: &str| {
        let direct = arrows.iter().filter(|it| it.0 == from && it.1 != to);
        direct.into_iter().any(|(_, middle)| leads(arrows, middle, to))
    };
    let shown = arrows.iter().filter(|(from, to)| !follows(from, to));
    let lines: String = shown.map(|(from, to)| format!("  {from} --> {to}\n")).collect();
    format!("{before}{begin}```mermaid\nflowchart TD\n{lines}```\n{after}")
}

fn leads(arrows: &BTreeSet<(String, String)>, from: &str, to: &str) -> bool {
    from == to || arrows.iter().any(|(a, b)| a == from && leads(arrows, b, to))
}
