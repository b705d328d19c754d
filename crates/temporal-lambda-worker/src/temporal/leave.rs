//! The end of polling, such that no task is lost: in the order in which the server must hear of
//! it.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use temporalio_client::Connection;
use temporalio_client::tonic::IntoRequest as _;
use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;
use temporalio_common::protos::temporal::api::workflowservice::v1::ResetStickyTaskQueueRequest;
use temporalio_sdk_core::Worker as CoreWorker;

use super::flight::Flight;
use super::gate::{CLEARING, Gate, Horizon, WINDING_DOWN};
use crate::lifecycle::{Ending, FINALIZE_CAP};

/// Giving sticky workflows back may take this long: a quarter of the time to finalize.
const GIVE_BACK_CAP: Duration = Duration::from_millis(FINALIZE_CAP.as_millis() as u64 / 4);
/// Calls at a time for that.
const GIVE_BACK_WIDTH: usize = 32;

/// How long polls are waited for if activities are in flight: 50 ms. The core counts their grace period from when it
/// shuts down. This and [`GIVE_BACK_CAP`] must be over before activities are dropped that did not
/// react to their cancellation.
const PATIENCE_WITH_ACTIVITIES: Duration = Duration::from_millis(50);

/// What leaves.
#[derive(Clone)]
pub(super) struct Leaver {
    pub(super) flight: Flight,
    pub(super) gate: Gate,
    pub(super) connection: Connection,
    pub(super) namespace: String,
    pub(super) core: Arc<OnceLock<Weak<CoreWorker>>>,
    pub(super) patience: Duration,
}

impl Leaver {
    /// Lets polls for workflow tasks end shortly before the stop time, if that is known and far
    /// enough off. To be called when polling begins.
    pub(super) async fn wind_down_in_time(&self, horizon: Option<&Horizon>) {
        let Some(at) = horizon.and_then(Horizon::wind_down_at) else { return };
        tokio::time::sleep_until(at).await;
        self.unstick().await;
        self.gate.wind_down(WINDING_DOWN);
        tokio::time::sleep(CLEARING).await;
        self.give_back_sticky().await;
    }

    /// Ends polling, then shuts the core down.
    pub(super) async fn leave(&self, why: Option<Ending>) {
        self.unstick().await;
        // An idle worker may just have been given an activity; its grace period is no worry.
        let in_a_hurry = why != Some(Ending::Idle) && self.flight.has_activities();
        let patience = if in_a_hurry { PATIENCE_WITH_ACTIVITIES } else { Duration::MAX };
        self.gate.stop(patience.min(self.patience)).await;
        // Not before what waited on the worker's own queue has come from there: it would go by the
        // board.
        self.give_back_sticky().await;
        if let Some(core) = self.core.get().and_then(Weak::upgrade) {
            core.initiate_shutdown();
        }
        self.gate.core_has_shut_down();
    }

    /// Sees to it that the next task of a workflow does not wait on a queue that nobody polls.
    async fn unstick(&self) {
        let _ = tokio::time::timeout(GIVE_BACK_CAP, self.gate.unstick()).await;
    }

    /// Tells the server that workflows are sticky to this worker no longer, so that what happens
    /// to them while no worker polls does not end in a timed-out workflow task.
    pub(super) async fn give_back_sticky(&self) {
        let resets = self.flight.take_sticky().into_iter().map(|(workflow_id, run_id)| {
            let mut service = self.connection.workflow_service();
            let request = ResetStickyTaskQueueRequest {
                namespace: self.namespace.clone(),
                execution: Some(WorkflowExecution { workflow_id, run_id }),
            };
            async move {
                // A workflow that is closed by now is an error, and the usual case.
                let _ = service.reset_sticky_task_queue(request.into_request()).await;
            }
        });
        let all = stream::iter(resets).buffer_unordered(GIVE_BACK_WIDTH).collect::<()>();
        let _ = tokio::time::timeout(GIVE_BACK_CAP, all).await;
    }
}
