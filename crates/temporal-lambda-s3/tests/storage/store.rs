//! The S3 driver stores.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use temporal_lambda_s3::{
    ExternalStorageError, S3StorageDriver, S3StorageError, StorageDriver,
    StorageDriverStoreContext, StorageDriverTargetInfo, StorageDriverWorkflowInfo,
};
use tokio::sync::Barrier;

use crate::fake::{FakeS3, Transfer, payload, store_context};

fn driver(s3: &Arc<FakeS3>) -> S3StorageDriver {
    S3StorageDriver::new(s3.clone(), "bucket").unwrap()
}

pub(crate) fn s3_error(error: ExternalStorageError) -> S3StorageError {
    let ExternalStorageError::Driver(cause) = error else { panic!("{error}") };
    *cause.downcast::<S3StorageError>().unwrap()
}

/// Both ways of not storing twice.
fn both_kinds() -> [FakeS3; 2] {
    [FakeS3 { conditional: true, ..Default::default() }, FakeS3::default()]
}

#[tokio::test]
async fn an_s3_store_of_nothing_makes_no_request() {
    let s3 = Arc::new(FakeS3::default());
    assert_eq!(driver(&s3).store(&store_context("wf1"), vec![]).await.unwrap(), []);
    assert_eq!(s3.requests(), 0);
}

#[tokio::test]
async fn an_s3_claim_says_where_the_object_is_and_has_its_hash_in_both_spellings() {
    let s3 = Arc::new(FakeS3::default());
    // By Python's hashlib, over the bytes below.
    let digest = "374cc4f66b9249f7af2cbbb113fa3431b79ce7773aa26ff4d5b3f2eeaa3ec737";
    let claims = driver(&s3)
        .store(&StorageDriverStoreContext::default(), vec![payload("hello", 5)])
        .await
        .unwrap();
    let claim = &claims[0].claim_data;
    assert_eq!(claim["bucket"], "bucket");
    assert_eq!(claim["key"], format!("v0/d/sha256/{digest}"));
    assert_eq!((&*claim["hash_algorithm"], &*claim["hashAlgorithm"]), ("sha256", "sha256"));
    assert_eq!((&*claim["hash_value"], &*claim["hashValue"]), (digest, digest));
    assert_eq!(claim.len(), 6);
    let objects = s3.objects.lock().unwrap();
    let content = &objects[&("bucket".to_owned(), claim["key"].clone())];
    assert_eq!(&content[..], b"\x0a\x16\x0a\x08encoding\x12\x0ajson/plain\x12\x05hello");
}

#[tokio::test]
async fn s3_claims_come_in_the_payloads_order() {
    let s3 = Arc::new(FakeS3::default());
    let payloads: Vec<_> = (0..40).map(|i| payload(&format!("payload {i} "), 30)).collect();
    let driver = driver(&s3);
    let claims = driver.store(&store_context("wf1"), payloads.clone()).await.unwrap();
    assert_eq!(claims.len(), 40);
    let back = driver.retrieve(&Default::default(), claims).await.unwrap();
    assert_eq!(back, payloads);
}

#[tokio::test]
async fn an_s3_store_of_the_same_payload_uploads_once() {
    for s3 in both_kinds() {
        let conditional = s3.conditional;
        let s3 = Arc::new(s3);
        let driver = driver(&s3);
        let first = driver.store(&store_context("wf1"), vec![payload("a", 50)]).await.unwrap();
        let second = driver.store(&store_context("wf1"), vec![payload("a", 50)]).await.unwrap();
        assert_eq!(first, second);
        assert_eq!(s3.count(), 1);
        if conditional {
            // One request each, and the second was refused by the server.
            assert_eq!((s3.puts(), s3.heads.load(Ordering::SeqCst)), (2, 0));
        } else {
            assert_eq!((s3.puts(), s3.heads.load(Ordering::SeqCst)), (1, 2));
        }
        let back = driver.retrieve(&Default::default(), second).await.unwrap();
        assert_eq!(back, [payload("a", 50)]);
    }
}

#[tokio::test]
async fn an_s3_object_that_serves_all_workflows_of_a_namespace_is_written_each_time() {
    let target = StorageDriverTargetInfo::Workflow(StorageDriverWorkflowInfo {
        namespace: "ns1".into(),
        ..Default::default()
    });
    let context = StorageDriverStoreContext::new(Some(target));
    for s3 in both_kinds() {
        let s3 = Arc::new(s3);
        for _ in 0..2 {
            driver(&s3).store(&context, vec![payload("a", 50)]).await.unwrap();
        }
        // So that its age counts from the last time that somebody needed it.
        assert_eq!((s3.puts(), s3.heads.load(Ordering::SeqCst), s3.count()), (2, 0, 1));
    }
}

