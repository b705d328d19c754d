//! From a request to its answer, whichever way it came in.

mod answers;
mod long_poll;

use std::{
    future::{Future, pending},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Uri};
use prost::Message;
use temporalio_client::callback_based::GrpcRequest;
use temporalio_common::protos::temporal::api::workflowservice::v1 as api;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::Status;

use super::{
    calls::RecordedCall,
    mock::MockFrontend,
    rpc::Rpc,
    scripts::{Action, Step},
};

/// A field that announces more bytes than there are: an error for every message type, also for
/// those without fields.
const MALFORMED: [u8; 2] = [0x0a, 0x7f];

/// One request.
pub(super) struct Call {
    recorded: RecordedCall,
    service: String,
    /// When the caller gives up: the `grpc-timeout` that came with the call.
    deadline: Option<Instant>,
    /// Whether no connection ends the call then, so that the frontend has to.
    in_process: bool,
}

pub(super) enum Answer {
    Message(Vec<u8>),
    /// The connection is to be cut.
    Cut,
}

impl Call {
    /// A call over a real connection, whose client ends it at its deadline.
    pub(super) fn over_the_wire(uri: &Uri, headers: HeaderMap, proto: Bytes) -> Self {
        let mut path = uri.path().trim_start_matches('/').splitn(2, '/');
        let service = path.next().unwrap_or_default().to_owned();
        let mut call = Self::new(service, path.next().unwrap_or_default(), headers, proto);
        call.recorded.authority = uri.authority().map(ToString::to_string);
        call
    }

    /// A call with no connection under it.
    pub(super) fn in_process(request: GrpcRequest) -> Self {
        let call = Self::new(request.service, &request.rpc, request.headers, request.proto);
        Self { in_process: true, ..call }
    }

    fn new(service: String, rpc: &str, headers: HeaderMap, proto: Bytes) -> Self {
        let deadline = headers
            .get("grpc-timeout")
            .and_then(|value| value.to_str().ok())
            .and_then(timeout)
            .map(|timeout| Instant::now() + timeout);
        let recorded = RecordedCall::read(Rpc::named(rpc), proto, headers);
        Self { recorded, service, deadline, in_process: false }
    }

    /// `answer`, or what a channel makes of a deadline that passes first.
    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let Some(deadline) = self.deadline.filter(|_| self.in_process) else {
            return answer.await;
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            () = sleep_until(deadline) => Err(Status::cancelled("Timeout expired")),
        }
    }

    fn decode<M: Message + Default>(&self) -> Result<M, Status> {
        self.recorded.decode().map_err(|error| {
            let rpc = &self.recorded.rpc;
            Status::invalid_argument(format!("the {rpc} request cannot be decoded: {error}"))
        })
    }
}

/// Keeps a poll in the list of open ones for as long as its call is in flight, however that ends.
struct OpenPollGuard<'a> {
    frontend: &'a MockFrontend,
    id: u64,
}

impl Drop for OpenPollGuard<'_> {
    fn drop(&mut self) {
        self.frontend.update(|state| state.polls.open.remove(&self.id));
    }
}

impl MockFrontend {
    /// Answers one call. Dropping the future is the caller hanging up.
    pub(super) async fn handle(&self, call: Call) -> Result<Answer, Status> {
        let recorded = &call.recorded;
        let poll = recorded.rpc.is_poll().then(|| {
            let id = self.update(|state| state.polls.add(recorded.clone()));
            OpenPollGuard { frontend: self, id }
        });
        let step = self.update(|state| {
            state.calls.push(recorded.clone());
            state.settings.authorize(&recorded.rpc, &recorded.metadata)?;
            Ok::<_, Status>(state.scripts.next(&recorded.rpc))
        })?;
        let answer = match step {
            None => call.in_time(self.answer_as_usual(&call)).await.map(Answer::Message),
            Some(step) => call.in_time(self.act(step, &call)).await,
        };
        drop(poll);
        answer
    }

    async fn act(&self, step: Step, call: &Call) -> Result<Answer, Status> {
        // A sleep of nothing still takes a turn of the timer, which a paused clock notices.
        if !step.delay.is_zero() {
            sleep(step.delay).await;
        }
        match step.action {
            Action::Usual => self.answer_as_usual(call).await.map(Answer::Message),
            Action::Answer(answer) => answer.map(Answer::Message),
            Action::Hang => pending().await,
            Action::Cut => Ok(Answer::Cut),
            Action::Malformed => Ok(Answer::Message(MALFORMED.to_vec())),
        }
    }

    /// What a server would answer.
    async fn answer_as_usual(&self, call: &Call) -> Result<Vec<u8>, Status> {
        if call.service.starts_with("grpc.health.") {
            // `SERVING` is 1, in the first field.
            return Ok(vec![0x08, 0x01]);
        }
        let RecordedCall { rpc, namespace, .. } = &call.recorded;
        if !matches!(rpc, Rpc::GetSystemInfo | Rpc::Other(_)) {
            self.lock().settings.namespace_id(namespace)?;
        }
        match rpc {
            Rpc::GetSystemInfo => Ok(self.lock().settings.system_info().encode_to_vec()),
            Rpc::DescribeNamespace => {
                Ok(self.lock().settings.describe_namespace(namespace)?.encode_to_vec())
            }
            Rpc::PollWorkflowTaskQueue => self.poll_workflow_tasks(call).await,
            Rpc::PollActivityTaskQueue => self.poll_activity_tasks(call).await,
            Rpc::PollNexusTaskQueue => self.poll_nexus_tasks(call).await,
            Rpc::RespondWorkflowTaskCompleted => self.workflow_task_completed(call),
            Rpc::RespondWorkflowTaskFailed => self.workflow_task_failed(call),
            Rpc::RespondActivityTaskCompleted => self.activity_task_completed(call),
            Rpc::RespondActivityTaskFailed => self.activity_task_failed(call),
            Rpc::RespondActivityTaskCanceled => self.activity_task_canceled(call),
            Rpc::RecordActivityTaskHeartbeat => self.activity_task_heartbeat(call),
            Rpc::ShutdownWorker => self.shut_down_worker(call),
            Rpc::StartWorkflowExecution => self.start_for_client(call),
            Rpc::RecordWorkerHeartbeat => {
                Ok(api::RecordWorkerHeartbeatResponse::default().encode_to_vec())
            }
            Rpc::ResetStickyTaskQueue => {
                Ok(api::ResetStickyTaskQueueResponse::default().encode_to_vec())
            }
            Rpc::Other(name) => {
                let text = format!("unknown method {name} for service {}", call.service);
                Err(Status::unimplemented(text))
            }
        }
    }
}

/// Reads a `grpc-timeout`: at most eight digits and a unit.
fn timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}
