//! What every part of one emulator has.

use std::time::Duration;

use tokio::{runtime::Handle, sync::broadcast};
use tokio_util::sync::CancellationToken;

use super::event::EmulatorEvent;

pub(super) const REGION: &str = "us-east-1";
pub(super) const ACCOUNT: &str = "000000000000";
/// What Lambda gives an environment between SIGTERM and SIGKILL.
pub(super) const SHUTDOWN_TIME: Duration = Duration::from_millis(500);

/// How many events a subscriber may fall behind.
const EVENTS: usize = 4096;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) runtime: Handle,
    pub(super) events: broadcast::Sender<EmulatorEvent>,
    pub(super) closed: CancellationToken,
    /// How long an idle environment is kept.
    pub(super) idle_expiry: Duration,
}

impl Shared {
    /// What the parts of an emulator on the current runtime have.
    pub(super) fn new(idle_expiry: Duration) -> Self {
        Self {
            runtime: Handle::current(),
            events: broadcast::Sender::new(EVENTS),
            closed: CancellationToken::new(),
            idle_expiry,
        }
    }

    /// Tells the subscribers, if there are any.
    pub(super) fn announce(&self, event: EmulatorEvent) {
        let _ = self.events.send(event);
    }
}
