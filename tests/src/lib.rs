//! What the end-to-end tests share: one real Temporal server per test process, functions that run
//! as child processes in the Lambda emulator, and a TCP proxy that makes networks misbehave.

pub mod proxy;
pub mod server;
pub mod temporal;
pub mod world;

pub use proxy::Proxy;
pub use temporal::Temporal;
pub use world::{API_KEY, Invoked, World};
