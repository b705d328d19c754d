//! Which payload goes where, and comes from where, and what is told of it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use temporal_lambda_s3::{
    ExternalStorage, ExternalStorageError, S3StorageDriver, StorageDriver,
    StorageDriverStoreContext,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_common::protos::temporal::api::common::v1::payload::ExternalPayloadDetails;

use crate::fake::{FakeS3, payload, store_context};
use crate::trouble::{Driver, by_first_letter};

/// Metadata (24 bytes) and the data's header (4 bytes) of the payloads around the threshold.
const BESIDE_DATA: usize = 28;

fn is_reference(payload: &Payload) -> bool {
    payload.metadata.get("messageType").is_some_and(|kind| kind.ends_with(b"StorageReference"))
}

#[tokio::test]
async fn a_payload_of_the_threshold_is_stored_and_one_byte_less_stays() {
    let s3 = Arc::new(FakeS3::default());
    let driver = S3StorageDriver::new(s3.clone(), "bucket").unwrap();
    let storage = ExternalStorage::new(driver).unwrap();
    let at = payload("a", 262_144 - BESIDE_DATA);
    let below = payload("a", 262_144 - BESIDE_DATA - 1);
    let stored = storage.store(&store_context("wf1"), vec![at.clone(), below.clone()]).await;
    let stored = stored.unwrap();
    assert!(is_reference(&stored[0]));
    assert_eq!(stored[0].external_payloads, [ExternalPayloadDetails { size_bytes: 262_144 }]);
    assert!(stored[0].data.len() < 1024, "{}", stored[0].data.len());
    assert_eq!(stored[1], below);
    assert_eq!(s3.count(), 1);
    assert_eq!(storage.retrieve(stored).await.unwrap(), [at, below]);
}

#[tokio::test]
async fn with_a_threshold_of_zero_everything_is_stored() {
    let s3 = Arc::new(FakeS3::default());
    let driver = S3StorageDriver::new(s3.clone(), "bucket").unwrap();
    let storage = ExternalStorage::new(driver).unwrap().payload_size_threshold(0);
    let stored = storage.store(&store_context("wf1"), vec![Payload::default()]).await.unwrap();
    assert!(is_reference(&stored[0]));
    assert_eq!(storage.retrieve(stored).await.unwrap(), [Payload::default()]);
}

#[tokio::test]
async fn the_selector_is_asked_for_large_payloads_only_and_may_leave_them_inline() {
    let asked = Arc::new(AtomicUsize::new(0));
    let contexts = Arc::new(Mutex::new(Vec::new()));
    let (count, seen) = (asked.clone(), contexts.clone());
    let driver: Arc<dyn StorageDriver> = Arc::new(Driver::named("a"));
    let selector = move |context: &StorageDriverStoreContext, _: &Payload| {
        count.fetch_add(1, Ordering::SeqCst);
        seen.lock().unwrap().push(context.clone());
        None
    };
    let storage = ExternalStorage::with_selector(vec![driver], selector).unwrap();
    let storage = storage.payload_size_threshold(100);
    let payloads = vec![payload("a", 10), payload("a", 200)];
    let stored = storage.store(&store_context("wf1"), payloads.clone()).await.unwrap();
    assert_eq!(stored, payloads);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(*contexts.lock().unwrap(), [store_context("wf1")]);
}

#[tokio::test]
async fn a_selected_driver_that_is_not_registered_is_an_error_even_with_a_registered_name() {
    for name in ["a", "b"] {
        let registered: Arc<dyn StorageDriver> = Arc::new(Driver::named("a"));
        let other: Arc<dyn StorageDriver> = Arc::new(Driver::named(name));
        let selector = move |_: &StorageDriverStoreContext, _: &Payload| Some(other.clone());
        let storage = ExternalStorage::with_selector(vec![registered], selector).unwrap();
        let storage = storage.payload_size_threshold(0);
        let error = storage.store(&store_context("wf1"), vec![payload("a", 5)]).await.unwrap_err();
        let ExternalStorageError::DriverNotRegistered { driver_name } = error else {
            panic!("{error}")
        };
        assert_eq!(driver_name, name);
    }
}

