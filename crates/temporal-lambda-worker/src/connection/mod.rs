//! Connecting: one channel for many invocations, and a connection of the SDK over it for each of them.

mod cache;
mod channel;
mod known;
mod server;
mod trouble;

use temporalio_client::{Connection, ConnectionOptions};

use crate::error::Fault;
use crate::report::ConnectionUse;

pub(crate) use cache::{ChannelCache, Request};
#[cfg(test)]
pub(crate) use channel::Route;
pub(crate) use channel::{Answer, service};
pub(crate) use server::{Server, answered_with, is_throttled, status_fault, without_network};
pub(crate) use trouble::Trouble;

/// A connection made as for an invocation, but outside of one.
pub(crate) async fn connect(options: &ConnectionOptions) -> Result<Connection, Fault> {
    Ok(server::dial(options, None, ConnectionUse::New).await?.connection)
}

/// A connection for one invocation, under that invocation's identity and with its credentials.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) connection: Connection,
    pub(crate) how: ConnectionUse,
    pub(crate) server: Server,
    /// Whether the server was asked, and answered, when this was made. It is not if it has answered just before.
    pub(crate) has_answered: bool,
}
