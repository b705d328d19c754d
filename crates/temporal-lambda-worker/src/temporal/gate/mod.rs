//! What stands between a worker and its connection: the end of its long polls.
//!
//! A poll that is dropped may take a task with it: the server hands one out in the same moment,
//! nobody has it, and the workflow waits for its timeout. The SDK's core drops its polls when it
//! shuts down; and where the server ends them, it takes no workflow task any more all the same.
//! So here
//!
//! * a poll asks the server for no longer than until polling may end;
//! * when polling stops, no new poll begins, those under way are waited for, and so are the
//!   workflow tasks that they bring; only then may the core shut down;
//! * a poll that would go on for longer is dropped after all, so that nothing hangs.
//!
//! The worker has a connection of its own for that, without a socket: its calls come here and go
//! on to the invocation's connection.

mod forward;
mod goodbye;
mod horizon;
mod polls;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prost::Message as _;
use temporalio_client::callback_based::{
    CallbackBasedGrpcService, GrpcRequest, GrpcSuccessResponse,
};
use temporalio_client::errors::ClientConnectError;
use temporalio_client::tonic::Status;
use temporalio_client::{Connection, ConnectionOptions};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeNamespaceResponse, GetSystemInfoResponse,
    RespondWorkflowTaskCompletedRequest,
};

use tokio::sync::RwLock;
use tokio_util::task::TaskTracker;

use super::Link;
use forward::Answer;
use goodbye::Goodbye;
use polls::Polls;
use tasks::Tasks;

pub(crate) use horizon::Horizon;
pub(crate) use polls::{CLEARING, WINDING_DOWN};

/// What is known of namespaces; as old as the connection.
#[derive(Clone, Default)]
pub(crate) struct Namespaces(Arc<Mutex<HashMap<String, DescribeNamespaceResponse>>>);

impl Namespaces {
    fn get(&self, name: &str) -> Option<DescribeNamespaceResponse> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn put(&self, name: String, description: DescribeNamespaceResponse) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, description);
    }
}

/// The gate of one worker.
#[derive(Clone)]
pub(crate) struct Gate {
    connection: Connection,
    namespaces: Namespaces,
    polls: Polls,
    tasks: Tasks,
    goodbye: Goodbye,
    unsticking: Arc<AtomicBool>,
    /// Held by calls that make a workflow sticky.
    sticking: Arc<RwLock<()>>,
}

impl Gate {
    /// A gate to the connection of `link`.
    ///
    /// Without a horizon, polls are as long as they can be. `running` knows of each as long as it
    /// lasts.
    pub(crate) fn new(link: &Link, horizon: Option<Horizon>, running: TaskTracker) -> Self {
        let (connection, namespaces) = (link.connection.clone(), link.namespaces.clone());
        let tasks = Tasks::default();
        let polls = Polls::new(horizon, tasks.clone(), running);
        Self {
            connection,
            namespaces,
            polls,
            tasks,
            goodbye: Goodbye::default(),
            unsticking: Arc::default(),
            sticking: Arc::default(),
        }
    }

    /// The worker's side of the gate. `options` are those of the connection behind it.
    pub(crate) async fn open(
        &self,
        options: &ConnectionOptions,
    ) -> Result<Connection, ClientConnectError> {
        let mut options = options.clone();
        options.identity = self.connection.identity().to_owned();
        // All of these are for sockets, or on the connection behind the gate.
        options.dns_load_balancing = None;
        options.http_connect_proxy = None;
        options.tls_options = None;
        options.api_key = None;
        options.headers = None;
        options.binary_headers = None;
        options.metrics_meter = None;
        let gate = self.clone();
        options.service_override = Some(CallbackBasedGrpcService {
            callback: Arc::new(move |call| {
                let gate = gate.clone();
                Box::pin(async move { gate.pass(call).await })
            }),
        });
        Connection::connect(options).await
    }

    /// From now on no workflow becomes sticky to this worker by a task that it completes. Returns
    /// when the server has heard of all those that did.
    pub(crate) async fn unstick(&self) {
        self.unsticking.store(true, Ordering::SeqCst);
        drop(self.sticking.write().await);
    }

