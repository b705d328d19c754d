//! Ending the polls without a loss, and giving back the tasks of a worker that is dropped.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::tonic::{IntoRequest as _, Status};
use temporalio_common::protos::temporal::api::enums::v1::WorkflowTaskFailedCause;
use temporalio_common::protos::temporal::api::failure::v1::Failure;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    RespondWorkflowTaskFailedRequest, ShutdownWorkerRequest,
};
use tokio::time::{Instant, sleep, timeout};

use super::polls::Sticky;
use super::{Gate, polls};
use crate::lifecycle::{AFTER_GRACE, Input, REFUSED_FOR};
use crate::temporal::in_flight::State;

/// How long each of the three steps of giving back may take: an eighth of a second.
const GIVE_BACK_CAP: Duration = Duration::from_millis(AFTER_GRACE.as_millis() as u64 / 4);
/// A task that waited on the sticky queue has arrived when a poll was there for this long: 60 ms, a round trip. A busy
/// worker waits longer, 0.2 s, since more may wait there and its last polls are waited for anyway.
const POLLED: Duration = Duration::from_millis(60);
const POLLED_BY_A_BUSY_WORKER: Duration = Duration::from_millis(200);
/// How many tasks are given back at a time.
const GIVE_BACK_WIDTH: usize = 32;

/// How long the server may take to answer a `ShutdownWorker` before the polls end: 0.5 s, several round
/// trips.
const TOLD_WITHIN: Duration = Duration::from_millis(500);
/// After this long without an effect `ShutdownWorker` is sent again: 0.15 s.
const TOLD_AGAIN_AFTER: Duration = Duration::from_millis(150);

impl Gate {
    /// Lets no poll begin, and sends [`Input::PollsEnded`] when no poll is under way and every task that polls
    /// brought has reached the worker. Polls end by themselves soon after. The server is asked to end those of an
    /// `idle` worker earlier, if it does so.
    ///
    /// # Cancel safety
    /// When dropped, polls stay held back; [`resume`](Self::resume) lets them go on.
    pub(in crate::temporal) async fn quiesce(&self, idle: bool) {
        let server_ends_them = idle && self.server_ends_polls.load(Ordering::Relaxed);
        self.hold();
        self.unsticking.store(true, Ordering::SeqCst);
        // However slow the server is, since a workflow becomes sticky when the server gets the answer.
        self.in_flight.until(|state| state.nothing_sticks()).await;
        if !self.in_flight.has_sticky() {
            self.hold_sticky(Sticky::EndNow);
        } else {
            self.close_sticky_queue(if idle { POLLED } else { POLLED_BY_A_BUSY_WORKER }).await;
        }
        let received = self.in_flight.until(|state| state.is_received());
        tokio::select! {
            () = received => {}
            () = self.have_polls_ended(), if server_ends_them => {}
        }
        self.in_flight.tell(Input::PollsEnded);
    }

    /// Has the server close the sticky queue: the server ends the poll there, and puts later tasks on the normal
    /// queue. A poll must be under way there in that moment, or a task would wait on the closed queue for its
    /// timeout. So would tasks that wait there behind others: they are taken first, until `polled` has brought none. A
    /// server that refuses calls for their number is asked for longer.
    async fn close_sticky_queue(&self, polled: Duration) {
        let began = Instant::now();
        loop {
            let refuses = self.server.is_throttling();
            let left = if refuses { REFUSED_FOR } else { TOLD_WITHIN };
            let left = left.saturating_sub(began.elapsed());
            self.take_what_waits(polled, if refuses { left } else { polls::CLEARING }).await;
            self.hold_sticky(Sticky::GoOn);
            let Some(request) = self.identity.sticky_queue_shutdown().filter(|_| !left.is_zero())
            else {
                return;
            };
            let over = self.in_flight.until(|state| state.polls_sticky_queue_since().is_none());
            match tokio::join!(self.tell_of_shutdown(request), timeout(TOLD_AGAIN_AFTER, over)) {
                (true, Ok(())) => {
                    return self.sticky_queue_is_closed.store(true, Ordering::SeqCst);
                }
                // A poll that was on its way to the server meanwhile opens the queue again.
                (true, Err(_)) => {}
                (false, _) => self.hold_sticky(Sticky::Begin),
            }
        }
    }

