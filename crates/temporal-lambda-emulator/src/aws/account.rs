//! The functions that AWS's API knows, and who called it.

use std::{collections::BTreeMap, sync::Arc};

use axum::response::Response;
use parking_lot::Mutex;

use super::deployed::Deployed;
use crate::{event::EmulatorEvent, function::Function, shared::Shared};

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) shared: Arc<Shared>,
    /// The external ID that `AssumeRole` insists on.
    pub(crate) external_id: Option<String>,
    pub(crate) functions: Mutex<BTreeMap<String, Deployed>>,
}

impl Account {
    pub(super) fn record_call(&self, operation: &'static str, target: &str, answer: &Response) {
        self.shared.announce(EmulatorEvent::ApiCall {
            operation,
            target: target.to_owned(),
            status: answer.status().as_u16(),
        });
    }

    /// Every version of every function.
    pub(crate) fn versions(&self) -> Vec<Function> {
        self.functions.lock().values().flat_map(Deployed::versions).cloned().collect()
    }
}
