//! What a Temporal worker on AWS Lambda is tested with. Each part is a cargo feature, and all of them are on
//! by default:
//!
//! | feature | what it has |
//! |-|-|
//! | `lambda` | [`lambda`]: a Lambda emulator that speaks the real Runtime API, and [`context`] |
//! | `server` | [`server`]: a real Temporal dev server, and what tests ask of it |
//! | `frontend` | [`frontend`]: a mock Temporal frontend for the states that a real server cannot be made to show; [`UnderTest`], which puts your worker on it; and [`context`], which makes events for handlers that a test calls itself |
//! | `otlp` | [`otlp`]: an OpenTelemetry collector that remembers what it was sent |
//! | `lifecycle` | [`lifecycle`]: strategies for property tests of the lifecycle's rules |

#[cfg(any(feature = "lambda", feature = "frontend"))]
pub mod context;
#[cfg(feature = "frontend")]
pub mod frontend;
#[cfg(any(feature = "frontend", feature = "otlp"))]
mod grpc;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "lifecycle")]
pub mod lifecycle;
#[cfg(any(feature = "frontend", feature = "otlp"))]
mod net;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "server")]
pub mod server;
#[cfg(any(feature = "lambda", feature = "frontend", feature = "otlp"))]
mod sync;
#[cfg(feature = "frontend")]
mod under_test;

#[cfg(feature = "frontend")]
pub use under_test::UnderTest;
