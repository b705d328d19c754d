//! Closing the sticky queue, and giving back the tasks of a worker that ends.

use super::*;

/// A task that waits on the sticky queue when it is closed would wait for its timeout.
#[tokio::test(start_paused = true)]
async fn the_sticky_queue_is_closed_once_and_while_a_poll_is_there() {
    let mut fixture = Fixture::with_sticky_workflow(Server::default()).await;
    let (sticky, normal) = (fixture.poll(Sticky), fixture.poll(Normal));
    a_moment().await;
    let _quiescing = fixture.quiesce();
    a_moment().await;
    // A task that waited there before the poll would have arrived by now.
    assert!(fixture.server.asked("ShutdownWorker").is_empty());
    advance(ms(61)).await;
    a_moment().await;
    assert_eq!(fixture.server.asked("ShutdownWorker").len(), 1);
    assert!(sticky.is_finished());
    let told = fixture.server.asked("ShutdownWorker").pop().unwrap();
    let told = ShutdownWorkerRequest::decode(told.proto).unwrap();
    assert_eq!((told.namespace.as_str(), told.sticky_task_queue.as_str()), ("n", "mine"));
    // The request has nothing by which a server would end other polls.
    assert!(told.worker_instance_key != "key" && told.task_queue_types.is_empty());
    assert!(!normal.is_finished() && fixture.told().is_empty());
    fixture.server.answer_polls.notify_one();
    a_moment().await;
    assert_eq!(fixture.told(), ["PollsEnded"]);
    fixture.gate.close();
    fixture.gate.give_back().await;
    assert_eq!(fixture.server.asked("ShutdownWorker").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_on_the_sticky_queue_is_taken_before_the_queue_is_closed() {
    for ends_polls in [true, false] {
        let server = Server { ends_polls, ..Server::default() };
        let mut fixture = Fixture::with_sticky_workflow(server).await;
        let quiescing = fixture.quiesce();
        a_moment().await;
        let sticky = fixture.poll(Sticky);
        advance(ms(50)).await;
        a_moment().await;
        fixture.hand_out("late");
        assert_eq!(sticky.await.unwrap(), "late", "{ends_polls}");
        assert_eq!(fixture.told(), ["Busy"]);
        // With time left, polling goes on; without, the next poll is waited for.
        advance(ms(61)).await;
        a_moment().await;
        assert!(fixture.server.asked("ShutdownWorker").is_empty(), "{ends_polls}");
        quiescing.abort();
    }
}

/// A busy worker may have more tasks there than it takes in the time in which one arrives.
#[tokio::test(start_paused = true)]
async fn all_tasks_that_wait_on_the_sticky_queue_are_taken_before_the_queue_is_closed() {
    let fixture = Fixture::with_sticky_workflow(Server::default()).await;
    let gate = fixture.gate.clone();
    let _quiescing = tokio::spawn(async move { gate.quiesce(false).await });
    for task in ["one", "two", "three", "four", "five"] {
        let sticky = fixture.poll(Sticky);
        a_moment().await;
        // Longer than a round trip: the server and this machine are busy.
        advance(ms(150)).await;
        a_moment().await;
        assert!(fixture.server.asked("ShutdownWorker").is_empty(), "before {task}");
        fixture.hand_out(task);
        assert_eq!(sticky.await.unwrap(), task);
    }
    let sticky = fixture.poll(Sticky);
    a_moment().await;
    advance(ms(201)).await;
    a_moment().await;
    assert_eq!(fixture.server.asked("ShutdownWorker").len(), 1);
    assert!(sticky.is_finished());
}

/// A poll that reaches the server after the request opens the queue again.
#[tokio::test(start_paused = true)]
async fn the_sticky_queue_is_closed_again_if_a_poll_has_opened_it_meanwhile() {
    let server = Server { early_shutdowns: Arc::new(2.into()), ..Server::default() };
    let mut fixture = Fixture::with_sticky_workflow(server).await;
    let _sticky = fixture.poll(Sticky);
    a_moment().await;
    let _quiescing = fixture.quiesce();
    a_moment().await;
    for times in 1..=3 {
        assert!(fixture.told().is_empty());
        advance(if times == 1 { ms(61) } else { ms(151) }).await;
        a_moment().await;
        assert_eq!(fixture.server.asked("ShutdownWorker").len(), times);
    }
    assert_eq!(fixture.told(), ["PollsEnded"]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_on_the_sticky_queue_is_waited_for_where_the_server_refuses_to_close_it() {
    let mut fixture = Fixture::with_sticky_workflow(Server::default()).await;
    let sticky = fixture.poll(Sticky);
    a_moment().await;
    *fixture.server.refuses.lock().unwrap() = Some((Code::ResourceExhausted, "too many"));
    let _quiescing = fixture.quiesce();
    a_moment().await;
    for _ in 0..12 {
        advance(ms(100)).await;
        a_moment().await;
    }
    assert!(fixture.told().is_empty() && !sticky.is_finished());
    fixture.hand_out("late");
    assert_eq!(sticky.await.unwrap(), "late");
    assert_eq!(fixture.told(), ["Busy"]);
}

#[tokio::test(start_paused = true)]
async fn a_sticky_queue_that_polling_has_opened_again_is_closed_again() {
    let fixture = Fixture::with_sticky_workflow(Server::default()).await;
    for closings in 1..=2 {
        let _sticky = fixture.poll(Sticky);
        a_moment().await;
        let quiescing = fixture.quiesce();
        a_moment().await;
        advance(ms(61)).await;
        a_moment().await;
        quiescing.abort();
        assert_eq!(fixture.server.asked("ShutdownWorker").len(), closings);
        fixture.gate.resume();
    }
    // The queue was not closed since.
    fixture.gate.close();
    fixture.gate.give_back().await;
    assert_eq!(fixture.server.asked("ShutdownWorker").len(), 3);
}

/// A worker may end before its first poll there. A request that names neither a queue nor a worker would end the
/// polls of every worker.
#[tokio::test(start_paused = true)]
async fn a_worker_that_never_polled_its_sticky_queue_does_not_ask_to_close_it() {
    let fixture = Fixture::with_sticky_workflow(Server::default()).await;
    assert!(fixture.in_flight.has_sticky());
    fixture.gate.close();
    fixture.gate.give_back().await;
    assert!(fixture.server.asked("ShutdownWorker").is_empty());
}

/// The server hands a task that is given back to the next poll. A poll that is about to be dropped would lose
/// it.
#[tokio::test(start_paused = true)]
async fn a_workflow_task_is_given_back_when_no_poll_is_under_way() {
    let fixture = Fixture::new(Server::default(), None, None).await;
    let poll = fixture.poll(Normal);
    a_moment().await;
    fixture.hand_out("task");
    assert_eq!(poll.await.unwrap(), "task");
    let _poll = fixture.poll(Normal);
    a_moment().await;
    fixture.gate.close();
    let mut giving_back = Box::pin(fixture.gate.give_back());
    assert!(futures_util::poll!(&mut giving_back).is_pending());
    assert!(fixture.server.asked("RespondWorkflowTaskFailed").is_empty());
    giving_back.await;
    assert_eq!(fixture.server.asked("RespondWorkflowTaskFailed").len(), 1);
}

/// The SDK may evict a workflow from its cache while the completion of its task is on its way.
#[tokio::test(start_paused = true)]
async fn a_workflow_that_is_evicted_before_its_completion_arrives_becomes_sticky_all_the_same() {
    let fixture = Fixture::new(Server::default(), None, None).await;
    let poll = fixture.poll(Normal);
    a_moment().await;
    fixture.hand_out("task");
    assert_eq!(poll.await.unwrap(), "task");
    fixture.in_flight.workflow_task_is_seen("run of task");
    let answering = fixture.in_flight.answer_begins(b"task".to_vec(), true);
    fixture.in_flight.workflow_is_evicted("run of task");
    answering.was_heard(Heard { sticky: Some(true), next: None });
    assert!(fixture.in_flight.has_sticky());
}

/// The workflow becomes sticky when the server gets the answer, however late that is.
#[tokio::test(start_paused = true)]
async fn the_sticky_queue_is_closed_after_a_slow_answer_that_makes_a_workflow_sticky() {
    let completions_wait = Some(Arc::new(Notify::new()));
    let server = Server { completions_wait, ..Server::default() };
    let mut fixture = Fixture::new(server, None, Some(2 * SECOND)).await;
    let poll = fixture.poll(Normal);
    a_moment().await;
    fixture.hand_out("task");
    assert_eq!(poll.await.unwrap(), "task");
    let completing = fixture.begin_to_complete("task");
    a_moment().await;
    let _sticky = fixture.poll(Sticky);
    let _quiescing = fixture.quiesce();
    a_moment().await;
    advance(SECOND).await;
    a_moment().await;
    // The server is slow, so the poll on the sticky queue ends meanwhile.
    fixture.server.answer_polls.notify_one();
    a_moment().await;
    let sticky = fixture.poll(Sticky);
    a_moment().await;
    assert_eq!(fixture.told(), ["Busy"]);
    fixture.server.completions_wait.as_ref().unwrap().notify_one();
    completing.await.unwrap();
    assert!(fixture.in_flight.has_sticky());
    assert_eq!(fixture.told(), ["Quiet"]);
    assert!(!sticky.is_finished(), "a task that waits there would wait for its timeout");
    advance(ms(61)).await;
    a_moment().await;
    assert_eq!(fixture.server.asked("ShutdownWorker").len(), 1);
    assert_eq!(fixture.told(), ["PollsEnded"]);
}
