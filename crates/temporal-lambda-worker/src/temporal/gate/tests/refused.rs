//! The gate to a server that refuses calls.

use super::*;

#[tokio::test(start_paused = true)]
async fn refused_polls_are_counted_with_the_servers_message_and_delay_no_exit() {
    let mut fixture = Fixture::new(Server::default(), None, Some(2 * SECOND)).await;
    for words in ["first", "second", "the key is secret"] {
        *fixture.server.refuses.lock().unwrap() = Some((Code::PermissionDenied, words));
        assert_eq!(fixture.poll(Normal).await.unwrap(), "PermissionDenied");
    }
    let _quiescing = fixture.quiesce();
    a_moment().await;
    assert_eq!(fixture.told(), ["PollsEnded"]);
    let trouble = fixture.gate.trouble.noted();
    let noted = &trouble[0];
    assert_eq!((noted.call.as_str(), noted.count), ("PollWorkflowTaskQueue", 3));
    assert_eq!((noted.first.as_str(), noted.last.as_str()), ("first", "the key is [API key]"));
    let fault =
        fixture.gate.trouble.fault(false).map(|fault| fault.to_string()).unwrap_or_default();
    assert!(fault.contains("PermissionDenied") && !fault.contains("secret"), "{fault}");
    // One poll that is answered shows that the worker could poll.
    fixture.gate.resume();
    *fixture.server.refuses.lock().unwrap() = None;
    let poll = fixture.poll(Normal);
    a_moment().await;
    fixture.server.answer_polls.notify_one();
    assert_eq!(poll.await.unwrap(), "");
    assert!(fixture.gate.trouble.fault(false).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_poll_whose_answer_is_too_large_is_not_made_again_by_the_gate() {
    let fixture = Fixture::new(Server::default(), None, None).await;
    let too_large = "grpc: received message larger than max (5 vs. 4)";
    *fixture.server.refuses.lock().unwrap() = Some((Code::ResourceExhausted, too_large));
    assert_eq!(fixture.poll(Normal).await.unwrap(), "ResourceExhausted");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_poll_is_made_again_after_0_1_s_to_2_s() {
    let fixture = Fixture::new(Server::default(), None, None).await;
    *fixture.server.refuses.lock().unwrap() = Some((Code::ResourceExhausted, "too many"));
    let poll = fixture.poll(Normal);
    let mut polls = 0;
    for pause in [0, 100, 200, 400, 800, 1_600, 2_000, 2_000] {
        advance(ms(pause)).await;
        a_moment().await;
        polls += 1;
        assert_eq!(fixture.server.times().len(), polls, "after {pause} ms more");
    }
    *fixture.server.refuses.lock().unwrap() = None;
    advance(2 * SECOND).await;
    a_moment().await;
    fixture.hand_out("task");
    assert_eq!(poll.await.unwrap(), "task", "the worker sees a slow poll");
    assert_eq!(fixture.gate.trouble.noted()[0].count, 8);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_answer_is_made_again_after_0_1_s_to_2_s_until_the_worker_is_dropped() {
    for is_dropped in [false, true] {
        let fixture = Fixture::new(Server::default(), None, None).await;
        *fixture.server.refuses.lock().unwrap() = Some((Code::ResourceExhausted, "too many"));
        let request = RespondWorkflowTaskCompletedRequest::default();
        let mut worker = fixture.worker.clone();
        let call =
            async move { worker.respond_workflow_task_completed(request.into_request()).await };
        let completion = tokio::spawn(call);
        let completions = || fixture.server.asked("RespondWorkflowTaskCompleted").len();
        for (number, pause) in (1..).zip([0, 100, 200, 400, 800, 1_600, 2_000]) {
            advance(ms(pause)).await;
            a_moment().await;
            assert_eq!(completions(), number, "after {pause} ms more");
        }
        if is_dropped {
            fixture.gate.close();
            fixture.gate.give_back().await;
        } else {
            *fixture.server.refuses.lock().unwrap() = None;
        }
        advance(2 * SECOND).await;
        a_moment().await;
        assert_eq!(completions(), if is_dropped { 7 } else { 8 });
        assert_eq!(completion.await.unwrap().is_err(), is_dropped, "the worker sees a slow call");
    }
}

/// Seen in the swarm: a signal came to the sticky queue while the SDK paused after a refusal, and waited there
/// for its timeout.
#[tokio::test(start_paused = true)]
async fn a_refused_sticky_poll_is_made_again_and_the_queue_is_closed_under_an_accepted_one() {
    let mut fixture = Fixture::with_sticky_workflow(Server::default()).await;
    let refusal = Some((Code::ResourceExhausted, "too many"));
    *fixture.server.refuses.lock().unwrap() = refusal;
    let poll = fixture.poll(Sticky);
    a_moment().await;
    let _quiescing = fixture.quiesce();
    advance(SECOND).await;
    a_moment().await;
    assert!(fixture.told().is_empty() && fixture.server.asked("ShutdownWorker").is_empty());
    *fixture.server.refuses.lock().unwrap() = None;
    for step in [100, 60] {
        assert!(fixture.server.asked("ShutdownWorker").is_empty());
        advance(ms(step)).await;
        a_moment().await;
    }
    assert_eq!(poll.await.unwrap(), "", "the worker sees no refusal");
    assert_eq!(fixture.told(), ["PollsEnded"]);
    assert_eq!(fixture.gate.trouble.noted()[0].status, "ResourceExhausted");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_on_refusing_delays_the_end_of_polls_by_3_s() {
    let mut fixture = Fixture::with_sticky_workflow(Server::default()).await;
    *fixture.server.refuses.lock().unwrap() = Some((Code::ResourceExhausted, "too many"));
    let _poll = fixture.poll(Sticky);
    a_moment().await;
    let since = Instant::now();
    fixture.quiesce().await.unwrap();
    assert_eq!(since.elapsed().as_millis() / 100, 30, "{:?}", since.elapsed());
    assert_eq!(fixture.told(), ["PollsEnded"]);
}

/// The server may refuse the call that closes the sticky queue, too.
#[tokio::test(start_paused = true)]
async fn no_workflow_becomes_sticky_for_a_minute_after_the_server_refused_a_call_for_their_number()
{
    let fixture = Fixture::new(Server::default(), None, None).await;
    for (code, sticks) in [(Code::Unavailable, true), (Code::ResourceExhausted, false)] {
        *fixture.server.refuses.lock().unwrap() = Some((code, "no"));
        let _refused = fixture.poll(Normal);
        a_moment().await;
        *fixture.server.refuses.lock().unwrap() = None;
        for (after, sticks) in [(0, sticks), (59_999, sticks), (1, true)] {
            advance(ms(after)).await;
            fixture.complete("task").await;
            let call = fixture.server.asked("RespondWorkflowTaskCompleted").pop().unwrap();
            let request = RespondWorkflowTaskCompletedRequest::decode(call.proto).unwrap();
            assert_eq!(request.sticky_attributes.is_some(), sticks, "{code}, {after} ms later");
        }
    }
}
