//! Colours, where somebody sees them.

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::sync::LazyLock;

static COLOURS: LazyLock<bool> = LazyLock::new(|| {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !refused
});

pub(crate) fn dim(text: impl Display) -> String {
    paint("2", text)
}

pub(crate) fn bold(text: impl Display) -> String {
    paint("1", text)
}

pub(crate) fn green(text: impl Display) -> String {
    paint("32", text)
}

pub(crate) fn red(text: impl Display) -> String {
    paint("31", text)
}

pub(crate) fn yellow(text: impl Display) -> String {
    paint("33", text)
}

pub(crate) fn cyan(text: impl Display) -> String {
    paint("36", text)
}

fn paint(code: &str, text: impl Display) -> String {
    if *COLOURS { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
}
