//! What a Temporal worker on AWS Lambda is tested with. Each part is a cargo feature, and all of them are on
//! by default:
//!
//! | feature | what it has |
//! |-|-|
//! | `lambda` | [`lambda`]: the crate `temporal-lambda-emulator`, a Lambda emulator that speaks the real Runtime API, and [`context`] |
//! | `server` | [`server`]: a real Temporal dev server, and what tests ask of it |
//! | `frontend` | [`frontend`]: a mock Temporal frontend for the states that a real server cannot be made to show; [`UnderTest`], which puts your worker on it; and [`context`], which makes events for handlers that a test calls itself |
//! | `otlp` | [`otlp`]: an OpenTelemetry collector that remembers what it was sent |
//! | `lifecycle` | [`lifecycle`]: strategies for property tests of the lifecycle's rules |

#[cfg(feature = "frontend")]
pub mod frontend;
#[cfg(any(feature = "frontend", feature = "otlp"))]
mod grpc;
#[cfg(feature = "lifecycle")]
pub mod lifecycle;
#[cfg(any(feature = "frontend", feature = "otlp"))]
mod net;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(any(feature = "server", feature = "frontend"))]
mod payload;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "frontend")]
mod under_test;

#[cfg(feature = "lambda")]
#[doc(inline)]
pub use temporal_lambda_emulator as lambda;
#[cfg(any(feature = "lambda", feature = "frontend"))]
#[doc(inline)]
pub use temporal_lambda_emulator::context;
#[cfg(feature = "frontend")]
pub use under_test::UnderTest;
