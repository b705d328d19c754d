//! The S3 driver reads.

use std::sync::Arc;

use bytes::Bytes;
use temporal_lambda_s3::{
    S3StorageDriver, S3StorageError, StorageDriver, StorageDriverClaim,
    StorageDriverRetrieveContext,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use tokio::sync::Barrier;

use crate::fake::{FakeS3, Transfer, claim, payload, store_context};
use crate::store::s3_error;

fn driver(s3: &Arc<FakeS3>) -> S3StorageDriver {
    S3StorageDriver::new(s3.clone(), "bucket").unwrap()
}

async fn retrieve(
    s3: &Arc<FakeS3>,
    claims: Vec<StorageDriverClaim>,
) -> Result<Vec<Payload>, S3StorageError> {
    let context = StorageDriverRetrieveContext::default();
    driver(s3).retrieve(&context, claims).await.map_err(s3_error)
}

/// A stored payload's claim, without one of the spellings of its hash.
async fn stored(s3: &Arc<FakeS3>, without: &[&str]) -> StorageDriverClaim {
    let stored = driver(s3).store(&store_context("wf1"), vec![payload("a", 50)]).await;
    let mut claim = stored.unwrap().remove(0);
    claim.claim_data.retain(|name, _| !without.contains(&name.as_str()));
    claim
}

const SNAKE: [&str; 2] = ["hash_algorithm", "hash_value"];
const CAMEL: [&str; 2] = ["hashAlgorithm", "hashValue"];

#[tokio::test]
async fn an_s3_retrieve_of_nothing_makes_no_request() {
    let s3 = Arc::new(FakeS3::default());
    assert_eq!(retrieve(&s3, vec![]).await.unwrap(), []);
    assert_eq!(s3.requests(), 0);
}

#[tokio::test]
async fn s3_claims_of_either_spelling_are_read() {
    for without in [&SNAKE, &CAMEL] {
        let s3 = Arc::new(FakeS3::default());
        let claim = stored(&s3, without).await;
        assert_eq!(claim.claim_data.len(), 4);
        assert_eq!(retrieve(&s3, vec![claim]).await.unwrap(), [payload("a", 50)]);
    }
}

#[tokio::test]
async fn an_s3_payload_comes_back_with_all_its_metadata() {
    let s3 = Arc::new(FakeS3::default());
    let mut rich = payload("a", 50);
    for name in ["messageType", "encryption-key-id", "empty"] {
        rich.metadata.insert(name.into(), if name == "empty" { vec![] } else { vec![0, 255] });
    }
    let claims = driver(&s3).store(&store_context("wf1"), vec![rich.clone()]).await.unwrap();
    assert_eq!(retrieve(&s3, claims).await.unwrap(), [rich]);
}

#[tokio::test]
async fn an_s3_object_is_found_by_its_claim_alone() {
    let s3 = Arc::new(FakeS3 { missing: vec!["elsewhere"], ..Default::default() });
    let claim = stored(&s3, &[]).await;
    let other = S3StorageDriver::new(s3.clone(), "another-bucket").unwrap();
    let context = StorageDriverRetrieveContext::default();
    let back = other.retrieve(&context, vec![claim.clone()]).await.unwrap();
    assert_eq!(back, [payload("a", 50)]);
    // Where the claim names a bucket that is missing, that is the error, whatever the driver has.
    let mut elsewhere = claim;
    elsewhere.claim_data.insert("bucket".into(), "elsewhere".into());
    let error = retrieve(&s3, vec![elsewhere]).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("bucket=elsewhere") && text.contains("NoSuchBucket"), "{text}");
}

#[tokio::test]
async fn an_s3_key_with_escaped_characters_round_trips() {
    let s3 = Arc::new(FakeS3::default());
    let claims = driver(&s3).store(&store_context("wf/2#3"), vec![payload("a", 50)]).await.unwrap();
    assert!(claims[0].claim_data["key"].contains("/wi/wf%2F2%233/"), "{claims:?}");
    assert_eq!(retrieve(&s3, claims).await.unwrap(), [payload("a", 50)]);
}

