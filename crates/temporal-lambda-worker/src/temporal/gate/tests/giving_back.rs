//! Workflows that are sticky to a worker that leaves are given back.

use std::sync::Arc;

use tokio::sync::Notify;

use super::*;

/// A task that waits on the sticky queue when its workflow is reset would wait for its timeout.
#[tokio::test(start_paused = true)]
async fn workflows_are_given_back_while_a_poll_is_on_the_sticky_queue_which_is_then_cleared() {
    let mut scene = Scene::with_sticky_workflow(Server::default()).await;
    let sticky = scene.poll(Sticky);
    a_moment().await;
    let _quiescing = scene.quiesce();
    a_moment().await;
    // What waited there before the poll would have come by now.
    assert!(scene.server.asked("ResetStickyTaskQueue").is_empty());
    advance(ms(61)).await;
    a_moment().await;
    assert_eq!(scene.server.asked("ResetStickyTaskQueue").len(), 1);
    assert!(!sticky.is_finished() && scene.told().is_empty(), "the sticky queue is not cleared");
    advance(ms(61)).await;
    a_moment().await;
    scene.server.answer_polls.notify_one();
    a_moment().await;
    assert!(sticky.is_finished());
    assert_eq!(scene.told(), ["PollsEnded"]);
}

#[tokio::test(start_paused = true)]
async fn a_workflow_whose_giving_back_was_cut_short_is_given_back_the_next_time() {
    let scene = Scene::with_sticky_workflow(Server::default()).await;
    let _sticky = scene.poll(Sticky);
    a_moment().await;
    // The first time polling goes on before the server has heard of it.
    for resets in [0, 1] {
        let quiescing = scene.quiesce();
        a_moment().await;
        if resets == 1 {
            advance(ms(61)).await;
            a_moment().await;
        }
        quiescing.abort();
        assert_eq!(scene.server.asked("ResetStickyTaskQueue").len(), resets);
        scene.gate.resume();
    }
    assert!(!scene.in_flight.has_sticky());
}

#[tokio::test(start_paused = true)]
async fn a_workflow_whose_giving_back_was_refused_is_given_back_the_next_time_and_a_closed_one_never()
 {
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

/// The server puts a task on the sticky queue some time after it has decided to: also when it has answered the
/// reset meanwhile.
#[tokio::test(start_paused = true)]
async fn a_task_that_comes_to_the_sticky_queue_just_after_the_reset_is_taken() {
    for ends_polls in [true, false] {
        let server = Server { ends_polls, ..Server::default() };
        let mut scene = Scene::with_sticky_workflow(server).await;
        let mut sticky = scene.poll(Sticky);
        a_moment().await;
        let _quiescing = scene.quiesce();
        a_moment().await;
        advance(ms(61)).await;
        a_moment().await;
        assert_eq!(scene.server.asked("ResetStickyTaskQueue").len(), 1);
        if !ends_polls {
            // This poll ends by itself, as it happens, and the SDK begins the next one.
            scene.server.answer_polls.notify_one();
            assert_eq!(sticky.await.unwrap(), "");
            sticky = scene.poll(Sticky);
            a_moment().await;
        }
        advance(ms(50)).await;
        a_moment().await;
        assert!(scene.told().is_empty(), "a shutdown of the worker would lose the task");
        scene.hand_out("late");
        assert_eq!(sticky.await.unwrap(), "late", "{ends_polls}");
    }
}

/// The workflow becomes sticky when the server hears the answer, however late that is.
#[tokio::test(start_paused = true)]
async fn a_slow_answer_that_makes_a_workflow_sticky_is_waited_for_and_the_workflow_given_back() {
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
    advance(ms(61)).await;
    a_moment().await;
    assert_eq!(scene.server.asked("ResetStickyTaskQueue").len(), 1);
    assert!(!sticky.is_finished(), "a task that waits there would wait for its timeout");
    advance(ms(61)).await;
    a_moment().await;
    scene.server.answer_polls.notify_one();
    a_moment().await;
    assert_eq!(scene.told(), ["PollsEnded"]);
}
