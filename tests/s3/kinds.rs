//! Large payloads of all kinds: signals, queries, updates, memos, heartbeats, failures' details.

use temporal_lambda_testkit::lambda::Invocation;
use temporal_lambda_tests::invoked::{invoked_until, invoked_while, tasks};
use temporal_lambda_tests::temporal::count;
use temporal_lambda_tests::{Invoked as _, World};
use temporalio_client::{
    WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowQueryOptions,
    WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_common::MemoValues;
use temporalio_common::protos::temporal::api::enums::v1::EventType;

use crate::s3_server::TestBucket;
use crate::scene::{assert_secret, assert_small, client, stored};
use crate::workflows::{MailboxWorkflow, large};

#[tokio::test(flavor = "multi_thread")]
async fn signals_queries_updates_memos_heartbeats_and_failure_details_may_be_large() {
    let world = World::new("kinds").await;
    let temporal = world.temporal().await;
    let bucket = TestBucket::new("kinds").await;
    let function = world.add(stored(&world, &bucket));
    let client = client(&bucket).await;
    let id = world.id("it");
    let mut memo = MemoValues::new();
    memo.insert("memo", large("memo"));
    let options = WorkflowStartOptions::new(world.name.clone(), id.clone()).memo(memo).build();
    let handle = client.start_workflow(MailboxWorkflow::run, "activity".to_owned(), options).await;
    let handle = handle.unwrap();
    let interact = async {
        let query = WorkflowQueryOptions::default();
        let echo = handle.query(MailboxWorkflow::echo, large("query"), query).await.unwrap();
        assert!(echo == large("query").to_uppercase());
        let update = WorkflowExecuteUpdateOptions::default();
        let old = handle.execute_update(MailboxWorkflow::replace, large("Update"), update).await;
        assert!(old.unwrap() == large("Update").to_lowercase());
        let signal = WorkflowSignalOptions::default();
        handle.signal(MailboxWorkflow::deliver, large("signal"), signal).await.unwrap();
        handle.get_result(WorkflowGetResultOptions::default()).await.unwrap()
    };
    let (result, invocations) =
        invoked_while(&function, "what it is asked for", Box::pin(interact)).await;
    let expected = [
        large("signal"),
        large("Update").to_uppercase(),
        large("memo"),
        large("activity"),
        large("activity"),
    ];
    for (number, (got, expected)) in result.iter().zip(&expected).enumerate() {
        assert!(got == expected, "{number}: {} bytes", got.len());
    }
    assert_eq!(result.len(), expected.len());
    assert_small(&temporal.history(&id).await);
    invocations.iter().for_each(assert_secret);
    // Activity `beats` twice, `fails` once.
    assert_eq!(tasks(&invocations, "activity", "completed"), 1);
    // What the client sent lies under the workflow that it sent it to.
    let keys = bucket.keys().await;
    let under = |prefix: &str| keys.iter().filter(|key| key.starts_with(prefix)).count();
    // The memo.
    assert_eq!(under(&format!("v0/ns/default/wt/MailboxWorkflow/wi/{id}/ri/null/")), 1);
    // Query and update arguments and the signal, of a named run.
    let run = handle.run_id().unwrap();
    assert_eq!(under(&format!("v0/ns/default/wt/null/wi/{id}/ri/{run}/")), 3, "{keys:?}");
    // Heartbeat and failure details are one text.
    assert_eq!(under(&format!("v0/ns/default/wt/MailboxWorkflow/wi/{id}/ri/{run}/")), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_goes_on_in_another_invocation_is_replayed_from_references() {
    let world = World::new("replayed").await;
    let temporal = world.temporal().await;
    let bucket = TestBucket::new("replayed").await;
    let function = world.add(stored(&world, &bucket));
    let client = client(&bucket).await;
    let id = world.id("it");
    let options = WorkflowStartOptions::new(world.name.clone(), id.clone()).build();
    let handle = client.start_workflow(MailboxWorkflow::run, "activity".to_owned(), options).await;
    let handle = handle.unwrap();
    // Until its activities are done, and it waits for a signal.
    let has_failed = async |_: &Invocation| {
        let history = temporal.history(&id).await;
        (count(&history, EventType::ActivityTaskFailed) == 1).then_some(())
    };
    let (_, mut invocations) = invoked_until(&function, "its activities", has_failed).await;
    assert!(!temporal.has_ended(&id).await);
    let signal = WorkflowSignalOptions::default();
    handle.signal(MailboxWorkflow::deliver, large("signal"), signal).await.unwrap();
    invocations.extend(temporal.served_by(&function, &id).await);
    let result = handle.get_result(WorkflowGetResultOptions::default()).await.unwrap();
    assert!(result[0] == large("signal") && result[3] == large("activity"));
    assert!(invocations.len() >= 2);
    for invocation in invocations {
        assert_eq!(invocation.report()["tasks"]["workflow"]["failed"], 0);
    }
}
