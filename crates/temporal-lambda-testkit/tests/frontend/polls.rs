//! How long polls for tasks last.

use std::time::Duration;

use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::frontend::MockFrontend;
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{
    enums::v1::TaskQueueType, workflowservice::v1 as api,
};
use tokio::time::Instant;

use crate::wire::{LONG, Wire, queue};

impl Wire {
    /// Polls for an activity task; whether it got one.
    async fn poll_within(
        &self,
        timeout: Option<&'static str>,
        worker: &str,
    ) -> Result<bool, Status> {
        let request = api::PollActivityTaskQueueRequest {
            namespace: "default".to_owned(),
            task_queue: Some(queue()),
            worker_instance_key: worker.to_owned(),
            ..Default::default()
        };
        let task: api::PollActivityTaskQueueResponse =
            self.call_within(timeout, "PollActivityTaskQueue", request).await?;
        Ok(!task.task_token.is_empty())
    }

    async fn shut_down(&self, worker: &str) {
        let request = api::ShutdownWorkerRequest {
            namespace: "default".to_owned(),
            worker_instance_key: worker.to_owned(),
            task_queue_types: vec![TaskQueueType::Activity.into()],
            ..Default::default()
        };
        let said = self.call::<api::ShutdownWorkerResponse>("ShutdownWorker", request).await;
        said.expect("accepted");
    }

    /// Polls for the workers `leaving` and `staying`, shuts the former down, and returns after how
    /// many seconds each poll ended, without a task.
    async fn polls_around_a_shutdown(&self) -> [u64; 2] {
        let began = Instant::now();
        let poll = async |worker: &str| {
            assert!(!self.poll_within(Some("9S"), worker).await.expect("answered"));
            began.elapsed().as_secs()
        };
        let shut_down = async {
            self.0.wait_until(|frontend| frontend.open_polls().len() == 2).await.expect("polls");
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.shut_down("leaving").await;
        };
        let (leaving, staying, ()) = tokio::join!(poll("leaving"), poll("staying"), shut_down);
        [leaving, staying]
    }

    async fn says_that_it_ends_polls(&self) -> bool {
        let request =
            api::DescribeNamespaceRequest { namespace: "default".to_owned(), ..Default::default() };
        let described: api::DescribeNamespaceResponse =
            self.call("DescribeNamespace", request).await.expect("it exists");
        let capabilities = described.namespace_info.and_then(|info| info.capabilities);
        capabilities.expect("there are some").worker_poll_complete_on_shutdown
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_without_a_task_ends_a_second_before_its_deadline_or_after_a_minute() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire(MockFrontend::new());
    for (timeout, seconds) in [("2001m", 1), ("5S", 4), ("61S", 60), (LONG, 60), ("1H", 60)] {
        let began = Instant::now();
        assert!(!wire.poll_within(Some(timeout), "").await.expect("answered"));
        assert_eq!(began.elapsed().as_secs(), seconds, "a poll with {timeout}");
    }
    wire.0.long_poll_timeout(Duration::from_secs(7));
    for (timeout, seconds) in [("5S", 4), (LONG, 7)] {
        let began = Instant::now();
        assert!(!wire.poll_within(Some(timeout), "").await.expect("answered"));
        assert_eq!(began.elapsed().as_secs(), seconds, "a poll with {timeout}, of 7 s at most");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_asks_for_two_seconds_or_less_is_refused() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire(MockFrontend::new());
    for timeout in ["0S", "1S", "1999m", "2S"] {
        let refused = wire.poll_within(Some(timeout), "").await.expect_err(timeout);
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(refused.message(), "Context timeout is too short.");
    }
    // A number without a unit is no deadline either.
    for timeout in [None, Some("5"), Some("S"), Some("")] {
        let refused = wire.poll_within(timeout, "").await.expect_err("no deadline");
        assert_eq!(refused.code(), Code::InvalidArgument, "{timeout:?}");
        assert_eq!(refused.message(), "Context timeout is not set.", "{timeout:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_poll_is_held_to_its_deadline() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire(MockFrontend::new());
    let namespace = "default".to_owned();
    let task_queue = Some(queue());
    let workflows = |timeout| {
        let (namespace, task_queue) = (namespace.clone(), task_queue.clone());
        let poll =
            api::PollWorkflowTaskQueueRequest { namespace, task_queue, ..Default::default() };
        wire.call_within::<api::PollWorkflowTaskQueueResponse>(
            timeout,
            "PollWorkflowTaskQueue",
            poll,
        )
    };
    let nexus = |timeout| {
        let (namespace, task_queue) = (namespace.clone(), task_queue.clone());
        let poll = api::PollNexusTaskQueueRequest { namespace, task_queue, ..Default::default() };
        wire.call_within::<api::PollNexusTaskQueueResponse>(timeout, "PollNexusTaskQueue", poll)
    };
    let began = Instant::now();
    assert!(workflows(Some("4S")).await.expect("answered").task_token.is_empty());
    assert!(nexus(Some("4S")).await.expect("answered").task_token.is_empty());
    assert_eq!(began.elapsed().as_secs(), 3 + 3);
    let refused = [
        workflows(Some("2S")).await.expect_err("too short").code(),
        nexus(Some("2S")).await.expect_err("too short").code(),
    ];
    assert_eq!(refused, [Code::FailedPrecondition; 2]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_worker_leaves_polls_alone_as_a_stock_server_does() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire(MockFrontend::new());
    assert!(!wire.says_that_it_ends_polls().await);
    assert_eq!(wire.polls_around_a_shutdown().await, [8, 8]);
    assert!(wire.0.open_polls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn shutdown_worker_ends_the_polls_of_that_worker_where_that_is_set() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire(MockFrontend::new());
    wire.0.end_polls_at_shutdown();
    assert!(wire.says_that_it_ends_polls().await);
    assert_eq!(wire.polls_around_a_shutdown().await, [1, 8]);
    // A poll that was still on its way ends at once.
    let began = Instant::now();
    assert!(!wire.poll_within(Some(LONG), "leaving").await.expect("answered"));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_poll_is_no_open_poll() {
    let _limit = TimeLimit::of_this_test();
    let wire = Wire(MockFrontend::new());
    tokio::select! {
        _ = wire.poll_within(Some(LONG), "") => panic!("there is no task"),
        seen = wire.0.wait_until(|frontend| frontend.open_polls().len() == 1) => {
            seen.expect("it is open");
        }
    }
    assert!(wire.0.open_polls().is_empty());
}
