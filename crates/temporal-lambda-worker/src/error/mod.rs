//! What can go wrong, who is at fault, and what to do.

mod config;
mod fault;
mod text;

use std::any::Any;

pub use config::ConfigError;
pub use fault::Fault;

pub(crate) use text::is_secret;

/// Any error that user code returns.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error with what lies beneath it: `a: b: c`. What somebody's message says already is not said again.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        source = error.source();
    }
    text
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
