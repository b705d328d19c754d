//! A client that does not give up: where connections are closed and calls are throttled, it is the
//! worker that is tested.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::join_all;
use temporal_lambda_tests::test_timeout;
use temporalio_client::{Connection, ConnectionOptions, RetryOptions, Url};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, Payloads, WorkflowExecution, WorkflowType},
    enums::v1::{EventType, UpdateWorkflowExecutionLifecycleStage as Stage},
    history::v1::HistoryEvent,
    query::v1::WorkflowQuery,
    taskqueue::v1::TaskQueue,
    update::v1::{self as updates, Input, Meta, Request, WaitPolicy},
    workflow::v1::PendingActivityInfo,
    workflowservice::v1::{
        DescribeWorkflowExecutionRequest, GetWorkflowExecutionHistoryRequest, QueryWorkflowRequest,
        ResetStickyTaskQueueRequest, SignalWorkflowExecutionRequest, StartWorkflowExecutionRequest,
        UpdateWorkflowExecutionRequest,
    },
};
use tokio::{
    sync::Mutex,
    time::{Interval, MissedTickBehavior},
};
use tonic::{Code, IntoRequest as _, Request as Call, Status};

/// Before a call is made again.
const PAUSE: Duration = Duration::from_millis(100);
/// How many calls of a crowd come at once, and how often: 200 every 5 s, more than a throttled server takes
/// in a second.
pub(crate) const BURST: usize = 200;
const BETWEEN_BURSTS: Duration = Duration::from_secs(5);
/// Between two looks at workflows, whichever they are. A throttled server has 120 calls a second for
/// everybody, and looks come before a worker's polls: without a pause it would be the swarm itself that
/// keeps its workers from polling, the more, the more workflows wait for them.
const BETWEEN_LOOKS: Duration = Duration::from_millis(40);
/// How long a query waits for its answer. Somebody polls for it most of the time.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// The tasks of a workflow that are under way.
#[derive(PartialEq, Default)]
pub(crate) struct Waiting {
    /// The number of the workflow task's attempt.
    workflow_task: Option<i32>,
    /// Who has each attempt of an activity, and since when, by the activity's ID and the number of the attempt.
    pub(crate) activities: Vec<((String, i32), (String, SystemTime))>,
}

#[derive(Clone)]
pub(crate) struct Client {
    connection: Connection,
    task_queue: String,
    refused: Arc<AtomicUsize>,
    looks: Arc<Mutex<Interval>>,
}