#[tokio::test]
async fn equal_payloads_in_one_s3_batch_are_one_upload() {
    for s3 in both_kinds() {
        let s3 = Arc::new(s3);
        let payloads = vec![payload("a", 50), payload("b", 50), payload("a", 50)];
        let claims = driver(&s3).store(&store_context("wf1"), payloads).await.unwrap();
        assert_eq!(claims[0], claims[2]);
        assert_ne!(claims[0], claims[1]);
        assert_eq!((s3.puts(), s3.count()), (2, 2));
    }
}

#[tokio::test]
async fn an_s3_key_depends_on_the_target_and_the_content() {
    let s3 = Arc::new(FakeS3::default());
    let driver = driver(&s3);
    for (id, name) in [("wf1", "a"), ("wf2", "a"), ("wf1", "b")] {
        driver.store(&store_context(id), vec![payload(name, 50)]).await.unwrap();
    }
    let keys = s3.keys();
    assert_eq!(keys.len(), 3, "{keys:?}");
    let prefix = |key: &String| key.rsplit_once('/').unwrap().0.to_owned();
    assert_eq!(prefix(&keys[0]), "v0/ns/ns1/wt/T/wi/wf1/ri/run1/d/sha256");
    assert_eq!(prefix(&keys[0]), prefix(&keys[1]));
    assert_eq!(prefix(&keys[2]), "v0/ns/ns1/wt/T/wi/wf2/ri/run1/d/sha256");
}

#[tokio::test]
async fn a_payload_of_the_s3_limit_is_stored_and_one_byte_more_refuses_the_whole_batch() {
    // `encoding` and its value take 24 bytes, the data's header 2.
    let limit = 126;
    let s3 = Arc::new(FakeS3::default());
    let driver = S3StorageDriver::builder(s3.clone(), "bucket").max_payload_size(limit);
    let driver = driver.build().unwrap();
    driver.store(&store_context("wf1"), vec![payload("a", 100)]).await.unwrap();
    assert_eq!(s3.count(), 1);
    let batch = vec![payload("small", 5), payload("a", 101)];
    let error = s3_error(driver.store(&store_context("wf1"), batch).await.unwrap_err());
    let text = error.to_string();
    assert!(text.contains("127") && text.contains("126"), "{text}");
    assert!(matches!(error, S3StorageError::PayloadTooLarge { size: 127, limit: 126 }));
    assert_eq!(s3.count(), 1, "nothing of the batch was stored");
}

