//! What a Temporal worker on AWS Lambda is tested with: a Lambda emulator that speaks the real
//! Runtime API, a real Temporal dev server, and a mock Temporal frontend for the states that a
//! real server cannot be made to show. [`UnderTest`] puts your worker on the mock, [`context`]
//! makes events for handlers that a test calls itself, [`lifecycle`] has strategies for property
//! tests of the lifecycle's rules, and [`otlp`] is a collector that remembers what it was sent.

pub mod context;
pub mod frontend;
mod grpc;
pub mod lambda;
pub mod lifecycle;
mod net;
pub mod otlp;
pub mod server;
mod sync;
mod under_test;

pub use under_test::UnderTest;