    /// Waits until the sticky queue was polled for this long without a task. It gives up when no poll has begun or ended
    /// there `within` this time, which is so in the end: before a stop time polls begin no later than they can end.
    async fn take_what_waits(&self, polled: Duration, within: Duration) {
        loop {
            let before = self.in_flight.polls_sticky_queue_since();
            let is_polled = self.in_flight.sticky_queue_is_polled(polled);
            let is_over = timeout(within, is_polled).await.is_ok();
            if is_over || self.in_flight.polls_sticky_queue_since() == before {
                return;
            }
        }
    }

    /// Fails the workflow tasks that the worker has not answered, which would wait for their timeout, and has the
    /// server close its sticky queue if it has not. The polls must be [closed](Self::close).
    pub(in crate::temporal) async fn give_back(&self) {
        self.is_left.store(true, Ordering::SeqCst);
        // The server hands a task that is given back to the next poll: not to one that is dropped.
        let _ = timeout(GIVE_BACK_CAP, self.in_flight.until(State::has_no_poll)).await;
        let tasks = self.in_flight.take_workflow_tasks().into_iter().map(|task_token| {
            let mut service = self.connection.clone();
            let request = RespondWorkflowTaskFailedRequest {
                task_token,
                cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure.into(),
                failure: Some(Failure {
                    message: "the Lambda invocation ended before the workflow task".to_owned(),
                    ..Default::default()
                }),
                identity: self.connection.identity().to_owned(),
                namespace: self.namespace(),
                ..Default::default()
            };
            async move {
                let _ = service.respond_workflow_task_failed(request.into_request()).await;
            }
        });
        let all = stream::iter(tasks).buffer_unordered(GIVE_BACK_WIDTH).collect::<()>();
        let _ = timeout(GIVE_BACK_CAP, all).await;
        let is_open =
            self.in_flight.has_sticky() && !self.sticky_queue_is_closed.load(Ordering::SeqCst);
        // A request that names neither a queue nor a worker would end the polls of every worker.
        if let Some(request) = self.identity.sticky_queue_shutdown().filter(|_| is_open) {
            let _ = timeout(GIVE_BACK_CAP, self.tell_of_shutdown(request)).await;
        }
    }

    /// Tells the server that this worker shuts down, so that it ends the polls. If it ends one that it has passed on to
    /// another partition, it may lose a task that it hands out there in that moment; so it is told afterwards. The
    /// request is repeated, since a poll may reach the server after it.
    async fn have_polls_ended(&self) {
        self.until_no_poll_is_passed_on().await;
        while let Some(request) = self.identity.shutdown() {
            self.shutdown_is_told.store(true, Ordering::SeqCst);
            tokio::join!(self.tell_of_shutdown(request), sleep(TOLD_AGAIN_AFTER));
        }
        std::future::pending().await
    }

    /// Sends a `ShutdownWorker`: whether the server has answered it.
    async fn tell_of_shutdown(&self, request: ShutdownWorkerRequest) -> bool {
        let mut service = self.connection.workflow_service();
        let told = timeout(TOLD_WITHIN, service.shutdown_worker(request.into_request())).await;
        // Polls that do not end are given up, so the request need not succeed.
        let silence = || {
            self.server.is_in_doubt();
            Err(Status::deadline_exceeded("no answer came in time"))
        };
        match told.unwrap_or_else(|_| silence()) {
            Ok(_) => true,
            Err(status) => {
                self.trouble.call_failed("ShutdownWorker", &status);
                false
            }
        }
    }

    fn namespace(&self) -> String {
        self.identity.shutdown().map(|it| it.namespace).unwrap_or_default()
    }
}
