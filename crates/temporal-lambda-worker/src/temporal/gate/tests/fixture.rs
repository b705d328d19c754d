//! A scripted server, a gate to it, and a worker's connection to the gate.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use prost::Message;
use temporalio_client::callback_based::{CallbackBasedGrpcService, GrpcRequest};
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::tonic::{Code, IntoRequest as _, Status};
use temporalio_client::{Connection, ConnectionOptions, Url};
use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;
use temporalio_common::protos::temporal::api::enums::v1::TaskQueueKind;
use temporalio_common::protos::temporal::api::namespace::v1::{
    NamespaceInfo, namespace_info::Capabilities,
};
use temporalio_common::protos::temporal::api::taskqueue::v1::{
    StickyExecutionAttributes, TaskQueue,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeNamespaceResponse, PollActivityTaskQueueRequest,
    PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest, ShutdownWorkerRequest, StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::super::{Gate, Timing, copy};
use crate::connection::{Answer, Link, Route, Server as Known, answered_with};
use crate::error::Fault;
use crate::lifecycle::Input;
use crate::report::ConnectionUse;
use crate::temporal::in_flight::InFlight;

/// A server that answers polls when a test says so, and records every call.
#[derive(Clone, Default)]
pub(super) struct Server {
    pub(super) asked: Arc<Mutex<Vec<GrpcRequest>>>,
    pub(super) answer_polls: Arc<Notify>,
    pub(super) answer_sticky_polls: Arc<Notify>,
    pub(super) task: Arc<Mutex<Option<&'static str>>>,
    pub(super) ends_polls: bool,
    /// How many times a shutdown reaches the server before the poll that it should end.
    pub(super) early_shutdowns: Arc<AtomicUsize>,
    /// Whether it ends polls with the status that a server has for those that it ends as they begin.
    pub(super) ends_by_status: bool,
    /// A shutdown reaches the server when this is notified.
    pub(super) shutdowns_wait: Option<Arc<Notify>>,
    pub(super) shutdowns_heard: Arc<AtomicUsize>,
    /// Completions are answered when this is notified.
    pub(super) completions_wait: Option<Arc<Notify>>,
    /// The status with which calls are refused, except the first ones of a worker.
    pub(super) refuses: Arc<Mutex<Option<(Code, &'static str)>>>,
}

impl Server {
    async fn link(&self) -> Link {
        let server = self.clone();
        let callback = Arc::new(move |call| server.clone().answer(call).boxed());
        let service = CallbackBasedGrpcService { callback };
        let connection = Connection::connect(
            ConnectionOptions::new(Url::parse("http://nowhere:7233").unwrap())
                .identity("invocation")
                .dns_load_balancing(None)
                .service_override(service.clone())
                .build(),
        );
        Link {
            connection: connection.await.unwrap(),
            how: ConnectionUse::New,
            server: Known::new(Route::Overridden(service)),
            has_answered: true,
        }
    }

    async fn answer(self, call: GrpcRequest) -> Answer {
        let rpc = call.rpc.clone();
        let proto = call.proto.clone();
        self.asked.lock().unwrap().push(call);
        let refusal = *self.refuses.lock().unwrap();
        match rpc.as_str() {
            "DescribeNamespace" => {
                let capabilities = Some(Capabilities {
                    worker_poll_complete_on_shutdown: self.ends_polls,
                    ..Default::default()
                });
                let namespace_info = Some(NamespaceInfo { capabilities, ..Default::default() });
                Ok(answer(&DescribeNamespaceResponse { namespace_info, ..Default::default() }))
            }
            "GetSystemInfo" => Ok(answered_with(Vec::new())),
            _ if refusal.is_some() => {
                let (code, words) = refusal.unwrap();
                Err(Status::new(code, words))
            }
            "PollWorkflowTaskQueue" | "PollActivityTaskQueue" => {
                // Both have their task queue in the same field.
                let poll = PollWorkflowTaskQueueRequest::decode(&*proto).unwrap();
                let is_sticky = poll.task_queue.unwrap().kind() == TaskQueueKind::Sticky;
                tokio::select! {
                    () = self.answer_polls.notified() => {}
                    () = self.answer_sticky_polls.notified(), if is_sticky => {
                        if self.ends_by_status {
                            return Err(Status::cancelled("context canceled"));
                        }
                        return Ok(answered_with(Vec::new()));
                    }
                }
                Ok(self.take_task().map_or_else(|| answered_with(Vec::new()), |it| answer(&it)))
            }
            "StartWorkflowExecution" => Ok(answer(&StartWorkflowExecutionResponse {
                eager_workflow_task: self.take_task(),
                ..Default::default()
            })),
            "RespondWorkflowTaskCompleted" => {
                if let Some(told) = self.completions_wait {
                    told.notified().await;
                }
                Ok(answered_with(Vec::new()))
            }
            "ShutdownWorker" => {
                if let Some(told) = self.shutdowns_wait {
                    told.notified().await;
                }
                self.shutdowns_heard.fetch_add(1, SeqCst);
                let shutdown = ShutdownWorkerRequest::decode(&*proto).unwrap();
                let early =
                    self.early_shutdowns.fetch_update(SeqCst, SeqCst, |it| it.checked_sub(1));
                if early.is_err() && !shutdown.sticky_task_queue.is_empty() {
                    self.answer_sticky_polls.notify_waiters();
                }
                if self.ends_polls && shutdown.worker_instance_key == "key" {
                    self.answer_polls.notify_waiters();
                }
                Ok(answered_with(Vec::new()))
            }
            _ => Ok(answered_with(Vec::new())),
        }
    }

    fn take_task(&self) -> Option<PollWorkflowTaskQueueResponse> {
        let task = self.task.lock().unwrap().take()?;
        Some(PollWorkflowTaskQueueResponse {
            task_token: task.into(),
            workflow_execution: Some(WorkflowExecution {
                workflow_id: format!("workflow of {task}"),
                run_id: format!("run of {task}"),
            }),
            attempt: 1,
            ..Default::default()
        })
    }

    pub(super) fn asked(&self, rpc: &str) -> Vec<GrpcRequest> {
        let is_it = |call: &&GrpcRequest| call.rpc == rpc;
        self.asked.lock().unwrap().iter().filter(is_it).map(copy).collect()
    }

    /// The times that the polls asked for, in milliseconds.
    pub(super) fn times(&self) -> Vec<u64> {
        let millis = |call: GrpcRequest| {
            let time = call.headers["grpc-timeout"].to_str().unwrap().to_owned();
            time.strip_suffix('m').unwrap().parse().unwrap()
        };
        self.asked("PollWorkflowTaskQueue").into_iter().map(millis).collect()
    }
}

/// An answer with this message.
pub(super) fn answer(
    message: &impl Message,
) -> temporalio_client::callback_based::GrpcSuccessResponse {
    answered_with(message.encode_to_vec())
}

/// A gate with a worker's connection to it.
pub(super) struct Fixture {
    pub(super) server: Server,
    pub(super) gate: Arc<Gate>,
    pub(super) in_flight: InFlight,
    pub(super) worker: Connection,
    pub(super) idle_end: watch::Sender<Option<Instant>>,
    pub(super) inputs: UnboundedReceiver<Input<Fault>>,
}

impl Fixture {
    pub(super) async fn new(
        server: Server,
        stop: Option<u64>,
        idle_timeout: Option<Duration>,
    ) -> Self {
        let stop = stop.map(|millis| Instant::now() + Duration::from_millis(millis));
        let idle_end = watch::Sender::new(None);
        let timing = Timing { stop, next_idle_end: idle_end.subscribe(), idle_timeout };
        let (said, inputs) = unbounded_channel();
        let in_flight = InFlight::new(said);
        let target = Url::parse("http://nowhere:7233").unwrap();
        let options = ConnectionOptions::new(target).api_key("secret".to_owned()).build();
        let link = server.link().await;
        let gate = Gate::new(link, &options, timing, in_flight.clone(), TaskTracker::new());
        let worker = gate.connection(&options).await.unwrap();
        let fixture = Self { server, gate, in_flight, worker, idle_end, inputs };
        fixture.describe().await;
        fixture
    }

    /// A quiet worker with an idle timeout of 2 s, to which a workflow is sticky.
    pub(super) async fn with_sticky_workflow(server: Server) -> Self {
        let mut fixture = Self::new(server, None, Some(Duration::from_secs(2))).await;
        let poll = fixture.poll(TaskQueueKind::Normal);
        a_moment().await;
        fixture.hand_out("task");
        assert_eq!(poll.await.unwrap(), "task");
        fixture.complete("task").await;
        assert_eq!(fixture.told(), ["Busy", "Quiet"]);
        fixture
    }

    /// Whether the worker is told that the server ends polls.
    pub(super) async fn describe(&self) -> bool {
        let request = DescribeNamespaceRequest { namespace: "n".to_owned(), ..Default::default() };
        let answer = self.worker.clone().describe_namespace(request.into_request()).await.unwrap();
        let info = answer.into_inner().namespace_info.unwrap();
        info.capabilities.unwrap().worker_poll_complete_on_shutdown
    }

    /// Makes a poll of the worker: the task that it brings, or an empty string.
    pub(super) fn poll(&self, kind: TaskQueueKind) -> JoinHandle<String> {
        self.poll_for(kind, Duration::from_secs(70))
    }

    /// The same, with the time that the SDK asks for.
    pub(super) fn poll_for(&self, kind: TaskQueueKind, asks: Duration) -> JoinHandle<String> {
        let name = if kind == TaskQueueKind::Sticky { "mine" } else { "everybody's" };
        let queue = TaskQueue { name: name.to_owned(), kind: kind as i32, ..Default::default() };
        let mut request = PollWorkflowTaskQueueRequest {
            namespace: "n".to_owned(),
            worker_instance_key: "key".to_owned(),
            task_queue: Some(queue),
            ..Default::default()
        }
        .into_request();
        request.set_timeout(asks);
        let mut service = self.worker.workflow_service();
        tokio::spawn(async move {
            let answer = service.poll_workflow_task_queue(request).await;
            answer.map_or_else(
                |status| format!("{:?}", status.code()),
                |answer| String::from_utf8(answer.into_inner().task_token).unwrap(),
            )
        })
    }

    /// A poll for activities.
    pub(super) fn poll_activities(&self) -> JoinHandle<()> {
        let request = PollActivityTaskQueueRequest {
            namespace: "n".to_owned(),
            worker_instance_key: "key".to_owned(),
            task_queue: Some(TaskQueue { name: "everybody's".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let mut service = self.worker.workflow_service();
        tokio::spawn(async move {
            let _ = service.poll_activity_task_queue(request.into_request()).await;
        })
    }

    /// Completes a workflow task and asks for the next one on the sticky queue.
    pub(super) async fn complete(&self, token: &str) {
        self.begin_to_complete(token).await.unwrap();
    }

    /// The same without waiting; the result is done when the server has answered.
    pub(super) fn begin_to_complete(&self, token: &str) -> JoinHandle<()> {
        let request = RespondWorkflowTaskCompletedRequest {
            task_token: token.into(),
            sticky_attributes: Some(StickyExecutionAttributes::default()),
            ..Default::default()
        };
        let mut worker = self.worker.clone();
        tokio::spawn(async move {
            worker.respond_workflow_task_completed(request.into_request()).await.unwrap();
        })
    }

    /// A client in the worker's process starts a workflow.
    pub(super) async fn start_workflow(&self) {
        let request = StartWorkflowExecutionRequest::default();
        self.worker.clone().start_workflow_execution(request.into_request()).await.unwrap();
    }

    /// The worker sends a page of a completion that has more.
    pub(super) async fn send_page(&self, token: &str) {
        let request = RespondWorkflowTaskCompletedRequest {
            task_token: token.into(),
            intermediate_page: true,
            ..Default::default()
        };
        let mut worker = self.worker.clone();
        worker.respond_workflow_task_completed(request.into_request()).await.unwrap();
    }

    pub(super) fn hand_out(&self, task: &'static str) {
        *self.server.task.lock().unwrap() = Some(task);
        self.server.answer_polls.notify_one();
    }

    /// Begins to hold polls back.
    pub(super) fn quiesce(&self) -> JoinHandle<()> {
        let gate = self.gate.clone();
        tokio::spawn(async move { gate.quiesce(true).await })
    }

    /// The names of the inputs that the lifecycle got since the last call.
    pub(super) fn told(&mut self) -> Vec<&'static str> {
        let mut told = Vec::new();
        while let Ok(input) = self.inputs.try_recv() {
            told.push(match input {
                Input::Busy => "Busy",
                Input::Quiet => "Quiet",
                Input::PollsEnded => "PollsEnded",
                _ => "something else",
            });
        }
        told
    }
}

/// Lets all tasks run that can, without letting time pass.
pub(super) async fn a_moment() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
