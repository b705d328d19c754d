//! Reading `temporal.toml` and the environment. Each value is checked here; which one applies is decided above.

pub(super) mod address;
pub(super) mod file;
pub(super) mod keys;
pub(super) mod names;
mod nearest;
pub(super) mod profile;
pub(super) mod source;
pub(super) mod tls;
pub(super) mod variables;
