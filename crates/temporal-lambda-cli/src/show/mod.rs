//! What is printed: events of the emulator, lines of functions, colors.

pub(crate) mod event_log;
pub(crate) mod paint;
pub(crate) mod parsed_line;
