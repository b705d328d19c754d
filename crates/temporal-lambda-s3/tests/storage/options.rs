//! What drivers and storage can be set to, and what is refused.

use std::sync::{Arc, Mutex};

use temporal_lambda_s3::{
    BoxError, Bucket, DEFAULT_MAX_PAYLOAD_SIZE, DEFAULT_PAYLOAD_SIZE_THRESHOLD, ExternalStorage,
    ExternalStorageError, S3StorageDriver, StorageDriver, StorageDriverStoreContext,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::fake::{FakeS3, payload, store_context};

fn refusal<T>(result: Result<T, ExternalStorageError>) -> String {
    match result {
        Err(ExternalStorageError::InvalidConfiguration(reason)) => reason,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

#[test]
fn an_s3_driver_has_the_type_name_and_limit_that_all_sdks_have() {
    let driver = S3StorageDriver::new(FakeS3::default(), "bucket").unwrap();
    assert_eq!((driver.driver_type(), driver.name()), ("aws.s3driver", "aws.s3driver"));
    assert_eq!(DEFAULT_MAX_PAYLOAD_SIZE, 52_428_800);
    assert_eq!(DEFAULT_PAYLOAD_SIZE_THRESHOLD, 262_144);
}

#[test]
fn an_s3_drivers_name_can_be_set_and_its_type_stays() {
    let named = |name: &str| {
        let driver = S3StorageDriver::builder(FakeS3::default(), "bucket").name(name);
        driver.build().unwrap()
    };
    let driver = named("my-s3");
    assert_eq!((driver.driver_type(), driver.name()), ("aws.s3driver", "my-s3"));
    assert_eq!(named("").name(), "aws.s3driver");
}

#[test]
fn an_s3_driver_that_cannot_work_is_refused_when_it_is_made() {
    let builder = || S3StorageDriver::builder(FakeS3::default(), "bucket");
    let refused = refusal(builder().max_payload_size(0).build());
    assert!(refused.contains("max_payload_size"), "{refused}");
    let refused = refusal(builder().concurrent_transfers(0).build());
    assert!(refused.contains("concurrent_transfers"), "{refused}");
    let refused = refusal(builder().transfer_timeout(std::time::Duration::ZERO).build());
    assert!(refused.contains("transfer_timeout"), "{refused}");
    let refused = refusal(S3StorageDriver::new(FakeS3::default(), ""));
    assert!(refused.contains("bucket"), "{refused}");
}

#[test]
fn storage_that_cannot_work_is_refused_when_it_is_made() {
    let driver = |name: &str| -> Arc<dyn StorageDriver> {
        let driver = S3StorageDriver::builder(FakeS3::default(), "bucket").name(name);
        Arc::new(driver.build().unwrap())
    };
    let nobody = |_: &StorageDriverStoreContext, _: &Payload| None;
    refusal(ExternalStorage::with_selector(vec![], nobody));
    let twice = ExternalStorage::with_selector(vec![driver("same"), driver("same")], nobody);
    assert!(refusal(twice).contains("same"));
    let unnamed = ExternalStorage::new(crate::trouble::Driver::named(""));
    assert!(refusal(unnamed).contains("name"));
}

#[tokio::test]
async fn an_s3_drivers_bucket_function_sees_each_payload_with_its_context_once() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let bucket = Bucket::chosen(move |context, payload| {
        record.lock().unwrap().push((context.clone(), payload.clone()));
        Ok(if payload.data.len() > 10 { "long-ones".into() } else { "short-ones".into() })
    });
    let s3 = Arc::new(FakeS3::default());
    let driver = S3StorageDriver::new(s3.clone(), bucket).unwrap();
    let payloads = vec![payload("a", 5), payload("b", 50), payload("a", 5)];
    let claims = driver.store(&store_context("wf1"), payloads.clone()).await.unwrap();
    let buckets: Vec<_> = claims.iter().map(|claim| claim.claim_data["bucket"].as_str()).collect();
    assert_eq!(buckets, ["short-ones", "long-ones", "short-ones"]);
    let expected: Vec<_> =
        payloads.into_iter().map(|payload| (store_context("wf1"), payload)).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
    assert_eq!(s3.count(), 2);
}

#[derive(Debug, thiserror::Error)]
#[error("no bucket today")]
struct NoBucketToday;

#[tokio::test]
async fn an_s3_drivers_bucket_function_that_fails_is_the_stores_error_as_it_is() {
    let bucket = Bucket::chosen(|_, _| Err(BoxError::from(NoBucketToday)));
    let driver = S3StorageDriver::new(FakeS3::default(), bucket).unwrap();
    let error = driver.store(&store_context("wf1"), vec![payload("a", 5)]).await.unwrap_err();
    let ExternalStorageError::Driver(cause) = error else { panic!("{error}") };
    assert!(cause.downcast_ref::<NoBucketToday>().is_some(), "{cause}");
}
