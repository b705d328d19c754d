//! What the end-to-end tests share: one real Temporal server per test process, functions that run
//! as child processes in the Lambda emulator, and a TCP proxy that makes networks misbehave.

pub mod losses;
pub mod peer;
pub mod proxy;
pub mod runtime_api;
pub mod server;
pub mod temporal;
pub mod tls;
pub mod world;

pub use proxy::Proxy;
pub use runtime_api::{Answer, RuntimeApi};
pub use temporal::Temporal;
pub use world::{API_KEY, Invoked, World};

use std::time::Duration;

/// Far longer than anything that is waited for takes.
pub const SOON: Duration = Duration::from_secs(60);
