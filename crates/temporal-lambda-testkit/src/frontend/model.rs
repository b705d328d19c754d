//! Workflows and activities: what a test starts, and how they stand.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use temporalio_common::protos::temporal::api::{common::v1::Payload, failure::v1::Failure};

use super::error::FrontendError;
use crate::payload::{first_json, json_payload};

/// A workflow to start; see [`MockFrontend::start_workflow`](super::MockFrontend::start_workflow).
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowStart {
    /// The namespace. Default: `default`.
    pub namespace: String,
    /// The task queue of its workflow tasks.
    pub task_queue: String,
    /// The workflow type.
    pub workflow_type: String,
    /// The workflow ID.
    pub workflow_id: String,
    /// The arguments, encoded.
    pub input: Vec<Payload>,
}

impl WorkflowStart {
    /// A workflow without arguments in the namespace `default`.
    pub fn new(
        task_queue: impl Into<String>,
        workflow_type: impl Into<String>,
        workflow_id: impl Into<String>,
    ) -> Self {
        Self {
            namespace: "default".to_owned(),
            task_queue: task_queue.into(),
            workflow_type: workflow_type.into(),
            workflow_id: workflow_id.into(),
            input: Vec::new(),
        }
    }

    /// Adds an argument, as the SDK's default data converter encodes it: in JSON.
    ///
    /// # Panics
    /// When the value has no JSON form.
    pub fn arg(mut self, value: &impl Serialize) -> Self {
        self.input.push(json_payload(value));
        self
    }
}

/// How a workflow stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum WorkflowStatus {
    /// Not closed yet.
    Running,
    /// It returned this.
    Completed(Vec<Payload>),
    /// It failed with this. A workflow that sends a command which the frontend does not support fails,
    /// too; the message names the command.
    Failed(Box<Failure>),
}

impl WorkflowStatus {
    /// The first value of the result, from JSON.
    ///
    /// # Errors
    /// [`FrontendError::NoResult`] unless it completed, [`FrontendError::NotThatJson`] when the
    /// result is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, FrontendError> {
        match self {
            Self::Completed(payloads) => Ok(first_json(payloads)?),
            Self::Failed(failure) => Err(FrontendError::failed(failure)),
            Self::Running => Err(FrontendError::NoResult("Running".to_owned())),
        }
    }
}

/// An activity to hand out without a workflow; see
/// [`MockFrontend::schedule_activity`](super::MockFrontend::schedule_activity).
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityStart {
    /// The namespace. Default: `default`.
    pub namespace: String,
    /// The task queue.
    pub task_queue: String,
    /// The activity type.
    pub activity_type: String,
    /// The activity ID, by which the frontend knows it.
    pub activity_id: String,
    /// The arguments, encoded.
    pub input: Vec<Payload>,
    /// How long one attempt may take, as the worker is told. The frontend does not enforce it.
    /// Default: 10 minutes.
    pub start_to_close_timeout: Duration,
    /// How long the worker may go without a heartbeat, as the worker is told. The frontend does not
    /// enforce it. Default: none. The SDK sends heartbeats at 80 % of it at most, so set it to see
    /// one soon.
    pub heartbeat_timeout: Option<Duration>,
    /// How many attempts it gets, 1 s, 2 s, 4 s … apart. Default: 1; 0 is any number.
    pub max_attempts: u32,
}

impl ActivityStart {
    /// An activity without arguments in the namespace `default`, tried once.
    pub fn new(
        task_queue: impl Into<String>,
        activity_type: impl Into<String>,
        activity_id: impl Into<String>,
    ) -> Self {
        Self {
            namespace: "default".to_owned(),
            task_queue: task_queue.into(),
            activity_type: activity_type.into(),
            activity_id: activity_id.into(),
            input: Vec::new(),
            start_to_close_timeout: Duration::from_secs(600),
            heartbeat_timeout: None,
            max_attempts: 1,
        }
    }

    /// Adds an argument, as the SDK's default data converter encodes it: in JSON.
    ///
    /// # Panics
    /// When the value has no JSON form.
    pub fn arg(mut self, value: &impl Serialize) -> Self {
        self.input.push(json_payload(value));
        self
    }
}

/// How an activity stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ActivityStatus {
    /// Waiting for a worker, or for its next attempt.
    Scheduled,
    /// Held by a worker.
    Started,
    /// It returned this.
    Completed(Vec<Payload>),
    /// It failed for good; this is its last failure.
    Failed(Box<Failure>),
    /// It honored a cancellation, or was canceled before a worker had it.
    Canceled,
    /// Its workflow was closed before it was done.
    Abandoned,
}

impl ActivityStatus {
    /// Whether nothing more can come of it.
    pub fn is_closed(&self) -> bool {
        !matches!(self, Self::Scheduled | Self::Started)
    }

    /// The first value of the result, from JSON.
    ///
    /// # Errors
    /// [`FrontendError::NoResult`] unless it completed, [`FrontendError::NotThatJson`] when the
    /// result is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, FrontendError> {
        match self {
            Self::Completed(payloads) => Ok(first_json(payloads)?),
            Self::Failed(failure) => Err(FrontendError::failed(failure)),
            other => Err(FrontendError::NoResult(format!("{other:?}"))),
        }
    }
}
