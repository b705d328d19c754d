//! The Extensions API, as far as a runtime's own (internal) extension needs it.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::state::{EnvCore, Extension};
use crate::event::EnvEvent;

impl EnvCore {
    /// Registers an extension for the events it names: its identifier.
    pub(crate) fn register_extension(&self, name: String, events: &[String]) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = self.state.lock();
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
    pub(crate) async fn extension_event(&self, id: &str) -> Option<serde_json::Value> {
        let receiver = self.state.lock().extensions.get(id)?.receiver.clone();
        let mut receiver = receiver.lock().await;
        receiver.recv().await
    }
}
