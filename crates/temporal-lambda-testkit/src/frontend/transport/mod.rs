//! The ways in: without a socket, and as gRPC on the loopback interface, plain or with TLS.

mod in_process;
mod loopback;
mod tls;

pub use loopback::ServedFrontend;
pub use tls::MockTls;
