//! The Extensions API, as far as a runtime's own (internal) extension needs it.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::state::{EnvCore, Extension};
use crate::{lambda::event::EnvEvent, sync::lock};

impl EnvCore {
    /// Registers an extension for the events it names: its identifier.
    pub(in crate::lambda) fn register_extension(&self, name: String, events: &[String]) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = lock(&self.state);
        state.extensions.insert(
            id.clone(),
            Extension {
                invoke_events: events.iter().any(|event| event == "INVOKE"),
                sender,
                receiver: Arc::new(tokio::sync::Mutex::new(receiver)),
            },
        );
        self.record(&mut state, EnvEvent::ExtensionRegistered { name });
        id
    }

    /// Waits for the extension's next event. `None`: there is no such extension.
    pub(in crate::lambda) async fn extension_event(&self, id: &str) -> Option<serde_json::Value> {
        let receiver = lock(&self.state).extensions.get(id)?.receiver.clone();
        let mut receiver = receiver.lock().await;
        receiver.recv().await
    }
}
