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
        None => ": remove it, or see the guide's chapter on configuration".to_owned(),
    }
}

/// Whether nobody may see the value of a variable or key of this name.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let names_a_file = name.ends_with("_FILE") || name.ends_with("_PATH");
    let secrets = ["KEY", "_DATA", "AUTH", "SECRET", "TOKEN", "PASSWORD", "GRPC_META", "HEADERS"];
    !names_a_file && secrets.iter().any(|secret| name.contains(secret))
}
