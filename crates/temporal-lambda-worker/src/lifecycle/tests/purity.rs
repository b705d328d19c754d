//! The lifecycle knows no clock, no socket, no runtime, no SDK: its sources do not name one.

use std::fs;
use std::path::{Path, PathBuf};

/// What must not be named, and why it would be.
const FOREIGN: [&str; 18] = [
    "tokio",
    "std::time::Instant",
    "Instant::now",
    "SystemTime",
    "std::net",
    "std::thread",
    "std::env",
    "std::fs",
    "std::process",
    "temporalio",
    "lambda_runtime",
    "futures",
    "tracing",
    "async ",
    ".await",
    "rand::",
    "crate::driver",
    "crate::temporal",
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { panic!("{directory:?} cannot be read") };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "tests") {
                sources(&path, found);
            }
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
fn the_sources_name_no_clock_socket_runtime_or_sdk() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lifecycle"), &mut found);
    let names: Vec<_> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    for expected in
        ["machine.rs", "moves.rs", "table.rs", "budget.rs", "messages.rs", "step.rs", "mod.rs"]
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

/// All it takes from the rest of the crate is nothing, and from elsewhere `serde`'s derive.
#[test]
fn the_sources_use_std_serde_and_themselves_only() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lifecycle"), &mut found);
    for path in &found {
        let Ok(text) = fs::read_to_string(path) else { panic!("{path:?} cannot be read") };
        let uses = text
            .lines()
            .map(str::trim_start)
            .filter_map(|line| line.strip_prefix("pub use ").or_else(|| line.strip_prefix("use ")));
        for it in uses {
            let root = it.split([':', ';', ' ']).next().unwrap_or_default();
            let own = ["budget", "machine", "messages", "step"].contains(&root);
            let known = ["std", "serde", "super", "self"].contains(&root);
            assert!(own || known, "{path:?} uses {it}");
        }
    }
}
