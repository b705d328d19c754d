//! An invocation that was accepted.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use uuid::Uuid;

use super::invocation::InvocationType;

#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) payload: Bytes,
    pub(super) invocation_type: InvocationType,
    /// The function's ARN, with the qualifier that the caller gave.
    pub(super) invoked_arn: String,
    pub(super) trace_id: String,
    pub(super) accepted: Instant,
}

impl Request {
    pub(super) fn new(
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
