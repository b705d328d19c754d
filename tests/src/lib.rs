//! What the end-to-end tests share: one real Temporal server per test process, functions that run
//! as child processes in the Lambda emulator, and a TCP proxy that makes networks misbehave.

pub mod growth;
pub mod invoked;
pub mod losses;
mod nothing;
pub mod peer;
pub mod proxy;
pub mod runtime_api;
pub mod server;
pub mod temporal;
pub mod tls;
pub mod world;

pub use invoked::Invoked;
pub use nothing::Nothing;
pub use proxy::Proxy;
pub use runtime_api::{Answer, RuntimeApi};
pub use temporal::Temporal;
pub use world::{API_KEY, World};

pub use temporal_lambda_test_timing::test_timeout;