impl Client {
    pub(crate) async fn connect(address: &str, task_queue: &str) -> Self {
        let target = Url::parse(&format!("http://{address}")).expect("an address");
        let options = ConnectionOptions::new(target)
            .identity("swarm".to_owned())
            .dns_load_balancing(None)
            // A query must not be asked again behind our back.
            .retry_options(RetryOptions::no_retries())
            .build();
        let connection = Connection::connect(options).await.expect("the server answers");
        let mut looks = tokio::time::interval(BETWEEN_LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (refused, looks) = (Arc::default(), Arc::new(Mutex::new(looks)));
        Self { connection, task_queue: task_queue.to_owned(), refused, looks }
    }

    pub(crate) async fn start(&self, id: &str, kind: &str, input: serde_json::Value) {
        let request = StartWorkflowExecutionRequest {
            namespace: namespace(),
            workflow_id: id.to_owned(),
            workflow_type: Some(WorkflowType { name: kind.to_owned() }),
            task_queue: Some(TaskQueue { name: self.task_queue.clone(), ..Default::default() }),
            input: json(&input),
            identity: "swarm".to_owned(),
            // One that was answered on a connection that closed is the same when it is made again.
            request_id: id.to_owned(),
            ..Default::default()
        };
        self.again("start", || async {
            let mut service = self.connection.workflow_service();
            service.start_workflow_execution(request.clone().into_request()).await
        })
        .await;
    }

    pub(crate) async fn signal(&self, id: &str, name: &str, number: u64) {
        let request = SignalWorkflowExecutionRequest {
            namespace: namespace(),
            workflow_execution: execution(id),
            signal_name: name.to_owned(),
            input: json(&number.into()),
            request_id: format!("{id}-{number}"),
            ..Default::default()
        };
        // Without an answer it was taken by a workflow that has ended meanwhile.
        self.again_unless_taken("signal", || async {
            let mut service = self.connection.workflow_service();
            service.signal_workflow_execution(request.clone().into_request()).await
        })
        .await;
    }

    /// Sends an update and waits for what comes of it.
    ///
    /// # Errors
    /// When it was rejected, or nothing came of it within [`test_timeout`].
    pub(crate) async fn update(&self, id: &str, name: &str, number: u64) -> Result<(), String> {
        let request = UpdateWorkflowExecutionRequest {
            namespace: namespace(),
            workflow_execution: execution(id),
            wait_policy: Some(WaitPolicy { lifecycle_stage: Stage::Completed.into() }),
            request: Some(Request {
                meta: Some(Meta { update_id: number.to_string(), identity: "swarm".to_owned() }),
                input: Some(Input {
                    name: name.to_owned(),
                    args: json(&number.into()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let began = Instant::now();
        while began.elapsed() < test_timeout() {
            // A server answers without an outcome after 20 s.
            let response = self.again_unless_taken("update", || async {
                let mut service = self.connection.workflow_service();
                service.update_workflow_execution(request.clone().into_request()).await
            });
            let Some(response) = response.await else { return Ok(()) };
            match response.outcome.and_then(|outcome| outcome.value) {
                Some(updates::outcome::Value::Success(_)) => return Ok(()),
                Some(updates::outcome::Value::Failure(failure)) => return Err(failure.message),
                None => {}
            }
        }
        Err(format!("nothing came of it within {:?}", test_timeout()))
    }

    /// Asks a query.
    ///
    /// # Errors
    /// When there was no answer in time, which is what a lost query looks like, or a bad one.
    pub(crate) async fn query(&self, id: &str, name: &str) -> Result<(), String> {
        let request = QueryWorkflowRequest {
            namespace: namespace(),
            execution: execution(id),
            query: Some(WorkflowQuery { query_type: name.to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let began = Instant::now();
        loop {
            let mut call = Call::new(request.clone());
            call.set_timeout(QUERY_TIMEOUT);
            let mut service = self.connection.workflow_service();
            match service.query_workflow(call).await {
                Ok(_) => return Ok(()),
                Err(status) if self.is_of_the_way(&status) && began.elapsed() < test_timeout() => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(status) => return Err(format!("{:?}: {}", status.code(), status.message())),
            }
        }
    }

    /// What a workflow is waiting for.
    pub(crate) async fn waiting(&self, id: &str) -> Waiting {
        let request =
            DescribeWorkflowExecutionRequest { namespace: namespace(), execution: execution(id) };
        let response = self.again("describe", || async {
            self.may_look().await;
            let mut service = self.connection.workflow_service();
            service.describe_workflow_execution(request.clone().into_request()).await
        });
        let activity = |it: PendingActivityInfo| {
            let since = it.last_started_time?.try_into().ok()?;
            Some(((it.activity_id, it.attempt), (it.last_worker_identity, since)))
        };
        let response = response.await;
        Waiting {
            workflow_task: response.pending_workflow_task.map(|it| it.attempt),
            activities: response.pending_activities.into_iter().filter_map(activity).collect(),
        }
    }

    /// The history of a workflow so far.
    pub(crate) async fn history(&self, id: &str) -> Vec<HistoryEvent> {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: namespace(),
            execution: execution(id),
            ..Default::default()
        };
        let response = self.again("history", || async {
            self.may_look().await;
            let mut service = self.connection.workflow_service();
            service.get_workflow_execution_history(request.clone().into_request()).await
        });
        response.await.history.unwrap_or_default().events
    }

    /// Makes calls of the kinds that a server refuses first: ten a second of those that a worker makes
    /// when it leaves, and a [`BURST`] of those with the priority of polls now and then.
    pub(crate) async fn crowd(&self) {
        let reset =
            ResetStickyTaskQueueRequest { namespace: namespace(), execution: execution("nobody") };
        let reset = async || {
            loop {
                let mut service = self.connection.workflow_service();
                let reset = service.reset_sticky_task_queue(reset.clone().into_request()).await;
                reset.err().inspect(|status| self.note(status));
                tokio::time::sleep(PAUSE).await;
            }
        };
        let history = GetWorkflowExecutionHistoryRequest {
            namespace: namespace(),
            execution: execution("nobody"),
            ..Default::default()
        };
        let history = async || {
            let mut service = self.connection.workflow_service();
            let history = service.get_workflow_execution_history(history.clone().into_request());
            history.await.err().inspect(|status| self.note(status));
        };
        let bursts = async || {
            loop {
                tokio::time::sleep(BETWEEN_BURSTS).await;
                join_all((0..BURST).map(|_| history())).await;
            }
        };
        tokio::join!(reset(), bursts());
    }

    /// How many calls were refused because there were too many.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Waits until it is this look's turn.
    async fn may_look(&self) {
        self.looks.lock().await.tick().await;
    }

    /// Makes a call until it is answered.
    ///
    /// # Panics
    /// When it is refused for good, or not answered within [`test_timeout`].
    async fn again<T, F>(&self, what: &str, call: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let response = self.again_unless_taken(what, call).await;
        response.unwrap_or_else(|| panic!("{what}: there is no such workflow any more"))
    }

    /// As [`again`](Self::again); `None` if the workflow was there for a call whose answer was lost, and is over now.
    async fn again_unless_taken<T, F>(&self, what: &str, call: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let began = Instant::now();
        let mut may_be_taken = false;
        loop {
            let in_time = began.elapsed() < test_timeout();
            match call().await {
                Ok(response) => return Some(response.into_inner()),
                Err(status) if self.is_of_the_way(&status) && in_time => {
                    may_be_taken |= status.code() != Code::ResourceExhausted;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(status) if is_late(&status) && in_time => may_be_taken = true,
                Err(status) if status.code() == Code::NotFound && may_be_taken => return None,
                Err(status) => panic!("{what}: {status}"),
            }
        }
    }

    /// Whether a call failed on its way or was refused for the moment, and is to be made again.
    fn is_of_the_way(&self, status: &Status) -> bool {
        self.note(status);
        let retried = matches!(
            status.code(),
            Code::Unavailable
                // Of a call whose connection closed.
                | Code::Cancelled
                | Code::ResourceExhausted
                | Code::Unknown
                | Code::Internal
                | Code::Aborted
                // The answer to queries and updates while a lost workflow task is tried again; that
                // loss is in the history.
                | Code::FailedPrecondition
        );
        retried && !is_late(status)
    }

    fn note(&self, status: &Status) {
        if status.code() == Code::ResourceExhausted {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether a workflow with this history has ended.
pub(crate) fn has_ended(history: &[HistoryEvent]) -> bool {
    let ends = [
        EventType::WorkflowExecutionCompleted,
        EventType::WorkflowExecutionFailed,
        EventType::WorkflowExecutionTimedOut,
        EventType::WorkflowExecutionTerminated,
        EventType::WorkflowExecutionCanceled,
    ];
    history.last().is_some_and(|event| ends.contains(&event.event_type()))
}

/// Whether a call was not answered in time: a server says the former, a channel the latter.
fn is_late(status: &Status) -> bool {
    status.code() == Code::DeadlineExceeded || status.message() == "Timeout expired"
}

fn namespace() -> String {
    "default".to_owned()
}

fn execution(id: &str) -> Option<WorkflowExecution> {
    Some(WorkflowExecution { workflow_id: id.to_owned(), run_id: String::new() })
}

fn json(value: &serde_json::Value) -> Option<Payloads> {
    let payload = Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: value.to_string().into_bytes(),
        ..Default::default()
    };
    Some(Payloads { payloads: vec![payload] })
}
