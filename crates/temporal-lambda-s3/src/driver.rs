//! What a storage driver is. The names and shapes are those that the Rust SDK is preparing, so that
//! drivers can move over to the SDK's own traits once they are released.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::error::ExternalStorageError;

/// What a driver needs to find a stored payload again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageDriverClaim {
    /// Stands in the workflow's history as it is: no secrets.
    pub claim_data: HashMap<String, String>,
}

impl StorageDriverClaim {
    /// A claim of these entries.
    pub fn new(claim_data: HashMap<String, String>) -> Self {
        Self { claim_data }
    }
}

/// The workflow that a payload is stored for. Payloads of a workflow's activities are stored for
/// the workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageDriverWorkflowInfo {
    /// The namespace.
    pub namespace: String,
    /// The workflow ID, where it is known.
    pub id: Option<String>,
    /// The run ID, where it is known: not yet when a workflow is started.
    pub run_id: Option<String>,
    /// The workflow type, where it is known.
    pub workflow_type: Option<String>,
}

/// The standalone activity that a payload is stored for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageDriverActivityInfo {
    /// The namespace.
    pub namespace: String,
    /// The activity ID, where it is known.
    pub id: Option<String>,
    /// The run ID, where it is known.
    pub run_id: Option<String>,
    /// The activity type, where it is known.
    pub activity_type: Option<String>,
}

/// The execution that a payload is stored for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageDriverTargetInfo {
    /// A workflow.
    Workflow(StorageDriverWorkflowInfo),
    /// A standalone activity.
    Activity(StorageDriverActivityInfo),
}

/// What [`StorageDriver::store`] is told beside the payloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageDriverStoreContext {
    /// The execution that the payloads are stored for, if it is known.
    pub target: Option<StorageDriverTargetInfo>,
}

impl StorageDriverStoreContext {
    /// A context with this target.
    pub fn new(target: Option<StorageDriverTargetInfo>) -> Self {
        Self { target }
    }
}

/// What [`StorageDriver::retrieve`] is told beside the claims. It has no target: a payload may be
/// read by another execution than the one that it was stored for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageDriverRetrieveContext {}

/// Stores payloads somewhere and finds them again.
///
/// Its methods are called concurrently. A future that is dropped must leave nothing that a later
/// call could mistake for a whole payload.
pub trait StorageDriver: Send + Sync + 'static {
    /// The name of this instance. It is written into history with each payload, and the payload is
    /// read by the driver of that name: one that is renamed cannot read what it stored before.
    fn name(&self) -> &str;

    /// The kind of driver, the same in all languages and for all instances: `aws.s3driver`.
    fn driver_type(&self) -> &str;

    /// Stores the payloads. One claim for each, in their order.
    fn store(
        &self,
        context: &StorageDriverStoreContext,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<StorageDriverClaim>, ExternalStorageError>>;

    /// Reads the payloads. One for each claim, in their order.
    fn retrieve(
        &self,
        context: &StorageDriverRetrieveContext,
        claims: Vec<StorageDriverClaim>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, ExternalStorageError>>;
}

/// Chooses the driver that stores a payload. A closure of the method's shape is a selector, too.
pub trait StorageDriverSelector: Send + Sync + 'static {
    /// The driver for this payload, one of those that are registered; `None`: the payload stays in
    /// history. Called for payloads of at least the threshold's size.
    fn select_driver(
        &self,
        context: &StorageDriverStoreContext,
        payload: &Payload,
    ) -> Option<Arc<dyn StorageDriver>>;
}

impl<F> StorageDriverSelector for F
where
    F: Fn(&StorageDriverStoreContext, &Payload) -> Option<Arc<dyn StorageDriver>>
        + Send
        + Sync
        + 'static,
{
    fn select_driver(
        &self,
        context: &StorageDriverStoreContext,
        payload: &Payload,
    ) -> Option<Arc<dyn StorageDriver>> {
        self(context, payload)
    }
}
