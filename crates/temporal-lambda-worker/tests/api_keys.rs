//! Keys belong to one invocation each, and stand in nothing that is printed.

mod support;

use std::collections::HashSet;

use futures::future::join_all;
use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::frontend::{ActivityStart, MockFrontend, Rpc};
use temporal_lambda_worker::Fault;
use temporalio_client::tonic::Code;
use tokio::time::timeout;

use support::{BOUND, QUEUE, Subject, invocation};

/// So many invocations at once.
const MANY: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn invocations_at_once_send_their_own_keys_over_the_connection_that_they_share() {
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let served = frontend.serve().await.expect("a port");
    let subject = Subject::new(served.connection_options());
    subject.manners().tweak = |config| {
        let key = format!("key-of-{}", config.invocation.request_id);
        config.connection_options.api_key = Some(key);
    };
    subject.0.together.store(MANY, std::sync::atomic::Ordering::SeqCst);
    for number in 0..MANY {
        let start = ActivityStart::new(QUEUE, "Work::whose", number.to_string());
        frontend.schedule_activity(start);
    }
    let handler = subject.handler();
    let all = (0..MANY).map(|number| handler.handle(invocation(&format!("r-{number}")).event(())));
    for report in timeout(BOUND, join_all(all)).await.expect("they end") {
        report.expect("it is healthy");
    }

    let mut callers = HashSet::new();
    for call in frontend.seen() {
        let sent = call.metadata("authorization").expect("every call has a key").to_owned();
        if let Some((request_id, _)) = call.identity.split_once('@') {
            assert_eq!(sent, format!("Bearer key-of-{request_id}"), "{call:?}");
            callers.insert(request_id.to_owned());
        }
    }
    assert_eq!(callers.len(), MANY, "{callers:?}");
    assert!(frontend.count(Rpc::RespondActivityTaskCompleted) >= MANY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_words_that_end_a_worker_is_in_no_message_and_in_no_report() {
    const KEY: &str = "a-key-that-a-server-quotes";
    let _limit = TimeLimit::of_this_test();
    let frontend = MockFrontend::new();
    let words = format!("{} for {KEY}", support::TOO_LARGE);
    frontend.on(Rpc::PollWorkflowTaskQueue).fail(Code::ResourceExhausted, &words);
    let subject = Subject::new(frontend.connection_options());
    subject.manners().tweak = |config| {
        config.connection_options.api_key = Some(KEY.to_owned());
    };
    let handled = subject.handler().handle(invocation("r-1").event(()));
    let error = timeout(BOUND, handled).await.expect("it ends").expect_err("the worker fails");
    assert!(matches!(error.fault(), Fault::WorkerFailed { .. }), "{error:?}");
    assert!(error.message().contains("[API key]"), "{}", error.message());
    let report = serde_json::to_string(error.report()).expect("a report");
    for said in [error.message(), format!("{error:?}"), report] {
        assert!(!said.contains(KEY), "{said}");
    }
}
