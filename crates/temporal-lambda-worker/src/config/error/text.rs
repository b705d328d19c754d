//! Pieces of the messages.

use std::path::{Path, PathBuf};

/// A value in quotes, cut where it is long.
pub(super) fn short(value: &str) -> String {
    const MOST: usize = 80;
    match value.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?} and so on", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// A key as it stands in the file.
pub(super) fn place(key: &str) -> String {
    match key.rsplit_once('.') {
        Some((table, key)) => format!("{key:?} in [{table}]"),
        None => format!("[{key}]"),
    }
}

pub(super) fn listed<T: std::fmt::Debug>(things: &[T]) -> String {
    let things: Vec<_> = things.iter().map(|thing| format!("{thing:?}")).collect();
    things.join(", ")
}

pub(super) fn named(path: &Option<PathBuf>) -> String {
    path.as_ref().map(|path| format!(" names {path:?}")).unwrap_or_default()
}

pub(super) fn about_the_home(path: &Path) -> &'static str {
    if path.starts_with("~") {
        " (~ is understood by shells only: write the whole path)"
    } else {
        ""
    }
}

pub(super) fn did_you_mean(nearest: &Option<String>) -> String {
    match nearest {
        Some(nearest) => format!(": did you mean {nearest}?"),
        None => ": remove it, or see the configuration table in the README".to_owned(),
    }
}
