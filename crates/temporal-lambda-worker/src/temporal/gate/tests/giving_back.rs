//! What becomes of workflows that are sticky to a worker that leaves.

use super::*;

/// A task that waits on the sticky queue when it is closed would wait for its timeout; and so would one that
/// is on its way there when its workflow is reset.
#[tokio::test(start_paused = true)]
async fn the_sticky_queue_is_closed_under_a_poll_and_no_workflow_is_reset() {
    let mut scene = Scene::with_sticky_workflow(Server::default()).await;
    let (sticky, normal) = (scene.poll(Sticky), scene.poll(Normal));
    a_moment().await;
    let _quiescing = scene.quiesce();
    a_moment().await;
    // What waited there before the poll would have come by now.
    assert!(scene.server.asked("ShutdownWorker").is_empty());
    advance(ms(61)).await;
    a_moment().await;
    assert_eq!(scene.server.asked("ShutdownWorker").len(), 1);
    assert!(sticky.is_finished());
    let told = scene.server.asked("ShutdownWorker").pop().unwrap();
    let told = ShutdownWorkerRequest::decode(told.proto).unwrap();
    assert_eq!((told.namespace.as_str(), told.sticky_task_queue.as_str()), ("n", "mine"));
    // Nothing by which a server would end other polls.
    assert!(told.worker_instance_key != "key" && told.task_queue_types.is_empty());
    assert!(!normal.is_finished() && scene.told().is_empty());
    scene.server.answer_polls.notify_one();
    a_moment().await;
    assert_eq!(scene.told(), ["PollsEnded"]);
    scene.gate.close();
    scene.gate.give_back().await;
    assert!(scene.server.asked("ResetStickyTaskQueue").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_on_the_sticky_queue_is_taken_before_the_queue_is_closed() {
    for ends_polls in [true, false] {
        let server = Server { ends_polls, ..Server::default() };
        let mut scene = Scene::with_sticky_workflow(server).await;
        let quiescing = scene.quiesce();
        a_moment().await;
        let sticky = scene.poll(Sticky);
        advance(ms(50)).await;
        a_moment().await;
        scene.hand_out("late");
        assert_eq!(sticky.await.unwrap(), "late", "{ends_polls}");
        assert_eq!(scene.told(), ["Busy"]);
        // With time, polling goes on; without, the next poll is waited for.
        advance(ms(61)).await;
        a_moment().await;
        assert!(scene.server.asked("ShutdownWorker").is_empty(), "{ends_polls}");
        quiescing.abort();
    }
}

/// A poll that reaches the server after the news opens the queue again.
#[tokio::test(start_paused = true)]
async fn the_sticky_queue_is_closed_again_while_a_poll_is_there() {
    let server = Server { early_shutdowns: Arc::new(2.into()), ..Server::default() };
    let mut scene = Scene::with_sticky_workflow(server).await;
    let _sticky = scene.poll(Sticky);
    a_moment().await;
    let _quiescing = scene.quiesce();
    a_moment().await;
    for times in 1..=3 {
        assert!(scene.told().is_empty());
        advance(if times == 1 { ms(61) } else { ms(151) }).await;
        a_moment().await;
        assert_eq!(scene.server.asked("ShutdownWorker").len(), times);
    }
    assert_eq!(scene.told(), ["PollsEnded"]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_on_the_sticky_queue_is_waited_for_where_the_server_refuses_to_close_it() {
    let mut scene = Scene::with_sticky_workflow(Server::default()).await;
    let sticky = scene.poll(Sticky);
    a_moment().await;
    *scene.server.refuses.lock().unwrap() = Some((Code::ResourceExhausted, "too many"));
    let _quiescing = scene.quiesce();
    a_moment().await;
    for _ in 0..12 {
        advance(ms(100)).await;
        a_moment().await;
    }
    assert!(scene.told().is_empty() && !sticky.is_finished());
    assert_eq!(scene.server.asked("ResetStickyTaskQueue").len(), 1, "or its tasks would go there");
    scene.hand_out("late");
    assert_eq!(sticky.await.unwrap(), "late");
    assert_eq!(scene.told(), ["Busy"]);
}

#[tokio::test(start_paused = true)]
async fn a_sticky_queue_that_polling_has_opened_again_is_closed_again() {
    let scene = Scene::with_sticky_workflow(Server::default()).await;
    for closings in 1..=2 {
        let _sticky = scene.poll(Sticky);
        a_moment().await;
        let quiescing = scene.quiesce();
        a_moment().await;
        advance(ms(61)).await;
        a_moment().await;
        quiescing.abort();
        assert_eq!(scene.server.asked("ShutdownWorker").len(), closings);
        scene.gate.resume();
    }
    // Nothing has closed it since.
    scene.gate.close();
    scene.gate.give_back().await;
    assert_eq!(scene.server.asked("ResetStickyTaskQueue").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_workflow_whose_reset_was_refused_is_reset_the_next_time_and_a_closed_one_never() {
    for (code, stays) in [(Code::PermissionDenied, true), (Code::NotFound, false)] {
        let scene = Scene::with_sticky_workflow(Server::default()).await;
        *scene.server.refuses.lock().unwrap() = Some((code, "no"));
        scene.gate.give_back().await;
        assert_eq!(scene.server.asked("ResetStickyTaskQueue").len(), 1);
        assert_eq!(scene.in_flight.has_sticky(), stays, "{code}");
    }
}

/// The server hands a task that is given back to the next poll. One that is about to be dropped would
/// take it along.
#[tokio::test(start_paused = true)]
async fn a_workflow_task_is_given_back_when_no_poll_is_under_way() {
    let scene = Scene::new(Server::default(), None, None).await;
    let poll = scene.poll(Normal);
    a_moment().await;
    scene.hand_out("task");
    assert_eq!(poll.await.unwrap(), "task");
    let _poll = scene.poll(Normal);
    a_moment().await;
    scene.gate.close();
    let mut giving_back = Box::pin(scene.gate.give_back());
    assert!(futures_util::poll!(&mut giving_back).is_pending());
    assert!(scene.server.asked("RespondWorkflowTaskFailed").is_empty());
    giving_back.await;
    assert_eq!(scene.server.asked("RespondWorkflowTaskFailed").len(), 1);
}

/// The SDK may evict a workflow from its cache while the completion of its task is on its way.
#[tokio::test(start_paused = true)]
async fn a_workflow_that_is_evicted_before_its_completion_is_heard_is_sticky_all_the_same() {
    let scene = Scene::new(Server::default(), None, None).await;
    let poll = scene.poll(Normal);
    a_moment().await;
    scene.hand_out("task");
    assert_eq!(poll.await.unwrap(), "task");
    scene.in_flight.workflow_task_is_seen("run of task");
    let answering = scene.in_flight.answer_begins(b"task".to_vec(), true);
    scene.in_flight.workflow_is_evicted("run of task");
    answering.was_heard(Heard { sticky: Some(true), next: None });
    assert!(scene.in_flight.has_sticky());
}

/// The workflow becomes sticky when the server hears the answer, however late that is.
#[tokio::test(start_paused = true)]
async fn a_slow_answer_that_makes_a_workflow_sticky_is_waited_for_and_the_sticky_queue_closed() {
    let completions_wait = Some(Arc::new(Notify::new()));
    let server = Server { completions_wait, ..Server::default() };
    let mut scene = Scene::new(server, None, Some(2 * SECOND)).await;
    let poll = scene.poll(Normal);
    a_moment().await;
    scene.hand_out("task");
    assert_eq!(poll.await.unwrap(), "task");
    let completing = scene.begin_to_complete("task");
    a_moment().await;
    let _sticky = scene.poll(Sticky);
    let _quiescing = scene.quiesce();
    a_moment().await;
    advance(SECOND).await;
    a_moment().await;
    // The server is slow, so the poll for what may come to the sticky queue ends meanwhile.
    scene.server.answer_polls.notify_one();
    a_moment().await;
    let sticky = scene.poll(Sticky);
    a_moment().await;
    assert_eq!(scene.told(), ["Busy"]);
    scene.server.completions_wait.as_ref().unwrap().notify_one();
    completing.await.unwrap();
    assert!(scene.in_flight.has_sticky());
    assert_eq!(scene.told(), ["Quiet"]);
    assert!(!sticky.is_finished(), "a task that waits there would wait for its timeout");
    advance(ms(61)).await;
    a_moment().await;
    assert_eq!(scene.server.asked("ShutdownWorker").len(), 1);
    assert_eq!(scene.told(), ["PollsEnded"]);
}

/// What it is told at the end of polling it may refuse, too.
#[tokio::test(start_paused = true)]
async fn no_workflow_becomes_sticky_for_a_minute_after_the_server_refused_a_call_for_their_number()
{
    let scene = Scene::new(Server::default(), None, None).await;
    for (code, sticks) in [(Code::Unavailable, true), (Code::ResourceExhausted, false)] {
        *scene.server.refuses.lock().unwrap() = Some((code, "no"));
        let _refused = scene.poll(Normal);
        a_moment().await;
        *scene.server.refuses.lock().unwrap() = None;
        for (after, sticks) in [(0, sticks), (59_999, sticks), (1, true)] {
            advance(ms(after)).await;
            scene.complete("task").await;
            let call = scene.server.asked("RespondWorkflowTaskCompleted").pop().unwrap();
            let request = RespondWorkflowTaskCompletedRequest::decode(call.proto).unwrap();
            assert_eq!(request.sticky_attributes.is_some(), sticks, "{code}, {after} ms later");
        }
    }
}
