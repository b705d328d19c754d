//! An invocation that was accepted.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use uuid::Uuid;

use crate::invocation::InvocationType;

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) payload: Bytes,
    pub(crate) invocation_type: InvocationType,
    /// The function's ARN, with the qualifier that the caller gave.
    pub(crate) invoked_arn: String,
    pub(crate) trace_id: String,
    pub(crate) accepted: Instant,
}

impl Request {
    pub(crate) fn new(
        payload: Bytes,
        invocation_type: InvocationType,
        invoked_arn: String,
    ) -> Self {
        let seconds = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let root = Uuid::new_v4().simple().to_string();
        let parent = Uuid::new_v4().simple().to_string();
        Self {
            id: Uuid::new_v4().to_string(),
            payload,
            invocation_type,
            invoked_arn,
            trace_id: format!(
                "Root=1-{seconds:08x}-{};Parent={};Sampled=1",
                &root[..24],
                &parent[..16]
            ),
            accepted: Instant::now(),
        }
    }
}
