//! What can go wrong with the mock itself.

use std::{net::SocketAddr, time::Duration};

use temporalio_common::protos::temporal::api::failure::v1::Failure;

/// An error of the mock frontend, as opposed to one that it was told to answer with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrontendError {
    /// Something that the test waited for did not happen in time.
    #[error("waited {waited:?} for {what}; by then the frontend had seen: {seen}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long, on tokio's clock.
        waited: Duration,
        /// The calls seen so far, by RPC and count.
        seen: String,
    },
    /// The frontend has no workflow with this ID; start it with `start_workflow` first.
    #[error("no workflow {0:?} was started on this frontend")]
    UnknownWorkflow(String),
    /// The frontend has no activity with this ID.
    #[error(
        "no activity {0:?} on this frontend; those of a workflow are named `<workflow id>/<activity id>`"
    )]
    UnknownActivity(String),
    /// A workflow or activity did not end with a result.
    #[error("no result: it ended as {0}")]
    NoResult(String),
    /// A result is there but is not the JSON that the test asked for.
    #[error("the result is not the JSON value that was asked for: {0}")]
    NotThatJson(#[from] serde_json::Error),
    /// The loopback listener could not be set up.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The frontend is already being served; stop it before starting it again.
    #[error("the frontend is already listening on {0}; call `stop` first")]
    AlreadyServing(SocketAddr),
    /// Certificates could not be made or used.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

impl FrontendError {
    pub(super) fn failed(failure: &Failure) -> Self {
        Self::NoResult(format!("failed: {}", failure.message))
    }
}
