//! The functions that AWS's API knows, and who called it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::response::Response;

use super::deployed::Deployed;
use crate::{
    lambda::{event::EmulatorEvent, function::Function, shared::Shared},
    sync::lock,
};

#[derive(Debug)]
pub(in crate::lambda) struct Account {
    pub(in crate::lambda) shared: Arc<Shared>,
    /// The external ID that `AssumeRole` insists on.
    pub(in crate::lambda) external_id: Option<String>,
    pub(in crate::lambda) functions: Mutex<BTreeMap<String, Deployed>>,
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
    pub(in crate::lambda) fn versions(&self) -> Vec<Function> {
        lock(&self.functions).values().flat_map(Deployed::versions).cloned().collect()
    }
}
