//! The functions that AWS's API knows, and who called it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::response::Response;

use crate::{
    lambda::{event::EmulatorEvent, function::Function, shared::Shared},
    sync::lock,
};

#[derive(Debug)]
pub(in crate::lambda) struct Account {
    pub(in crate::lambda) shared: Arc<Shared>,
    /// The external ID that `AssumeRole` insists on.
    pub(in crate::lambda) external_id: Option<String>,
    pub(in crate::lambda) functions: Mutex<BTreeMap<String, Function>>,
}

impl Account {
    pub(super) fn record_call(&self, operation: &'static str, target: &str, answer: &Response) {
        self.shared.announce(EmulatorEvent::ApiCall {
            operation,
            target: target.to_owned(),
            status: answer.status().as_u16(),
        });
    }

    /// The function that a name, partial ARN or ARN means, with or without a qualifier.
    pub(super) fn find(&self, name: &str, query: Option<&str>) -> Option<(Function, String)> {
        let after = name.rsplit_once("function:").map_or(name, |(_, rest)| rest);
        let (name, inline) = match after.split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier)),
            None => (after, None),
        };
        let function = lock(&self.functions).get(name)?.clone();
        let config = function.config();
        let mut fields = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let named = fields.find(|(key, _)| key == "Qualifier").map(|(_, value)| value);
        let qualifier = inline.or(named.as_deref()).unwrap_or("$LATEST");
        let known = qualifier == "$LATEST"
            || qualifier == config.version
            || config.aliases.iter().any(|alias| alias == qualifier);
        known.then(|| (function.clone(), qualifier.to_owned()))
    }
}
