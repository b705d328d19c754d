//! For whom a client stores what it sends.

use temporal_lambda_testkit::lambda::Invocation;
use temporal_lambda_tests::World;
use temporal_lambda_tests::invoked::{invoked_until, invoked_while};
use temporalio_client::schedules::{
    CreateScheduleOptions, DeleteScheduleOptions, ScheduleAction, ScheduleSpec,
};
use temporalio_client::{
    ActivityIdentifier, RpcOptions, WorkflowGetResultOptions, WorkflowIdConflictPolicy,
    WorkflowStartOptions, WorkflowUpdateWithStartOptions,
};

use crate::s3_server::TestBucket;
use crate::scene::{assert_small, client, stored};
use crate::workflows::{CapitalsWorkflow, MailboxWorkflow, large};

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_with_start_is_stored_for_the_workflow_that_it_starts() {
    let world = World::new("signal-start").await;
    let temporal = world.temporal().await;
    let bucket = TestBucket::new("signal-start").await;
    let client = client(&bucket).await;
    let id = world.id("it");
    let options = WorkflowStartOptions::new(world.name.clone(), id.clone()).build();
    let (run, deliver) = (MailboxWorkflow::run, MailboxWorkflow::deliver);
    let started =
        client.signal_with_start_workflow(run, large("input"), deliver, large("signal"), options);
    started.await.unwrap();
    let keys = bucket.keys().await;
    let prefix = format!("v0/ns/default/wt/MailboxWorkflow/wi/{id}/ri/null/d/sha256/");
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(keys.iter().all(|key| key.starts_with(&prefix)), "{keys:?}");
    assert_small(&temporal.history(&id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedules_input_is_stored_for_the_workflows_that_it_starts_and_read_by_them() {
    let world = World::new("schedule").await;
    let temporal = world.temporal().await;
    let bucket = TestBucket::new("schedule").await;
    let function = world.add(stored(&world, &bucket));
    let client = client(&bucket).await;
    let id = world.id("it");
    let action = ScheduleAction::start_workflow(
        CapitalsWorkflow::run,
        large("schedule"),
        world.name.clone(),
        id.clone(),
    );
    let once = CreateScheduleOptions::builder()
        .action(action)
        .spec(ScheduleSpec::default())
        .trigger_immediately(true);
    let schedule = client.create_schedule(id.clone(), once.build()).await.unwrap();
    let keys = bucket.keys().await;
    let prefix = format!("v0/ns/default/wt/CapitalsWorkflow/wi/{id}/ri/null/d/sha256/");
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert!(keys[0].starts_with(&prefix), "{keys:?}");
    // The server adds the time to the workflow's ID.
    let ended = async |_: &Invocation| {
        let described = schedule.describe(RpcOptions::default()).await.unwrap();
        let started = described.recent_actions().pop()?.workflow_id;
        temporal.has_ended(&started).await.then_some(started)
    };
    let (started, _) = invoked_until(&function, "the end of its workflow", ended).await;
    let handle = client.get_workflow_handle::<CapitalsWorkflow>(started);
    let result = handle.get_result(WorkflowGetResultOptions::default()).await.unwrap();
    assert!(result == large("schedule").to_uppercase());
    schedule.delete(DeleteScheduleOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_with_start_is_stored_for_the_workflow_that_it_starts() {
    let world = World::new("update-start").await;
    let _temporal = world.temporal().await;
    let bucket = TestBucket::new("update-start").await;
    let function = world.add(stored(&world, &bucket));
    let client = client(&bucket).await;
    let id = world.id("it");
    let fail = WorkflowIdConflictPolicy::Fail;
    let options = WorkflowUpdateWithStartOptions::new(world.name.clone(), id.clone(), fail).build();
    let (run, replace) = (MailboxWorkflow::run, MailboxWorkflow::replace);
    let (input, update) = ("activity".to_owned(), large("Update"));
    let updated = client.execute_update_with_start_workflow(run, input, replace, update, options);
    let (updated, _) = invoked_while(&function, "the update", Box::pin(updated)).await;
    assert!(updated.unwrap() == large("Update").to_lowercase());
    let keys = bucket.keys().await;
    let prefix = format!("v0/ns/default/wt/MailboxWorkflow/wi/{id}/ri/null/d/sha256/");
    let under = keys.iter().filter(|key| key.starts_with(&prefix)).count();
    assert_eq!(under, 1, "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_an_activity_that_another_process_completes_is_stored_for_whom_it_names() {
    let bucket = TestBucket::new("completion").await;
    let client = client(&bucket).await;
    for (identifier, expected) in [
        (ActivityIdentifier::by_id_workflow("wf1", "r1", "1"), "wt/null/wi/wf1/ri/r1"),
        (ActivityIdentifier::by_id_workflow("wf1", "", "1"), "wt/null/wi/wf1/ri/null"),
        (ActivityIdentifier::by_id_standalone("act1", "r1"), "at/null/ai/act1/ri/r1"),
        (ActivityIdentifier::from_task_token(vec![1].into()), "wt/null/wi/null/ri/null"),
    ] {
        for key in bucket.keys().await {
            bucket.delete(&key).await;
        }
        let activity = client.get_async_activity_handle(identifier);
        let result = Some(large("result"));
        // There is no such activity: the payload is stored before the server is asked.
        activity.complete(result, RpcOptions::default()).await.unwrap_err();
        let keys = bucket.keys().await;
        assert_eq!(keys.len(), 1, "{keys:?}");
        assert!(keys[0].starts_with(&format!("v0/ns/default/{expected}/d/sha256/")), "{keys:?}");
    }
}
