//! What every part of one emulator has.

use std::time::Duration;

use tokio::{runtime::Handle, sync::broadcast};
use tokio_util::sync::CancellationToken;

use crate::event::EmulatorEvent;

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ACCOUNT: &str = "000000000000";
/// What Lambda gives an environment between SIGTERM and SIGKILL.
pub(crate) const SHUTDOWN_TIME: Duration = Duration::from_millis(500);

/// How many events a subscriber may fall behind.
const EVENTS: usize = 4096;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) runtime: Handle,
    pub(crate) events: broadcast::Sender<EmulatorEvent>,
    pub(crate) closed: CancellationToken,
    /// How long an idle environment is kept.
    pub(crate) idle_expiry: Duration,
}

impl Shared {
    /// What the parts of an emulator on the current runtime have.
    pub(crate) fn new(idle_expiry: Duration) -> Self {
        Self {
            runtime: Handle::current(),
            events: broadcast::Sender::new(EVENTS),
            closed: CancellationToken::new(),
            idle_expiry,
        }
    }

    /// Tells the subscribers, if there are any.
    pub(crate) fn announce(&self, event: EmulatorEvent) {
        let _ = self.events.send(event);
    }
}