#[tokio::test]
async fn a_payload_is_read_by_the_driver_that_its_reference_names() {
    let old = Arc::new(Driver::named("a"));
    let written = by_first_letter(std::slice::from_ref(&old));
    let context = StorageDriverStoreContext::default();
    let stored = written.store(&context, vec![payload("a1", 2)]).await.unwrap();
    // Since then everything goes to another driver, and the old one reads only.
    let new: Arc<dyn StorageDriver> = Arc::new(Driver::named("b"));
    let only = new.clone();
    let selector = move |_: &StorageDriverStoreContext, _: &Payload| Some(only.clone());
    let storage = ExternalStorage::with_selector(vec![old.clone(), new], selector).unwrap();
    assert_eq!(storage.retrieve(stored).await.unwrap(), [payload("a1", 2)]);
    assert_eq!(old.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_reference_to_an_unknown_driver_is_an_error_with_its_name_and_those_that_there_are() {
    let written = by_first_letter(&[Arc::new(Driver::named("a"))]);
    let context = StorageDriverStoreContext::default();
    let stored = written.store(&context, vec![payload("a1", 2)]).await.unwrap();
    let reader = by_first_letter(&[Arc::new(Driver::named("c")), Arc::new(Driver::named("b"))]);
    let error = reader.retrieve(stored).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("\"a\"") && text.contains("b, c"), "{text}");
}

#[tokio::test]
async fn both_forms_of_references_may_stand_in_one_batch() {
    let storage = by_first_letter(&[Arc::new(Driver::named("a"))]);
    let context = StorageDriverStoreContext::default();
    let mut stored = storage.store(&context, vec![payload("a1", 2)]).await.unwrap();
    let mut old = payload("", 0);
    old.metadata.insert("encoding".into(), b"json/external-storage-reference".to_vec());
    old.data = br#"{"driver_name":"a","driver_claim":{"claim_data":{"data":"a2"}}}"#.to_vec();
    stored.push(old);
    let back = storage.retrieve(stored).await.unwrap();
    assert_eq!(back, [payload("a1", 2), payload("a2", 2)]);
}

/// Run by the test below in a process of its own, whose log it reads: which events are logged is decided once in a process,
/// by the thread that first comes by.
#[tokio::test]
#[ignore = "it logs for another test"]
async fn logs_batches() {
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(io::stderr);
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let storage = by_first_letter(&[Arc::new(Driver::named("a")), Arc::new(Driver::named("b"))]);
    let storage = storage.payload_size_threshold(100);
    let small = storage.store(&Default::default(), vec![payload("a", 5)]).await.unwrap();
    storage.retrieve(small).await.unwrap();
    let payloads = vec![payload("b", 74), payload("a", 74), payload("b", 75), payload("a", 5)];
    let stored = storage.store(&Default::default(), payloads).await.unwrap();
    storage.retrieve(stored).await.unwrap();
}

#[test]
fn a_batchs_payloads_bytes_drivers_and_time_are_logged_and_small_ones_do_not_count() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "routing::logs_batches"])
        .output()
        .unwrap();
    let lines: Vec<serde_json::Value> = output
        .stderr
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    assert_eq!(lines.len(), 2, "{}", String::from_utf8_lossy(&output.stderr));
    for (line, message) in lines.iter().zip(["stored payloads", "retrieved payloads"]) {
        let fields = &line["fields"];
        assert_eq!((&line["level"], &fields["message"]), (&"DEBUG".into(), &message.into()));
        // 24 bytes of metadata and 2 of the data's header each.
        assert_eq!((&fields["payloads"], &fields["bytes"]), (&3.into(), &301.into()));
        assert_eq!(fields["drivers"], "a, b");
        assert!(fields["milliseconds"].is_u64(), "{line}");
    }
}
