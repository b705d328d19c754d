//! The gate: the service that the SDK's worker calls instead of the network.
//!
//! It forwards calls to the channel, and records polls, tasks and answers in the account of what is in flight. It
//! decides when a poll begins and how long it lasts, so that polling ends without losing a task: see
//! [`temporal`](super).

mod identity;
mod leaving;
mod polls;
mod wire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prost::Message as _;
use temporalio_client::callback_based::GrpcRequest;
use temporalio_client::errors::ClientConnectError;
use temporalio_client::tonic::Status;
use temporalio_client::{Connection, ConnectionOptions};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeNamespaceResponse, RespondWorkflowTaskCompletedRequest,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::in_flight::{Heard, InFlight, WorkflowTask};
use identity::Identity;
use polls::Stage;
use wire::{Completed, Completion, Started, task_token};

use crate::connection::{Answer, Link, Server, Trouble, answered_with, service, without_network};

/// How long the worker waits for the answer to its `ShutdownWorker`: 0.1 s.
const SHUTDOWN_CAP: Duration = Duration::from_millis(100);
/// How long that call goes on in the background: 1 s.
const SHUTDOWN_IS_TOLD_WITHIN: Duration = Duration::from_secs(1);
/// How long polls may take to end by themselves once they are held back: 1.85 s. That is the time to close the sticky
/// queue and the longest of the last polls.
pub(super) const POLLS_END_WITHIN: Duration =
    polls::SHORTEST.saturating_add(polls::CLEARING.saturating_mul(2));
/// This long before the stop time completions make no workflow sticky any more: 3.15 s, 1 s before polls are held
/// back. A workflow that is sticky then had no task in that second, so hardly any task is on its way to the sticky
/// queue when it is closed.
const UNSTICKING: Duration = Duration::from_millis(3_150);

/// The moments at which polling may end, which decide how long a poll lasts.
pub(super) struct Timing {
    /// The moment at which it ends in any case. `None`: there is no deadline.
    pub(super) stop: Option<Instant>,
    /// The moment at which it ends if the worker stays quiet; `None`: not known.
    pub(super) next_idle_end: watch::Receiver<Option<Instant>>,
    /// `None`: idleness does not end it.
    pub(super) idle_timeout: Option<Duration>,
}

/// The gate of one worker.
pub(super) struct Gate {
    server: Server,
    /// The invocation's own connection, for the gate's own calls.
    connection: Connection,
    timing: Timing,
    in_flight: InFlight,
    /// The calls that the server refused or left unanswered.
    pub(super) trouble: Trouble,
    identity: Identity,
    /// Tracks each poll for as long as it lasts.
    running: TaskTracker,
    stage: watch::Sender<Stage>,
    /// Until when the server passes polls on from one partition of the task queue to another.
    passed_on_until: Mutex<Option<Instant>>,
    /// Whether the server ends the polls of a worker that shuts down.
    server_ends_polls: AtomicBool,
    /// Whether completions make no workflow sticky any more.
    unsticking: AtomicBool,
    shutdown_is_told: AtomicBool,
    /// Whether the sticky queue was closed under a poll, so that its tasks go to the normal queue.
    sticky_queue_is_closed: AtomicBool,
    /// Whether the worker is gone, and its tasks are given back.
    is_left: AtomicBool,
}

