//! From a request to its answer, whichever way it came in.

use super::{
    MockFrontend, OpenPoll, Rpc, Seen,
    rpc::Told,
    script::{Action, Step},
};
use bytes::Bytes;
use http::HeaderMap;
use prost::Message;
use std::{
    future::{Future, pending},
    time::Duration,
};
use temporalio_client::callback_based::GrpcRequest;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    RecordWorkerHeartbeatResponse, ResetStickyTaskQueueResponse, RespondNexusTaskCompletedResponse,
    RespondNexusTaskFailedResponse, RespondQueryTaskCompletedResponse,
};
use tokio::time::{Instant, sleep, sleep_until};
use tonic::Status;

/// A field that announces more bytes than there are: an error for every message type, also for
/// those without fields.
const MALFORMED: [u8; 2] = [0x0a, 0x7f];

/// One request.
pub(crate) struct Call {
    pub(crate) rpc: Rpc,
    pub(crate) service: String,
    pub(crate) headers: HeaderMap,
    pub(crate) proto: Bytes,
    pub(crate) told: Told,
    /// When the caller gives up: the `grpc-timeout` that came with the call.
    pub(crate) deadline: Option<Instant>,
    /// Whether no connection ends the call then, so that the frontend has to.
    in_process: bool,
}

pub(crate) enum Answer {
    Message(Vec<u8>),
    /// The connection is to be cut.
    Cut,
}

impl Call {
    /// A call over a real connection, whose client ends it at its deadline.
    pub(crate) fn over_the_wire(
        service: String,
        rpc: &str,
        headers: HeaderMap,
        proto: Bytes,
    ) -> Self {
        let rpc = Rpc::named(rpc);
        let told = Told::read(&rpc, &proto);
        let deadline = headers
            .get("grpc-timeout")
            .and_then(|value| value.to_str().ok())
            .and_then(timeout)
            .map(|timeout| Instant::now() + timeout);
        Self { rpc, service, headers, proto, told, deadline, in_process: false }
    }

    /// A call with no connection under it.
    pub(crate) fn in_process(request: GrpcRequest) -> Self {
        let call =
            Self::over_the_wire(request.service, &request.rpc, request.headers, request.proto);
        Self { in_process: true, ..call }
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

    pub(crate) fn decode<M: Message + Default>(&self) -> Result<M, Status> {
        M::decode(self.proto.clone()).map_err(|error| {
            Status::invalid_argument(format!("the {} request cannot be decoded: {error}", self.rpc))
        })
    }
}

impl MockFrontend {
    /// Answers one call. Dropping the future is the caller hanging up.
    pub(super) async fn handle(&self, call: Call) -> Result<Answer, Status> {
        let poll = call.rpc.is_poll().then(|| {
            self.list_poll(OpenPoll {
                rpc: call.rpc.clone(),
                task_queue: call.told.task_queue.clone(),
                sticky_queue: call.told.sticky_queue.clone(),
                identity: call.told.identity.clone(),
                worker_instance_key: call.told.worker_instance_key.clone(),
                since: Instant::now(),
            })
        });
        let step = self.update(|state| {
            let seen = Seen::new(call.rpc.clone(), call.proto.clone(), call.told.clone());
            state.seen.push(seen);
            state.settings.authorize(&call)?;
            Ok::<_, Status>(state.scripts.next(&call.rpc))
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
            Action::Answer(answer) => answer(&call.proto).map(Answer::Message),
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
        let namespace = call.told.namespace.as_str();
        match &call.rpc {
            Rpc::GetSystemInfo => return Ok(self.lock().system_info()),
            Rpc::DescribeNamespace => return self.lock().describe_namespace(namespace),
            Rpc::Other(name) => {
                return Err(Status::unimplemented(format!(
                    "unknown method {name} for service {}",
                    call.service
                )));
            }
            _ => self.lock().known_namespace(namespace)?,
        }
        match &call.rpc {
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
            Rpc::GetWorkflowExecutionHistory => self.read_history(call).await,
            Rpc::StartWorkflowExecution => self.start_for_client(call),
            Rpc::RecordWorkerHeartbeat => {
                Ok(RecordWorkerHeartbeatResponse::default().encode_to_vec())
            }
            Rpc::ResetStickyTaskQueue => {
                Ok(ResetStickyTaskQueueResponse::default().encode_to_vec())
            }
            Rpc::RespondQueryTaskCompleted => {
                Ok(RespondQueryTaskCompletedResponse::default().encode_to_vec())
            }
            Rpc::RespondNexusTaskCompleted => {
                Ok(RespondNexusTaskCompletedResponse::default().encode_to_vec())
            }
            Rpc::RespondNexusTaskFailed => {
                Ok(RespondNexusTaskFailedResponse::default().encode_to_vec())
            }
            // Answered above.
            Rpc::GetSystemInfo | Rpc::DescribeNamespace | Rpc::Other(_) => Ok(Vec::new()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit() {
        assert_eq!(timeout("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(timeout("30000000u"), Some(Duration::from_secs(30)));
        assert_eq!(timeout("5S"), Some(Duration::from_secs(5)));
        assert_eq!(timeout("5"), None);
        assert_eq!(timeout(""), None);
        assert_eq!(timeout("5é"), None);
    }

    #[test]
    fn malformed_is_malformed_for_every_message() {
        assert!(RecordWorkerHeartbeatResponse::decode(&MALFORMED[..]).is_err());
        assert!(RespondNexusTaskFailedResponse::decode(&MALFORMED[..]).is_err());
    }
}
