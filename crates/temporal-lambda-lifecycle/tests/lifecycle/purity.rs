//! The lifecycle knows no clock, no socket and no thread. Its manifest keeps the runtime and the SDK
//! out; of what the standard library has, its sources name nothing of the kind.

use std::fs;
use std::path::{Path, PathBuf};

/// What must not be named, and why it would be.
const FOREIGN: [&str; 9] = [
    "std::time::Instant",
    "Instant::now",
    "SystemTime",
    "std::net",
    "std::thread",
    "std::env",
    "std::fs",
    "std::process",
    "async ",
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { panic!("{directory:?} cannot be read") };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The line without a comment at its end. No source of the lifecycle has `//` in a string.
fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

#[test]
fn the_sources_name_no_clock_socket_or_thread() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let names: Vec<_> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    for expected in
        ["machine.rs", "moves.rs", "table.rs", "budget.rs", "messages.rs", "step.rs", "lib.rs"]
    {
        assert!(names.contains(&expected), "{expected} was not looked at: {names:?}");
    }
    for path in &found {
        let Ok(text) = fs::read_to_string(path) else { panic!("{path:?} cannot be read") };
        for (number, line) in text.lines().enumerate() {
            for foreign in FOREIGN {
                let number = number + 1;
                assert!(!code(line).contains(foreign), "{path:?}:{number} names {foreign}: {line}");
            }
        }
    }
}
