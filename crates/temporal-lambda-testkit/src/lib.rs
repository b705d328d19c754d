//! What a Temporal worker on AWS Lambda is tested with: a Lambda emulator that speaks the real
//! Runtime API, a real Temporal dev server, and a mock Temporal frontend for the states that a
//! real server cannot be made to show.

pub mod frontend;
pub mod lambda;
pub mod server;
