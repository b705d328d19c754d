//! Logs, metrics and traces. Outside of this folder only `lambda/` names it: it installs the subscriber and
//! begins an environment's telemetry. All other code uses `invocation/telemetry.rs`.

#[cfg(feature = "emf")]
pub mod emf;
pub(crate) mod logs;
#[cfg(feature = "otel")]
pub mod otel;

use crate::invocation::{Telemetry, WriteFigures};

/// The interface to telemetry for a new environment, which each invocation's configuration gets.
pub(crate) fn begin() -> Telemetry {
    Telemetry::new(FIGURES)
}

/// The function that writes the figures of an invocation; `None` without the feature `emf`.
#[cfg(feature = "emf")]
const FIGURES: Option<WriteFigures> = Some(emf::write);
#[cfg(not(feature = "emf"))]
const FIGURES: Option<WriteFigures> = None;

/// A variable's value. One that is not Unicode counts as unset.
#[cfg(any(feature = "otel", feature = "emf"))]
pub(crate) fn variable(name: &str) -> Option<String> {
    crate::config::Variables::only(name).get(name).ok().flatten().map(str::to_owned)
}
