//! What a test asks of a Temporal server, in a line each.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, NamespacedClient as _, Url,
    grpc::WorkflowService as _, tonic::IntoRequest as _,
};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payloads, WorkflowExecution, WorkflowType},
    enums::v1::{EventType, HistoryEventFilterType},
    history::v1::{HistoryEvent, history_event::Attributes},
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{GetWorkflowExecutionHistoryRequest, StartWorkflowExecutionRequest},
};

use super::{deployment::Deployment, error::TemporalError};
use crate::payload::{first_json, json_payload};

/// Options for a connection to the server at `address` (`<host>:<port>`) without TLS, as dev servers are.
/// The fields are public: set an identity or a timeout on them.
///
/// # Errors
///
/// [`TemporalError::Connect`] when it is no address.
pub fn connection_options(address: &str) -> Result<ConnectionOptions, TemporalError> {
    let target = Url::parse(&format!("http://{address}")).map_err(|error| {
        let reason = format!("{error}; an address is <host>:<port>, such as 127.0.0.1:7233");
        TemporalError::Connect { address: address.to_owned(), reason }
    })?;
    Ok(ConnectionOptions::new(target).dns_load_balancing(None).build())
}

/// A namespace of a Temporal server, from a test's side. What it lacks, its [`client`](Self::client) has.
///
/// Its connection lives as long as the runtime that it was made on. Clones share it. A call that fails on its way, as on
/// a connection that the server closes, is made again for as long as the connection's `RetryOptions` say: 10 s by
/// default.
#[derive(Clone)]
pub struct Temporal {
    client: Client,
}

impl std::fmt::Debug for Temporal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Temporal").field("namespace", &self.client.namespace()).finish()
    }
}

impl Temporal {
    /// Connects, for the namespace `default`.
    ///
    /// # Errors
    ///
    /// [`TemporalError::Connect`].
    pub async fn connect(options: ConnectionOptions) -> Result<Self, TemporalError> {
        let address = options.target.to_string();
        let failed = |reason| TemporalError::Connect { address, reason };
        // Boxed: the SDK's future is large, and would make every caller's so.
        let client = match Box::pin(Connection::connect(options)).await {
            Ok(connection) => Client::new(connection, ClientOptions::new("default").build())
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        Ok(Self { client: client.map_err(failed)? })
    }

    /// The namespace of a client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The worker deployment of this name, which need not exist.
    pub fn deployment(&self, name: impl Into<String>) -> Deployment {
        Deployment::new(self.client.clone(), name)
    }

    /// Starts a workflow with one argument, encoded in JSON: its run ID.
    ///
    /// # Errors
    ///
    /// [`TemporalError::Rpc`]; its code is `AlreadyExists` when a workflow of this ID is running.
    ///
    /// # Panics
    ///
    /// When the argument has no JSON form.
    pub async fn start_workflow(
        &self,
        task_queue: &str,
        workflow_type: &str,
        workflow_id: &str,
        argument: &impl Serialize,
    ) -> Result<String, TemporalError> {
        let request = StartWorkflowExecutionRequest {
            namespace: self.client.namespace(),
            workflow_id: workflow_id.to_owned(),
            workflow_type: Some(WorkflowType { name: workflow_type.to_owned() }),
            task_queue: Some(TaskQueue { name: task_queue.to_owned(), ..Default::default() }),
            input: Some(Payloads { payloads: vec![json_payload(argument)] }),
            identity: self.client.connection().identity().to_owned(),
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        };
        let mut service = self.client.clone();
        let answer = service.start_workflow_execution(request.into_request()).await;
        let answer = answer.map_err(TemporalError::refused("starting the workflow"))?;
        Ok(answer.into_inner().run_id)
    }

    /// Waits for the end of a workflow: its result, from JSON; `null` if it has none. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`TemporalError::NoResult`] when it ended without completing, [`TemporalError::NotInTime`] after
    /// `within`, [`TemporalError::Rpc`].
    pub async fn workflow_result(
        &self,
        workflow_id: &str,
        within: Duration,
    ) -> Result<Value, TemporalError> {
        let closed = tokio::time::timeout(within, self.close_event(workflow_id)).await;
        let event = closed.map_err(|_| TemporalError::NotInTime {
            what: format!("the end of workflow {workflow_id}"),
            within,
            hint: "is its version current, and does a worker poll its task queue?".to_owned(),
        })??;
        let no_result = |end| {
            let workflow_id = workflow_id.to_owned();
            TemporalError::NoResult { workflow_id, end }
        };
        match event.attributes {
            Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) => {
                let payloads = completed.result.unwrap_or_default().payloads;
                first_json(&payloads)
                    .map_err(|error| no_result(format!("a result that is not JSON: {error}")))
            }
            other => Err(no_result(format!("{other:?}"))),
        }
    }

    /// The history of a workflow so far.
    ///
    /// # Errors
    ///
    /// [`TemporalError::Rpc`].
    pub async fn workflow_history(
        &self,
        workflow_id: &str,
    ) -> Result<Vec<HistoryEvent>, TemporalError> {
        self.history(self.history_request(workflow_id)).await
    }

    async fn close_event(&self, workflow_id: &str) -> Result<HistoryEvent, TemporalError> {
        let mut request = self.history_request(workflow_id);
        request.wait_new_event = true;
        request.history_event_filter_type = HistoryEventFilterType::CloseEvent.into();
        loop {
            // Without an end, the last event so far is given.
            let last = self.history(request.clone()).await?.pop();
            if let Some(event) = last.filter(|event| is_end(event.event_type())) {
                return Ok(event);
            }
        }
    }

    fn history_request(&self, workflow_id: &str) -> GetWorkflowExecutionHistoryRequest {
        let workflow_id = workflow_id.to_owned();
        GetWorkflowExecutionHistoryRequest {
            namespace: self.client.namespace(),
            execution: Some(WorkflowExecution { workflow_id, run_id: String::new() }),
            ..Default::default()
        }
    }

    async fn history(
        &self,
        request: GetWorkflowExecutionHistoryRequest,
    ) -> Result<Vec<HistoryEvent>, TemporalError> {
        let mut service = self.client.clone();
        let answer = service.get_workflow_execution_history(request.into_request()).await;
        let answer = answer.map_err(TemporalError::refused("reading the workflow's history"))?;
        Ok(answer.into_inner().history.unwrap_or_default().events)
    }
}

/// Whether an event closes a workflow, for good or for another run.
fn is_end(kind: EventType) -> bool {
    matches!(
        kind,
        EventType::WorkflowExecutionCompleted
            | EventType::WorkflowExecutionFailed
            | EventType::WorkflowExecutionTimedOut
            | EventType::WorkflowExecutionTerminated
            | EventType::WorkflowExecutionCanceled
            | EventType::WorkflowExecutionContinuedAsNew
    )
}
