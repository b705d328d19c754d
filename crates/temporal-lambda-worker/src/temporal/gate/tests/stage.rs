//! A scripted server, a gate to it, and a worker's connection to the gate.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use temporalio_client::callback_based::{CallbackBasedGrpcService, GrpcRequest};
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::tonic::{IntoRequest as _, Status};
use temporalio_client::{Connection, ConnectionOptions, Url};
use temporalio_common::protos::temporal::api::enums::v1::TaskQueueKind;
use temporalio_common::protos::temporal::api::namespace::v1::{
    NamespaceInfo, namespace_info::Capabilities,
};
use temporalio_common::protos::temporal::api::taskqueue::v1::{
    StickyExecutionAttributes, TaskQueue,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeNamespaceResponse, PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse, RespondWorkflowTaskCompletedRequest,
};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::super::forward::Answer;
use super::super::polls::nothing;
use super::super::{Gate, Horizon, Link, Namespaces, success};
use crate::report::ConnectionUse;

/// A server that hangs on polls until it is told to answer them, and remembers what it was asked.
#[derive(Clone, Default)]
pub(super) struct Server {
    pub(super) asked: Arc<Mutex<Vec<GrpcRequest>>>,
    pub(super) answer_polls: Arc<Notify>,
    pub(super) task: Arc<Mutex<Option<&'static str>>>,
    pub(super) ends_polls: bool,
}

impl Server {
    async fn link(&self) -> Link {
        let server = self.clone();
        let callback = Arc::new(move |call| server.clone().answer(call).boxed());
        let options = ConnectionOptions::new(Url::parse("http://nowhere:7233").unwrap())
            .identity("invocation")
            .dns_load_balancing(None)
            .service_override(CallbackBasedGrpcService { callback })
            .build();
        Link {
            connection: Connection::connect(options).await.unwrap(),
            how: ConnectionUse::New,
            namespaces: Namespaces::default(),
        }
    }

    async fn answer(self, call: GrpcRequest) -> Answer {
        let rpc = call.rpc.clone();
        self.asked.lock().unwrap().push(call);
        match rpc.as_str() {
            "PollWorkflowTaskQueue" | "PollActivityTaskQueue" => {
                self.answer_polls.notified().await;
                let task_token = self.task.lock().unwrap().take().unwrap_or_default().into();
                Ok(success(&PollWorkflowTaskQueueResponse { task_token, ..Default::default() }))
            }
            "DescribeNamespace" => {
                let capabilities = Some(Capabilities {
                    worker_poll_complete_on_shutdown: self.ends_polls,
                    ..Default::default()
                });
                let namespace_info = Some(NamespaceInfo { capabilities, ..Default::default() });
                Ok(success(&DescribeNamespaceResponse { namespace_info, ..Default::default() }))
            }
            "ShutdownWorker" if self.ends_polls => {
                self.answer_polls.notify_waiters();
                Ok(nothing())
            }
            "SetCurrentDeployment" => Err(Status::permission_denied("not you")),
            _ => Ok(nothing()),
        }
    }

    pub(super) fn asked(&self, rpc: &str) -> Vec<GrpcRequest> {
        let is_it = |call: &&GrpcRequest| call.rpc == rpc;
        let clone = |call: &GrpcRequest| GrpcRequest {
            service: call.service.clone(),
            rpc: call.rpc.clone(),
            headers: call.headers.clone(),
            proto: call.proto.clone(),
        };
        self.asked.lock().unwrap().iter().filter(is_it).map(clone).collect()
    }

    /// What the polls asked for, in milliseconds.
    pub(super) fn times(&self) -> Vec<u64> {
        let millis = |call: GrpcRequest| {
            let time = call.headers["grpc-timeout"].to_str().unwrap().to_owned();
            let (number, unit) = time.split_at(time.len() - 1);
            let per_milli = match unit {
                "m" => 1,
                "u" => 1_000,
                "n" => 1_000_000,
                other => panic!("{other}"),
            };
            number.parse::<u64>().unwrap() / per_milli
        };
        self.asked("PollWorkflowTaskQueue").into_iter().map(millis).collect()
    }
}

/// A gate with a worker's connection to it.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) gate: Gate,
    pub(super) worker: Connection,
    pub(super) next: watch::Sender<Option<Instant>>,
    pub(super) running: TaskTracker,
}

impl Scene {
    pub(super) async fn new(
        server: Server,
        stop: Option<u64>,
        idle_timeout: Option<Duration>,
    ) -> Self {
        let stop = stop.map(|millis| Instant::now() + Duration::from_millis(millis));
        let next = watch::Sender::new(stop);
        let horizon = Horizon::new(stop, next.subscribe(), idle_timeout);
        let running = TaskTracker::new();
        let gate = Gate::new(&server.link().await, Some(horizon), running.clone());
        let options = ConnectionOptions::new(Url::parse("http://nowhere:7233").unwrap()).build();
        let worker = gate.open(&options).await.unwrap();
        let scene = Self { server, gate, worker, next, running };
        scene.describe().await;
        scene
    }

    pub(super) async fn describe(&self) -> bool {
        let request = DescribeNamespaceRequest { namespace: "n".to_owned(), ..Default::default() };
        let answer = self.worker.clone().describe_namespace(request.into_request()).await.unwrap();
        let info = answer.into_inner().namespace_info.unwrap();
        info.capabilities.unwrap().worker_poll_complete_on_shutdown
    }

    /// A poll under way: the task that it brings, or an empty string.
    pub(super) fn poll(&self, kind: TaskQueueKind) -> tokio::task::JoinHandle<String> {
        let name = if kind == TaskQueueKind::Sticky { "mine" } else { "everybody's" };
        let queue = TaskQueue { name: name.to_owned(), kind: kind as i32, ..Default::default() };
        let request = PollWorkflowTaskQueueRequest {
            namespace: "n".to_owned(),
            worker_instance_key: "key".to_owned(),
            task_queue: Some(queue),
            ..Default::default()
        };
        let mut worker = self.worker.clone();
        tokio::spawn(async move {
            let answer = worker.poll_workflow_task_queue(request.into_request()).await.unwrap();
            String::from_utf8(answer.into_inner().task_token).unwrap()
        })
    }

    pub(super) async fn complete(&self, token: &str) {
        let request = RespondWorkflowTaskCompletedRequest {
            task_token: token.into(),
            sticky_attributes: Some(StickyExecutionAttributes::default()),
            ..Default::default()
        };
        self.worker.clone().respond_workflow_task_completed(request.into_request()).await.unwrap();
    }

    pub(super) fn hand_out(&self, task: &'static str) {
        *self.server.task.lock().unwrap() = Some(task);
        self.server.answer_polls.notify_one();
    }
}

/// Lets everything that can go on go on, without time that passes.
pub(super) async fn a_moment() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