impl Gate {
    /// A gate to the server of `link`. `running` tracks each poll for as long as it lasts.
    pub(super) fn new(
        link: Link,
        options: &ConnectionOptions,
        timing: Timing,
        in_flight: InFlight,
        running: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            server: link.server,
            connection: link.connection,
            timing,
            in_flight,
            trouble: Trouble::new(options, link.has_answered),
            identity: Identity::default(),
            running,
            stage: watch::Sender::new(Stage::Open),
            passed_on_until: Mutex::default(),
            server_ends_polls: AtomicBool::default(),
            unsticking: AtomicBool::default(),
            shutdown_is_told: AtomicBool::default(),
            sticky_queue_is_closed: AtomicBool::default(),
            is_left: AtomicBool::default(),
        })
    }

    /// The worker's connection, through the gate. `options` are those of the invocation's
    /// connection.
    pub(super) async fn connection(
        self: &Arc<Self>,
        options: &ConnectionOptions,
    ) -> Result<Connection, ClientConnectError> {
        let mut options = without_network(options);
        options.identity = self.connection.identity().to_owned();
        let gate = self.clone();
        options.service_override = Some(service(move |call| {
            let gate = gate.clone();
            Box::pin(async move { gate.pass(call).await })
        }));
        Connection::connect(options).await
    }

    async fn pass(self: &Arc<Self>, call: GrpcRequest) -> Answer {
        match call.rpc.as_str() {
            // The worker's connection asks this when it is made, and the answer is known.
            "GetSystemInfo" => {
                let known = self.server.known().info.clone().unwrap_or_default();
                Ok(answered_with(known.encode_to_vec()))
            }
            "DescribeNamespace" => self.describe_namespace(call).await,
            "PollWorkflowTaskQueue" | "PollActivityTaskQueue" | "PollNexusTaskQueue" => {
                self.poll(call).await
            }
            "RespondWorkflowTaskCompleted" => self.complete(call).await,
            "RespondWorkflowTaskFailed" => {
                // Failures are counted where they occur.
                let _answering = self.in_flight.answer_begins(token(&call), false);
                self.answer(call).await
            }
            "RespondQueryTaskCompleted" => {
                let answering = self.in_flight.answer_begins(token(&call), false);
                let answer = self.answer(call).await;
                if answer.is_ok() {
                    answering.was_heard(Heard { sticky: None, next: None });
                }
                answer
            }
            "RespondActivityTaskCompleted"
            | "RespondActivityTaskFailed"
            | "RespondActivityTaskCanceled" => {
                self.in_flight.activity_is_answered(&token(&call));
                self.answer(call).await
            }
            "StartWorkflowExecution" => {
                let answer = self.call(call).await;
                if let Ok(answer) = &answer
                    && let Ok(Started { task: Some(task) }) = Started::decode(&*answer.proto)
                {
                    self.in_flight.workflow_task_came(task.into());
                }
                answer
            }
            "ShutdownWorker" => self.shut_down(call).await,
            _ => self.call(call).await,
        }
    }

    /// Forwards the worker's `ShutdownWorker`. The worker waits for the answer for [`SHUTDOWN_CAP`]; the call goes on
    /// in the background, so that a slow server gets it.
    async fn shut_down(self: &Arc<Self>, call: GrpcRequest) -> Answer {
        let gate = self.clone();
        let telling = timeout(SHUTDOWN_IS_TOLD_WITHIN, async move { gate.call(call).await });
        let telling = tokio::spawn(telling);
        match timeout(SHUTDOWN_CAP, telling).await {
            Ok(Ok(Ok(answer))) => answer,
            _ => Ok(answered_with(Vec::new())),
        }
    }

    async fn call(&self, call: GrpcRequest) -> Answer {
        let rpc = call.rpc.clone();
        let answer = self.server.call(call).await;
        if let Err(status) = &answer {
            self.trouble.call_failed(&rpc, status);
        }
        answer
    }

    /// Forwards the answer to a task.
    async fn answer(&self, call: GrpcRequest) -> Answer {
        let _untaken = self.trouble.answer_begins(&call.rpc);
        self.while_throttled(|| self.call(copy(&call))).await
    }

    /// Forwards the completion of a workflow task. The sticky queue is taken out once polling ends, since nobody will
    /// poll it, and while the server refuses calls, since it might refuse the one that closes the queue.
    async fn complete(&self, mut call: GrpcRequest) -> Answer {
        if self.is_left.load(Ordering::SeqCst) {
            return Err(Status::cancelled("the worker of this task is gone"));
        }
        let unreadable = |error: prost::DecodeError| Status::internal(error.to_string());
        let stop_near = self.timing.stop.is_some_and(|stop| Instant::now() + UNSTICKING >= stop);
        let unsticking = self.unsticking.load(Ordering::SeqCst);
        if stop_near || unsticking || self.server.is_throttling() {
            let mut request =
                RespondWorkflowTaskCompletedRequest::decode(call.proto).map_err(unreadable)?;
            request.sticky_attributes = None;
            call.proto = request.encode_to_vec().into();
        }
        let completion = Completion::decode(&*call.proto).map_err(unreadable)?;
        if completion.intermediate_page {
            return self.answer(call).await;
        }
        let (closes, sticks) = (completion.closes(), completion.sticks());
        let answering = self.in_flight.answer_begins(completion.task_token, sticks);
        let answer = self.answer(call).await;
        if let Ok(answer) = &answer {
            let next = Completed::decode(&*answer.proto).ok().and_then(|it| it.task);
            let (sticky, next) = (Some(sticks && !closes), next.map(WorkflowTask::from));
            answering.was_heard(Heard { sticky, next });
        }
        answer
    }

    /// Answers with the known description of the namespace, but says that the server does not end polls: then the
    /// core drops its polls when it shuts down, and the only ones left are those that are held back here.
    async fn describe_namespace(&self, call: GrpcRequest) -> Answer {
        let name = DescribeNamespaceRequest::decode(call.proto.clone())
            .map(|request| request.namespace)
            .unwrap_or_default();
        let known = self.server.known().namespaces.get(&name).cloned();
        let mut description = match known {
            Some(known) => known,
            None => {
                let answer = self.call(call).await?;
                let description = DescribeNamespaceResponse::decode(&*answer.proto)
                    .map_err(|error| Status::internal(error.to_string()))?;
                self.server.known().namespaces.insert(name, description.clone());
                description
            }
        };
        let info = description.namespace_info.get_or_insert_default();
        let capabilities = info.capabilities.get_or_insert_default();
        self.server_ends_polls
            .store(capabilities.worker_poll_complete_on_shutdown, Ordering::Relaxed);
        capabilities.worker_poll_complete_on_shutdown = false;
        Ok(answered_with(description.encode_to_vec()))
    }
}

fn copy(call: &GrpcRequest) -> GrpcRequest {
    let GrpcRequest { service, rpc, headers, proto } = call;
    let (service, rpc) = (service.clone(), rpc.clone());
    GrpcRequest { service, rpc, headers: headers.clone(), proto: proto.clone() }
}

/// The token of the task that a call is about.
fn token(call: &GrpcRequest) -> Vec<u8> {
    task_token(&call.proto).unwrap_or_default()
}

#[cfg(test)]
mod tests;