#[tokio::test(start_paused = true)]
async fn the_s3_uploads_of_a_batch_run_at_the_same_time() {
    let transfer = Transfer::Together(Arc::new(Barrier::new(5)));
    let s3 = Arc::new(FakeS3 { transfer, ..Default::default() });
    let payloads: Vec<_> = (0..5).map(|i| payload(&i.to_string(), 50)).collect();
    driver(&s3).store(&store_context("wf1"), payloads).await.unwrap();
    assert_eq!(s3.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn no_more_s3_transfers_run_at_a_time_than_are_allowed() {
    // Two at a time cannot be the three that each of them waits for.
    let transfer = Transfer::Together(Arc::new(Barrier::new(3)));
    let s3 = Arc::new(FakeS3 { transfer, ..Default::default() });
    let driver = S3StorageDriver::builder(s3.clone(), "bucket").concurrent_transfers(2);
    let payloads: Vec<_> = (0..3).map(|i| payload(&i.to_string(), 50)).collect();
    let error = driver.build().unwrap().store(&store_context("wf1"), payloads).await.unwrap_err();
    assert!(matches!(s3_error(error), S3StorageError::TimedOut { .. }));
    assert_eq!(s3.puts(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_s3_upload_that_fails_ends_the_others_of_its_batch() {
    let transfer = Transfer::OneFails(Arc::new(Barrier::new(3)), 1);
    let s3 = Arc::new(FakeS3 { transfer, ..Default::default() });
    let payloads: Vec<_> = (0..3).map(|i| payload(&i.to_string(), 50)).collect();
    let error = driver(&s3).store(&store_context("wf1"), payloads).await.unwrap_err();
    assert!(matches!(s3_error(error), S3StorageError::Store { .. }));
    assert_eq!(s3.cancelled(), 2);
    assert_eq!(s3.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_s3_failure_is_seen_at_once_in_a_batch_of_any_size() {
    // The last of fifty fails while the others never end.
    let transfer = Transfer::OneFails(Arc::new(Barrier::new(50)), 49);
    let s3 = Arc::new(FakeS3 { transfer, ..Default::default() });
    let driver = S3StorageDriver::builder(s3.clone(), "bucket").concurrent_transfers(50);
    let payloads: Vec<_> = (0..50).map(|i| payload(&format!("{i} "), 50)).collect();
    let error = driver.build().unwrap().store(&store_context("wf1"), payloads).await.unwrap_err();
    assert!(matches!(s3_error(error), S3StorageError::Store { .. }));
    assert_eq!(s3.cancelled(), 49);
}

#[tokio::test(start_paused = true)]
async fn an_s3_store_that_is_dropped_ends_its_uploads() {
    let s3 = Arc::new(FakeS3 { transfer: Transfer::Hangs, ..Default::default() });
    let driver = driver(&s3);
    let context = store_context("wf1");
    let store = driver.store(&context, vec![payload("a", 50), payload("b", 50)]);
    assert!(tokio::time::timeout(Duration::from_secs(1), store).await.is_err());
    assert_eq!(s3.cancelled(), 2);
}

#[tokio::test]
async fn an_s3_store_into_a_missing_bucket_names_operation_bucket_key_region_and_cause() {
    for mut s3 in both_kinds() {
        s3.missing = vec!["bucket"];
        let s3 = Arc::new(s3);
        let error = driver(&s3).store(&store_context("wf1"), vec![payload("a", 50)]).await;
        let error = s3_error(error.unwrap_err());
        let S3StorageError::Store { location, source } = &error else { panic!("{error}") };
        assert_eq!(source.code(), Some("NoSuchBucket"));
        let key = &location.key;
        assert!(key.starts_with("v0/ns/ns1/wt/T/wi/wf1/ri/run1/d/sha256/"), "{key}");
        assert_eq!(
            error.to_string(),
            format!(
                "S3 store failed [bucket=bucket, key={key}, client_region=eu-test-1]: \
                 NoSuchBucket: The specified bucket does not exist (HTTP 404)"
            )
        );
        assert_eq!(s3.count(), 0);
    }
}

#[tokio::test]
async fn an_s3_existence_check_that_fails_is_told_apart_from_an_upload() {
    let s3 = Arc::new(FakeS3 { forbids_head: true, ..Default::default() });
    let error = driver(&s3).store(&store_context("wf1"), vec![payload("a", 50)]).await;
    let error = s3_error(error.unwrap_err());
    assert!(matches!(error, S3StorageError::Exists { .. }), "{error}");
    assert!(error.to_string().starts_with("S3 existence check failed [bucket=bucket"), "{error}");
    assert_eq!(s3.puts(), 0);
}

#[tokio::test]
async fn an_s3_failure_is_shown_even_if_the_client_cannot_be_described() {
    let s3 = FakeS3 { describe_fails: true, missing: vec!["bucket"], ..Default::default() };
    let error = driver(&Arc::new(s3)).store(&store_context("wf1"), vec![payload("a", 50)]).await;
    let text = s3_error(error.unwrap_err()).to_string();
    assert!(text.contains("]: NoSuchBucket") && !text.contains("region"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_s3_client_that_is_never_described_holds_up_neither_failures_nor_downloads() {
    let s3 = Arc::new(FakeS3 { describe_hangs: true, ..Default::default() });
    let driver = driver(&s3);
    let limit = 2 * temporal_lambda_s3::DEFAULT_TRANSFER_TIMEOUT;
    let transfers = async {
        let context = store_context("wf1");
        let claims = driver.store(&context, vec![payload("a", 50)]).await.unwrap();
        let read = driver.retrieve(&Default::default(), claims.clone()).await.unwrap();
        assert_eq!(read, [payload("a", 50)]);
        s3.objects.lock().unwrap().clear();
        s3_error(driver.retrieve(&Default::default(), claims).await.unwrap_err()).to_string()
    };
    let text = tokio::time::timeout(limit, transfers).await.expect("it ends").to_string();
    assert!(text.contains("]: NoSuchKey") && !text.contains("region"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_s3_upload_that_hangs_is_given_up_after_the_transfer_timeout() {
    let s3 = Arc::new(FakeS3 { transfer: Transfer::Hangs, ..Default::default() });
    let began = tokio::time::Instant::now();
    let error = driver(&s3).store(&store_context("wf1"), vec![payload("a", 50)]).await;
    let error = s3_error(error.unwrap_err());
    assert_eq!(began.elapsed(), temporal_lambda_s3::DEFAULT_TRANSFER_TIMEOUT);
    assert!(matches!(error, S3StorageError::TimedOut { operation: "store", last: None, .. }));
    assert!(error.to_string().contains("client_region=eu-test-1"), "{error}");
    assert_eq!(s3.cancelled(), 1);
}