    /// Ends the polls for workflow tasks, within `patience`.
    pub(crate) fn wind_down(&self, patience: Duration) {
        self.polls.wind_down(patience);
    }

    /// Stops polling: no new poll begins. Returns when the core may shut down, which is when no
    /// workflow task is handed out and none can be, or after `patience`; then call
    /// [`core_has_shut_down`](Self::core_has_shut_down).
    ///
    /// # Cancel safety
    /// When dropped, polls stay stopped.
    pub(crate) async fn stop(&self, patience: Duration) {
        self.polls.stop(patience);
        let told = async {
            if self.polls.server_ends_them() {
                self.goodbye.say(&self.connection).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = self.tasks.none() => {}
            () = told => {}
            () = tokio::time::sleep(patience) => {}
        }
    }

    /// The core has shut down: what it still polls for need not be held back.
    pub(crate) fn core_has_shut_down(&self) {
        self.polls.core_has_shut_down();
    }

    /// Ends all polls now.
    pub(crate) fn close(&self) {
        self.polls.close();
    }

    async fn pass(&self, call: GrpcRequest) -> Answer {
        match call.rpc.as_str() {
            // Asked when the worker's side is made; the answer is known.
            "GetSystemInfo" => Ok(self.system_info()),
            "DescribeNamespace" => self.describe_namespace(call).await,
            "PollWorkflowTaskQueue" | "PollActivityTaskQueue" | "PollNexusTaskQueue" => {
                let kind = self.goodbye.note(&call);
                self.polls.poll(&self.connection, call, kind).await
            }
            "RespondWorkflowTaskCompleted" => {
                let _sticking = self.sticking.read().await;
                self.complete(self.unstuck(call)?).await
            }
            "RespondWorkflowTaskFailed" | "RespondQueryTaskCompleted" => self.complete(call).await,
            _ => forward::forward(&self.connection, call).await,
        }
    }

    /// Answers a workflow task.
    async fn complete(&self, call: GrpcRequest) -> Answer {
        let request = call.proto.clone();
        let answer = forward::forward(&self.connection, call).await;
        let response = answer.as_ref().ok().map(|it| &*it.proto);
        self.tasks.answered(&request, response);
        answer
    }

    /// This completed task, without the wish to have the workflow's next one if nobody will poll
    /// for it.
    fn unstuck(&self, mut call: GrpcRequest) -> Result<GrpcRequest, Status> {
        if self.unsticking.load(Ordering::SeqCst) {
            let mut request = RespondWorkflowTaskCompletedRequest::decode(call.proto)
                .map_err(|error| Status::internal(error.to_string()))?;
            request.sticky_attributes = None;
            call.proto = request.encode_to_vec().into();
        }
        Ok(call)
    }

    fn system_info(&self) -> GrpcSuccessResponse {
        let capabilities = self.connection.capabilities().copied();
        success(&GetSystemInfoResponse { capabilities, ..Default::default() })
    }

    /// The namespace, as known, with the promise that polls end when the worker shuts down.
    async fn describe_namespace(&self, call: GrpcRequest) -> Answer {
        let name = DescribeNamespaceRequest::decode(call.proto.clone())
            .map(|request| request.namespace)
            .unwrap_or_default();
        let mut description = match self.namespaces.get(&name) {
            Some(known) => known,
            None => {
                let answer = forward::forward(&self.connection, call).await?;
                let description = DescribeNamespaceResponse::decode(&*answer.proto)
                    .map_err(|error| Status::internal(error.to_string()))?;
                self.namespaces.put(name, description.clone());
                description
            }
        };
        let info = description.namespace_info.get_or_insert_default();
        let capabilities = info.capabilities.get_or_insert_default();
        self.polls.set_server_ends_them(capabilities.worker_poll_complete_on_shutdown);
        capabilities.worker_poll_complete_on_shutdown = true;
        Ok(success(&description))
    }
}

fn success(message: &impl prost::Message) -> GrpcSuccessResponse {
    GrpcSuccessResponse { headers: Default::default(), proto: message.encode_to_vec() }
}
