//! A server that ends the polls of a worker that says that it shuts down.

use temporalio_common::protos::temporal::api::workflowservice::v1::PollWorkflowTaskQueueRequest;

use super::*;

/// At the stop time polls end by themselves.
#[tokio::test(start_paused = true)]
async fn a_server_that_ends_polls_is_not_told_to_at_the_stop_time() {
    let server = Server { ends_polls: true, ..Server::default() };
    let mut fixture = Fixture::new(server, Some(20_000), None).await;
    let poll = fixture.poll(Normal);
    a_moment().await;
    let gate = fixture.gate.clone();
    let _quiescing = tokio::spawn(async move { gate.quiesce(false).await });
    a_moment().await;
    assert!(fixture.server.asked("ShutdownWorker").is_empty() && !poll.is_finished());
    fixture.server.answer_polls.notify_one();
    a_moment().await;
    assert_eq!(fixture.told(), ["PollsEnded"]);
}

/// A server that ends a poll which it has passed on to another partition may lose the task that it hands out there.
#[tokio::test(start_paused = true)]
async fn a_server_that_ends_polls_is_asked_to_when_it_passes_none_on() {
    let server = Server { ends_polls: true, ..Server::default() };
    let mut fixture = Fixture::new(server, None, Some(2 * SECOND)).await;
    let poll = fixture.poll(Normal);
    a_moment().await;
    // The poll lasts 2.3 s, and is passed on for 1.3 s of them.
    advance(ms(800)).await;
    let _quiescing = fixture.quiesce();
    for _ in 0..2 {
        a_moment().await;
        assert!(fixture.server.asked("ShutdownWorker").is_empty() && !poll.is_finished());
        advance(ms(300)).await;
    }
    advance(ms(1)).await;
    a_moment().await;
    assert!(poll.is_finished());
    assert_eq!(fixture.told(), ["PollsEnded"]);
}

/// What is known of earlier polls makes nobody wait.
#[tokio::test(start_paused = true)]
async fn a_server_that_ends_polls_is_asked_to_at_once_after_the_idle_timeout() {
    let server = Server { ends_polls: true, ..Server::default() };
    let mut fixture = Fixture::new(server, None, Some(2 * SECOND)).await;
    for wait in [0, 300] {
        let _first = fixture.poll(Normal);
        a_moment().await;
        advance(ms(wait)).await;
        fixture.hand_out("task");
        a_moment().await;
        fixture.in_flight.workflow_task_is_seen("run of task");
        let _next = (fixture.poll(Normal), fixture.poll_activities());
        a_moment().await;
        fixture.in_flight.workflow_task_failed("run of task", "no such type");
        assert_eq!(fixture.told(), ["Busy", "Quiet"]);
    }
    advance(2 * SECOND).await;
    let _quiescing = fixture.quiesce();
    a_moment().await;
    assert_eq!(fixture.told(), ["PollsEnded"]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_goes_on_after_it_said_that_it_shuts_down_has_another_instance_key() {
    let server = Server { ends_polls: true, ..Server::default() };
    let mut fixture = Fixture::new(server, None, Some(2 * SECOND)).await;
    let _poll = fixture.poll(Normal);
    a_moment().await;
    advance(2 * SECOND).await;
    let _quiescing = fixture.quiesce();
    a_moment().await;
    assert_eq!(fixture.told(), ["PollsEnded"]);
    fixture.gate.resume();
    let _poll = fixture.poll(Normal);
    a_moment().await;
    let told = fixture.server.asked("ShutdownWorker").pop().unwrap();
    let told = ShutdownWorkerRequest::decode(told.proto).unwrap();
    assert_eq!((told.namespace.as_str(), told.task_queue.as_str()), ("n", "everybody's"));
    let keys =
        fixture.server.asked("PollWorkflowTaskQueue").into_iter().map(|call| {
            PollWorkflowTaskQueueRequest::decode(call.proto).unwrap().worker_instance_key
        });
    let keys: Vec<_> = keys.collect();
    assert_eq!((keys[0].as_str(), told.worker_instance_key.as_str()), ("key", "key"));
    assert_ne!(keys[1], "key", "a server that was told of a shutdown gives that one no task");
}
