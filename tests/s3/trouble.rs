//! S3 that is down, slow, empty or wrong: the task fails, its failure says why, and it is tried
//! again. No payload is lost and none is read that is not what was stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use temporal_lambda_s3::{
    StorageDriver as _, StorageDriverStoreContext, StorageDriverTargetInfo,
    StorageDriverWorkflowInfo,
};
use temporal_lambda_testkit::lambda::FunctionConfig;
use temporal_lambda_tests::{Invoked as _, Temporal, World, invoked::invoked_until};
use temporalio_client::{Client, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::STORED;
use crate::s3_server::TestBucket;
use crate::scene::{REGION, assert_secret, client, driver, stored, with_storage};
use crate::workflows::{CapitalsWorkflow, GrowWorkflow, large};

/// An S3 that answers nothing but 503 until it is opened. Each connection has one request.
struct Gate {
    endpoint: String,
    refusals: Arc<AtomicUsize>,
}

impl Gate {
    /// It opens after so many refusals.
    async fn before(bucket: &TestBucket, refusals: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let refusals = Arc::new(AtomicUsize::new(refusals));
        let (left, behind) = (refusals.clone(), bucket.address().to_owned());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let refuse = |left: usize| left.checked_sub(1);
                let is_open = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse);
                let (is_open, behind) = (is_open.is_err(), behind.clone());
                tokio::spawn(async move {
                    if is_open {
                        let mut s3 = TcpStream::connect(behind).await?;
                        copy_bidirectional(&mut stream, &mut s3).await?;
                    } else {
                        let _ = stream.read(&mut [0; 4096]).await?;
                        let answer = "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\
                                      Connection: close\r\n\r\n";
                        stream.write_all(answer.as_bytes()).await?;
                    }
                    std::io::Result::Ok(())
                });
            }
        });
        Self { endpoint, refusals }
    }

    fn open(&self) {
        self.refusals.store(0, Ordering::SeqCst);
    }
}

async fn start(client: &Client, world: &World, id: &str, input: String) {
    let options = WorkflowStartOptions::new(world.name.clone(), id.to_owned()).build();
    client.start_workflow(CapitalsWorkflow::run, input, options).await.unwrap();
}

async fn capitals_of(client: &Client, id: &str) -> String {
    let handle = client.get_workflow_handle::<CapitalsWorkflow>(id.to_owned());
    handle.get_result(WorkflowGetResultOptions::default()).await.unwrap()
}

/// Why the first workflow task of a workflow that failed did so.
async fn task_failure(temporal: &Temporal, id: &str) -> Option<String> {
    let events = temporal.history(id).await;
    events.into_iter().find_map(|event| match event.attributes {
        Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) => {
            Some(failed.failure?.message)
        }
        _ => None,
    })
}

