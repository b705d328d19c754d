//! A large input and a large result, through our client and our function.

use temporal_lambda_s3::refuse_references;
use temporal_lambda_tests::{World, invoked::tasks};
use temporalio_client::{ClientOptions, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_common::protos::temporal::api::enums::v1::EventType;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use crate::s3_server::TestBucket;
use crate::scene::{
    assert_secret, assert_small, client, client_with, reference, stored, with_storage,
};
use crate::workflows::{CapitalsWorkflow, large};
use crate::{EXAMPLE, STORED};

#[tokio::test(flavor = "multi_thread")]
async fn a_large_input_and_result_round_trip_and_the_history_holds_references() {
    let bucket = TestBucket::new("round-trip").await;
    // The example makes its client once per environment, the other function once per invocation.
    for program in [EXAMPLE, STORED] {
        let world = World::new("round-trip").await;
        let temporal = world.temporal().await;
        let function = world.config("function", program);
        let function = world.add(with_storage(function, &bucket, &bucket.endpoint()));
        let client = client(&bucket).await;
        for name in ["cold", "warm"] {
            let (id, input) = (world.id(name), large(name));
            let options = WorkflowStartOptions::new(world.name.clone(), id.clone()).build();
            let handle = client.start_workflow(CapitalsWorkflow::run, input.clone(), options).await;
            let invocations = temporal.served_by(&function, &id).await;
            let result = handle.unwrap().get_result(WorkflowGetResultOptions::default()).await;
            assert!(result.unwrap() == input.to_uppercase());
            let history = temporal.history(&id).await;
            assert_small(&history);
            assert_eq!(history.last().unwrap().event_type(), EventType::WorkflowExecutionCompleted);
            assert_eq!(tasks(&invocations, "activity", "completed"), 1);
            assert_eq!(invocations[0].cold, name == "cold");
            invocations.iter().for_each(assert_secret);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_payload_is_stored_for_the_execution_that_is_known_where_it_is_encoded() {
    let world = World::new("targets").await;
    let temporal = world.temporal().await;
    let bucket = TestBucket::new("targets").await;
    let function = world.add(stored(&world, &bucket));
    let client = client(&bucket).await;
    let id = world.id("it");
    let options = WorkflowStartOptions::new(world.name.clone(), id.clone()).build();
    let handle = client.start_workflow(CapitalsWorkflow::run, large("t"), options).await.unwrap();
    let run_id = handle.run_id().unwrap().to_owned();
    temporal.served_by(&function, &id).await;
    handle.get_result(WorkflowGetResultOptions::default()).await.unwrap();
    let key_of = |payload| {
        let (reference, _) = reference(&payload);
        let key = reference["claimData"]["key"].as_str().unwrap().to_owned();
        key.rsplit_once("/d/sha256/").unwrap().0.to_owned()
    };
    let (mut input, mut scheduled, mut activity, mut result) = Default::default();
    for event in temporal.history(&id).await {
        let (place, payloads) = match event.attributes {
            Some(Attributes::WorkflowExecutionStartedEventAttributes(it)) => (&mut input, it.input),
            Some(Attributes::ActivityTaskScheduledEventAttributes(it)) => {
                (&mut scheduled, it.input)
            }
            Some(Attributes::ActivityTaskCompletedEventAttributes(it)) => {
                (&mut activity, it.result)
            }
            Some(Attributes::WorkflowExecutionCompletedEventAttributes(it)) => {
                (&mut result, it.result)
            }
            _ => continue,
        };
        *place = key_of(payloads.unwrap().payloads.remove(0));
    }
    let workflow = format!("v0/ns/default/wt/CapitalsWorkflow/wi/{id}");
    assert_eq!(input, format!("{workflow}/ri/null"));
    assert_eq!(activity, format!("{workflow}/ri/{run_id}"));
    // The SDK encodes what a workflow sends without saying which workflow it is.
    assert_eq!(scheduled, "v0/ns/default/wt/null/wi/null/ri/null");
    assert_eq!(result, "v0/ns/default/wt/null/wi/null/ri/null");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_storage_refuses_a_stored_result_with_temporals_mark() {
    let world = World::new("without").await;
    let temporal = world.temporal().await;
    let bucket = TestBucket::new("without").await;
    let function = world.add(stored(&world, &bucket));
    let id = world.id("it");
    let options = WorkflowStartOptions::new(world.name.clone(), id.clone()).build();
    let with = client(&bucket).await;
    with.start_workflow(CapitalsWorkflow::run, large("w"), options).await.unwrap();
    temporal.served_by(&function, &id).await;
    let mut options = ClientOptions::new("default").build();
    refuse_references(&mut options);
    let without = client_with(options).await;
    let handle = without.get_workflow_handle::<CapitalsWorkflow>(id);
    let error = handle.get_result(WorkflowGetResultOptions::default()).await.unwrap_err();
    let error = format!("{error:?} {error}");
    assert!(error.contains("[TMPRL1105]") || error.contains("NotConfigured"), "{error}");
}