#[tokio::test(start_paused = true)]
async fn the_s3_downloads_of_a_batch_run_at_the_same_time() {
    let transfer = Transfer::Together(Arc::new(Barrier::new(5)));
    let s3 = Arc::new(FakeS3 { objects: filled(5).await, transfer, ..Default::default() });
    let payloads = retrieve(&s3, claims_of(5).await).await.unwrap();
    assert_eq!(payloads, (0..5).map(|i| payload(&i.to_string(), 50)).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_s3_download_that_fails_ends_the_others_of_its_batch() {
    let transfer = Transfer::OneFails(Arc::new(Barrier::new(3)), 2);
    let s3 = Arc::new(FakeS3 { objects: filled(3).await, transfer, ..Default::default() });
    let error = retrieve(&s3, claims_of(3).await).await.unwrap_err();
    assert!(matches!(error, S3StorageError::Retrieve { .. }), "{error}");
    assert_eq!(s3.cancelled(), 2);
}

async fn claims_of(count: usize) -> Vec<StorageDriverClaim> {
    let payloads = (0..count).map(|i| payload(&i.to_string(), 50)).collect();
    driver(&Arc::new(FakeS3::default())).store(&store_context("wf1"), payloads).await.unwrap()
}

async fn filled(
    count: usize,
) -> std::sync::Mutex<std::collections::HashMap<(String, String), Bytes>> {
    let s3 = Arc::new(FakeS3::default());
    let payloads = (0..count).map(|i| payload(&i.to_string(), 50)).collect();
    driver(&s3).store(&store_context("wf1"), payloads).await.unwrap();
    Arc::into_inner(s3).unwrap().objects
}

#[tokio::test]
async fn an_s3_object_that_is_not_what_was_stored_is_refused() {
    let s3 = Arc::new(FakeS3::default());
    let claim = stored(&s3, &[]).await;
    let expected = claim.claim_data["hash_value"].clone();
    for content in s3.objects.lock().unwrap().values_mut() {
        // The first half of it, as a cut-off upload might leave it.
        *content = content.slice(..content.len() / 2);
    }
    let error = retrieve(&s3, vec![claim]).await.unwrap_err();
    let S3StorageError::HashMismatch { location, expected: claimed, actual } = &error else {
        panic!("{error}")
    };
    assert_eq!(*claimed, expected);
    assert_ne!(*actual, expected);
    let text = error.to_string();
    for part in [&location.bucket, &location.key, claimed, actual] {
        assert!(text.contains(part.as_str()), "{text}");
    }
}

#[tokio::test]
async fn an_s3_claim_with_another_hash_is_refused() {
    let s3 = Arc::new(FakeS3::default());
    let mut claim = stored(&s3, &CAMEL).await;
    claim.claim_data.insert("hash_value".into(), "0".repeat(64));
    let error = retrieve(&s3, vec![claim]).await.unwrap_err();
    assert!(matches!(error, S3StorageError::HashMismatch { .. }), "{error}");
}

#[tokio::test]
async fn an_s3_claim_with_an_unknown_hash_algorithm_is_refused_by_its_name() {
    let s3 = Arc::new(FakeS3::default());
    let mut claim = stored(&s3, &CAMEL).await;
    claim.claim_data.insert("hash_algorithm".into(), "md5".into());
    let error = retrieve(&s3, vec![claim]).await.unwrap_err();
    assert!(matches!(error, S3StorageError::UnsupportedHashAlgorithm { .. }), "{error}");
    assert!(error.to_string().contains("md5"), "{error}");
}

#[tokio::test]
async fn an_s3_claim_without_a_hash_is_refused() {
    for field in SNAKE {
        let s3 = Arc::new(FakeS3::default());
        let camel = if field == "hash_value" { "hashValue" } else { "hashAlgorithm" };
        let claim = stored(&s3, &[field, camel]).await;
        let error = retrieve(&s3, vec![claim]).await.unwrap_err();
        assert!(matches!(error, S3StorageError::ClaimWithoutHash { .. }), "{error}");
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[tokio::test]
async fn an_s3_claim_without_bucket_or_key_is_refused_before_any_request() {
    let s3 = Arc::new(FakeS3::default());
    for (entries, field) in [
        (&[][..], "bucket"),
        (&[("key", "k")][..], "bucket"),
        (&[("bucket", "b")][..], "key"),
        (&[("bucket", ""), ("key", "k")][..], "bucket"),
    ] {
        let good = claim(&[("bucket", "b"), ("key", "k")]);
        let error = retrieve(&s3, vec![good, claim(entries)]).await.unwrap_err();
        let S3StorageError::ClaimIncomplete { field: missing } = error else { panic!("{error}") };
        assert_eq!(missing, field);
    }
    assert_eq!(s3.requests(), 0);
}

#[tokio::test]
async fn an_s3_object_that_is_missing_is_called_missing_whatever_its_claim_lacks() {
    let s3 = Arc::new(FakeS3::default());
    let error = retrieve(&s3, vec![claim(&[("bucket", "b"), ("key", "k")])]).await.unwrap_err();
    let S3StorageError::Retrieve { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.code(), Some("NoSuchKey"));
    let text = error.to_string();
    assert!(
        text.starts_with(
            "S3 retrieve failed [bucket=b, key=k, client_region=eu-test-1]: NoSuchKey: The \
             specified key does not exist"
        ),
        "{text}"
    );
    assert!(text.contains("lifecycle"), "what may have happened is said: {text}");
}

#[tokio::test]
async fn an_s3_object_over_the_limit_is_refused_though_the_client_hands_it_over() {
    let s3 = Arc::new(FakeS3::default());
    // A writer with a higher limit. `encoding` and its value take 24 bytes, the data's header 2.
    let claim = stored(&s3, &[]).await;
    let read = async |limit| {
        let reader = S3StorageDriver::builder(s3.clone(), "bucket").max_payload_size(limit);
        let context = StorageDriverRetrieveContext::default();
        reader.build().unwrap().retrieve(&context, vec![claim.clone()]).await.map_err(s3_error)
    };
    assert_eq!(read(76).await.unwrap(), [payload("a", 50)]);
    let error = read(75).await.unwrap_err();
    assert!(matches!(error, S3StorageError::ObjectTooLarge { at_least: 76, limit: 75, .. }));
    let text = error.to_string();
    for part in ["76 bytes", "75", "max_payload_size", "bucket=bucket, key=v0/ns/ns1/"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn an_s3_object_that_is_no_payload_is_refused() {
    let s3 = Arc::new(FakeS3::default());
    let content = Bytes::from_static(b"\xff\xff\xff no payload");
    s3.objects.lock().unwrap().insert(("b".into(), "k".into()), content);
    let claim = claim(&[
        ("bucket", "b"),
        ("key", "k"),
        ("hash_algorithm", "sha256"),
        // The content's own, so that only the content is wrong.
        ("hash_value", "f7cf08d5f6fb3cca082e00e32369c6eb3d26ac11e98294a3a3f8a08419d341ec"),
    ]);
    let error = retrieve(&s3, vec![claim]).await.unwrap_err();
    assert!(matches!(error, S3StorageError::NotAPayload { .. }), "{error}");
}