/// Why the last attempt of a workflow's activity failed.
async fn attempt_failure(temporal: &Temporal, id: &str) -> Option<String> {
    let described = temporal.describe(id).await;
    Some(described.pending_activities.first()?.last_failure.as_ref()?.message.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_task_whose_input_cannot_be_fetched_is_tried_again_until_s3_answers() {
    let world = World::new("s3-down").await;
    let temporal = world.temporal().await;
    let bucket = TestBucket::new("s3-down").await;
    let gate = Gate::before(&bucket, usize::MAX).await;
    let function = with_storage(world.config("stored", STORED), &bucket, &gate.endpoint);
    let function = world.add(function.env("TRANSFER_TIMEOUT_MS", "500"));
    let client = client(&bucket).await;
    let id = world.id("it");
    start(&client, &world, &id, large("down")).await;
    let (failure, first) =
        invoked_until(&function, "a failure", async |_| task_failure(&temporal, &id).await).await;
    let report = first.last().unwrap().report();
    let named = &report["failed_workflow_tasks"][0];
    assert_eq!(named["workflow_id"], *id, "{report}");
    // In the history and in the invocation's report; what S3 said last is told, too.
    for failure in [failure.as_str(), named["failure"].as_str().unwrap()] {
        for part in ["S3 retrieve", &bucket.name, &id, REGION, "HTTP 503"] {
            assert!(failure.contains(part), "{failure}");
        }
    }
    assert!(!temporal.has_ended(&id).await);
    gate.open();
    let mut invocations = temporal.served_by(&function, &id).await;
    assert!(capitals_of(&client, &id).await == large("down").to_uppercase());
    invocations.extend(first);
    invocations.iter().for_each(assert_secret);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activitys_result_that_cannot_be_stored_fails_the_attempt_and_is_stored_by_a_later_one()
{
    let world = World::new("no-bucket").await;
    let temporal = world.temporal().await;
    let bucket = TestBucket::missing("no-bucket").await;
    let function = world.add(stored(&world, &bucket));
    let client = client(&bucket).await;
    let id = world.id("it");
    let options = WorkflowStartOptions::new(world.name.clone(), id.clone()).build();
    let handle = client.start_workflow(GrowWorkflow::run, "grown".to_owned(), options).await;
    let handle = handle.unwrap();
    let run = handle.run_id().unwrap().to_owned();
    let (failure, first) =
        invoked_until(&function, "a failure", async |_| attempt_failure(&temporal, &id).await)
            .await;
    let key = format!("key=v0/ns/default/wt/GrowWorkflow/wi/{id}/ri/{run}/d/sha256/");
    let place = format!("S3 store failed [bucket={}, {key}", bucket.name);
    assert!(failure.contains(&place), "{failure}");
    assert!(failure.contains("client_region=us-east-1]: NoSuchBucket: "), "{failure}");
    let report = first.last().unwrap().report();
    let named = report["codec_failures"]["latest"][0].as_str().unwrap();
    assert!(named.contains(&place), "{report}");
    bucket.make().await;
    let mut invocations = temporal.served_by(&function, &id).await;
    let result = handle.get_result(WorkflowGetResultOptions::default()).await.unwrap();
    assert!(result == large("grown"));
    // The activity's result, and the workflow's.
    assert_eq!(bucket.keys().await.len(), 2);
    invocations.extend(first);
    invocations.iter().for_each(assert_secret);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_expired_or_was_replaced_fails_the_task_until_it_is_back() {
    for (name, reason) in [("expired", "NoSuchKey"), ("replaced", "not what was stored")] {
        let world = World::new(name).await;
        let temporal = world.temporal().await;
        let bucket = TestBucket::new(name).await;
        let function = world.add(stored(&world, &bucket));
        let client = client(&bucket).await;
        let id = world.id("it");
        start(&client, &world, &id, large(name)).await;
        let key = bucket.keys().await.remove(0);
        if name == "expired" {
            bucket.delete(&key).await;
        } else {
            bucket.replace(&key, "something else").await;
        }
        let (failure, _) =
            invoked_until(&function, "a failure", async |_| task_failure(&temporal, &id).await)
                .await;
        assert!(failure.contains(reason) && failure.contains(&key), "{failure}");
        assert_eq!(failure.contains("lifecycle rule"), name == "expired", "{failure}");
        assert!(!temporal.has_ended(&id).await, "the workflow waits for its input");

        // The starter has it still, and stores it under the same key.
        if name == "replaced" {
            bucket.delete(&key).await;
        }
        let target = StorageDriverTargetInfo::Workflow(StorageDriverWorkflowInfo {
            namespace: "default".into(),
            id: Some(id.clone()),
            run_id: None,
            workflow_type: Some("CapitalsWorkflow".into()),
        });
        let context = StorageDriverStoreContext::new(Some(target));
        let payload = crate::scene::json_payload(&large(name));
        driver(&bucket).store(&context, vec![payload]).await.unwrap();
        assert_eq!(bucket.keys().await, [key]);
        temporal.served_by(&function, &id).await;
        assert!(capitals_of(&client, &id).await == large(name).to_uppercase());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_over_the_limit_fails_the_attempt_with_both_sizes() {
    let world = World::new("limit").await;
    let temporal = world.temporal().await;
    let bucket = TestBucket::new("limit").await;
    let function = world.add(stored(&world, &bucket).env("MAX_PAYLOAD_SIZE", "500000"));
    let client = client(&bucket).await;
    let id = world.id("it");
    let options = WorkflowStartOptions::new(world.name.clone(), id.clone()).build();
    client.start_workflow(GrowWorkflow::run, "limit".to_owned(), options).await.unwrap();
    let (failure, _) =
        invoked_until(&function, "a failure", async |_| attempt_failure(&temporal, &id).await)
            .await;
    // The text, its quotes, 24 bytes of metadata and 4 of the data's header.
    let size = large("limit").len() + 2 + 28;
    let expected = format!("The payload has {size} bytes, more than the 500000 bytes");
    assert!(failure.contains(&expected), "{failure}");
    assert_eq!(bucket.keys().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_that_never_answers_does_not_hold_an_invocation_past_its_deadline() {
    let world = World::new("silent").await;
    let temporal = world.temporal().await;
    let bucket = TestBucket::new("silent").await;
    // Connections are made and nothing is ever said on them: nobody accepts them.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let function = with_storage(world.config("stored", STORED), &bucket, &endpoint)
        .timeout(Duration::from_secs(8))
        .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "1s");
    let function = world.add(function);
    let client = client(&bucket).await;
    let id = world.id("it");
    let options = WorkflowStartOptions::new(world.name.clone(), id.clone()).build();
    client.start_workflow(GrowWorkflow::run, "silent".to_owned(), options).await.unwrap();
    let (failure, invocations) =
        invoked_until(&function, "a failure", async |_| attempt_failure(&temporal, &id).await)
            .await;
    // It answered with a report, and not because Lambda ended it.
    let report = invocations.last().unwrap().report();
    assert_eq!(report["reason"], "deadline_near", "{report}");
    assert!(
        failure.contains("The invocation's time ran out while storing 1 payloads"),
        "{failure}"
    );
    assert!(!temporal.has_ended(&id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_outlasts_the_idle_timeout_keeps_the_worker() {
    let world = World::new("slow").await;
    let temporal = world.temporal().await;
    let bucket = TestBucket::new("slow").await;
    // The pauses before the ninth attempt add up to 3.3 s at least; the idle timeout is 2 s.
    let gate = Gate::before(&bucket, 8).await;
    let function = with_storage(world.config("stored", STORED), &bucket, &gate.endpoint);
    let function = world.add(function);
    let client = client(&bucket).await;
    let id = world.id("it");
    let options = WorkflowStartOptions::new(world.name.clone(), id.clone()).build();
    client.start_workflow(GrowWorkflow::run, "slow".to_owned(), options).await.unwrap();
    temporal.served_by(&function, &id).await;
    for event in temporal.history(&id).await {
        if let Some(Attributes::ActivityTaskStartedEventAttributes(started)) = event.attributes {
            assert_eq!(started.attempt, 1, "an attempt was lost: {started:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_without_storage_fails_tasks_with_temporals_mark_and_one_with_it_goes_on() {
    let world = World::new("no-storage").await;
    let temporal = world.temporal().await;
    let bucket = TestBucket::new("no-storage").await;
    let idle = |function: FunctionConfig| function.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s");
    let without = world.add(idle(world.config("without", STORED)));
    let with = world.add(stored(&world, &bucket));
    let client = client(&bucket).await;
    let id = world.id("it");
    start(&client, &world, &id, large("n")).await;
    let (failure, invocations) =
        invoked_until(&without, "a failure", async |_| task_failure(&temporal, &id).await).await;
    assert!(failure.contains("[TMPRL1105]") && failure.contains("aws.s3driver"), "{failure}");
    let report = invocations.last().unwrap().report();
    let named = report["failed_workflow_tasks"][0]["failure"].as_str().unwrap();
    assert!(named.contains("[TMPRL1105]"), "{report}");
    assert!(!temporal.has_ended(&id).await, "the task failed, and not the workflow");
    temporal.served_by(&with, &id).await;
    assert!(capitals_of(&client, &id).await == large("n").to_uppercase());
}
