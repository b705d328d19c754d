//! A real server that ends a poll just as it hands out a task, and what becomes of the task.

use std::ops::Range;
use std::time::Duration;

use futures_util::future::{join, join_all};
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::server::DevServer;
use temporalio_common::protos::temporal::api::common::v1::{WorkflowExecution, WorkflowType};
use temporalio_common::protos::temporal::api::enums::v1::{EventType, TaskQueueType};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1 as api;
use tokio::time::sleep;

use crate::{TestResult, raw::Raw};

const LONG: Option<&str> = Some("60S");

/// How many polls are under way at once, each on a task queue of its own.
const WIDTH: usize = 20;
/// How many polls follow each other on each task queue.
const ROUNDS: usize = 10;
/// How often all of that is repeated at most until what is looked for has occurred.
const REPEATS: usize = 4;

/// What became of the first tasks of all workflows that were started as a poll was ended.
#[derive(Debug, Default)]
struct Tasks {
    delivered: usize,
    /// Started according to the history, but in no answer to a poll.
    lost: usize,
}

/// Polls that ask for `asked`; after `before` a workflow starts, and the server is told to end the poll.
struct Trial<'a> {
    raw: &'a Raw,
    asked: &'static str,
    before: Duration,
}

impl Trial<'_> {
    /// Repeats rounds until there were `enough` tasks.
    async fn run(&self, enough: impl Fn(&Tasks) -> bool) -> Tasks {
        let mut tasks = Tasks::default();
        for repeat in 0..REPEATS {
            let more = self.rounds(repeat * ROUNDS..(repeat + 1) * ROUNDS).await;
            tasks.delivered += more.delivered;
            tasks.lost += more.lost;
            if enough(&tasks) {
                break;
            }
        }
        tasks
    }

    async fn rounds(&self, rounds: Range<usize>) -> Tasks {
        let queues = join_all((0..WIDTH).map(async |number| {
            let queue = format!("{}-{number}", self.asked);
            let mut tasks = Tasks::default();
            for round in rounds.clone() {
                // After a new workflow the server takes some milliseconds to have its task.
                let ended_after =
                    Duration::from_micros(((number * 7 + round * 13) % 20) as u64 * 500);
                self.round(&queue, round, ended_after, &mut tasks).await;
            }
            tasks
        }));
        queues.await.into_iter().fold(Tasks::default(), |sum, it| Tasks {
            delivered: sum.delivered + it.delivered,
            lost: sum.lost + it.lost,
        })
    }

    async fn round(&self, queue: &str, round: usize, ended_after: Duration, tasks: &mut Tasks) {
        let worker = format!("{queue}-{round}");
        let events = async {
            sleep(self.before).await;
            self.start(&worker, queue).await;
            sleep(ended_after).await;
            self.end_polls(&worker, queue).await;
        };
        let (is_delivered, ()) = join(self.poll(&worker, queue), events).await;
        let is_started = self.is_started_before_it_is_terminated(&worker).await;
        tasks.delivered += usize::from(is_delivered);
        tasks.lost += usize::from(is_started && !is_delivered);
    }

    /// Whether the poll brings a task.
    async fn poll(&self, worker: &str, queue: &str) -> bool {
        let request = api::PollWorkflowTaskQueueRequest {
            namespace: "default".to_owned(),
            task_queue: Some(task_queue(queue)),
            worker_instance_key: worker.to_owned(),
            ..Default::default()
        };
        // A server that hears just as the poll begins that it is to end it answers with an error.
        let answer: Result<api::PollWorkflowTaskQueueResponse, _> =
            self.raw.call("PollWorkflowTaskQueue", Some(self.asked), request).await;
        answer.is_ok_and(|it| !it.task_token.is_empty())
    }

    async fn start(&self, id: &str, queue: &str) {
        let request = api::StartWorkflowExecutionRequest {
            namespace: "default".to_owned(),
            workflow_id: id.to_owned(),
            request_id: id.to_owned(),
            workflow_type: Some(WorkflowType { name: "any".to_owned() }),
            task_queue: Some(task_queue(queue)),
            ..Default::default()
        };
        let _: api::StartWorkflowExecutionResponse =
            self.raw.call("StartWorkflowExecution", LONG, request).await.expect("started");
    }

    async fn end_polls(&self, worker: &str, queue: &str) {
        let request = api::ShutdownWorkerRequest {
            namespace: "default".to_owned(),
            worker_instance_key: worker.to_owned(),
            task_queue: queue.to_owned(),
            task_queue_types: vec![TaskQueueType::Workflow.into()],
            ..Default::default()
        };
        let _: api::ShutdownWorkerResponse =
            self.raw.call("ShutdownWorker", LONG, request).await.expect("accepted");
    }

    /// Whether the server handed out the workflow's task. The workflow is terminated first, so no later poll gets it.
    async fn is_started_before_it_is_terminated(&self, id: &str) -> bool {
        let execution = WorkflowExecution { workflow_id: id.to_owned(), ..Default::default() };
        let request = api::TerminateWorkflowExecutionRequest {
            namespace: "default".to_owned(),
            workflow_execution: Some(execution.clone()),
            ..Default::default()
        };
        let _: api::TerminateWorkflowExecutionResponse =
            self.raw.call("TerminateWorkflowExecution", LONG, request).await.expect("terminated");
        let request = api::GetWorkflowExecutionHistoryRequest {
            namespace: "default".to_owned(),
            execution: Some(execution),
            ..Default::default()
        };
        let history: api::GetWorkflowExecutionHistoryResponse =
            self.raw.call("GetWorkflowExecutionHistory", LONG, request).await.expect("a history");
        let events = history.history.expect("there is one").events;
        events.iter().any(|it| it.event_type() == EventType::WorkflowTaskStarted)
    }
}

fn task_queue(name: &str) -> TaskQueue {
    TaskQueue { name: name.to_owned(), ..Default::default() }
}

/// Why a worker that leaves first lets its polls come into their last second: until then the partition that a poll
/// reached passes it on, and what another partition hands out then is lost with that call. If the first half of this
/// test fails on a later server, the wait is not needed there.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_loses_tasks_when_it_ends_polls_but_not_in_their_last_second() -> TestResult {
    let _limit = TimeLimit::of_this_test();
    let server = DevServer::builder()
        .dynamic_config("frontend.enableCancelWorkerPollsOnShutdown", true)
        .start()
        .await?;
    let raw = Raw::connect(&server.address()).await;
    let before = Duration::from_millis(400);
    let passed_on = Trial { raw: &raw, asked: "70S", before }.run(|it| it.lost > 0).await;
    // It is answered after 2 s, and passed on for the first one. Half a second is for a machine that is busy.
    let before = Duration::from_millis(1_500);
    let in_the_last_second = Trial { raw: &raw, asked: "3S", before };
    let in_the_last_second = in_the_last_second.run(|it| it.delivered >= 20).await;
    println!("passed on: {passed_on:?}, in the last second: {in_the_last_second:?}");
    assert!(passed_on.lost > 0, "{passed_on:?}");
    assert!(in_the_last_second.delivered > 0, "{in_the_last_second:?}");
    assert_eq!(in_the_last_second.lost, 0, "{in_the_last_second:?}");
    server.stop().await;
    Ok(())
}
