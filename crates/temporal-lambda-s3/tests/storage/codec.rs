//! Storage in the data converter of a client.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use temporal_lambda_s3::{ExternalStorage, S3StorageDriver, refuse_references, stored_for};
use temporalio_client::ClientOptions;
use temporalio_common::data_converters::{
    DataConverter, DefaultFailureConverter, PayloadCodec, PayloadConversionError, PayloadConverter,
    SerializationContextData,
};
use temporalio_common::payload_visitor::encode_payloads;
use temporalio_common::protos::coresdk::workflow_commands::StartChildWorkflowExecution;
use temporalio_common::protos::temporal::api::common::v1::{Payload, SearchAttributes};

use crate::fake::{FakeS3, Transfer, payload, target};

/// Turns data over, and back, as an encryption would.
struct Turns;

fn turn(mut payloads: Vec<Payload>) -> Vec<Payload> {
    for payload in &mut payloads {
        payload.data.reverse();
        payload.metadata.insert("encoding".into(), b"binary/turned".to_vec());
    }
    payloads
}

impl PayloadCodec for Turns {
    fn encode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        async move { Ok(turn(payloads)) }.boxed()
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        async move {
            for payload in &payloads {
                assert_eq!(payload.metadata["encoding"], b"binary/turned", "a reference got here");
            }
            let mut payloads = turn(payloads);
            for payload in &mut payloads {
                payload.metadata.insert("encoding".into(), b"json/plain".to_vec());
            }
            Ok(payloads)
        }
        .boxed()
    }
}

const NOWHERE: SerializationContextData = SerializationContextData::None;

fn storage(s3: &Arc<FakeS3>) -> ExternalStorage {
    let driver = S3StorageDriver::new(s3.clone(), "bucket").unwrap();
    ExternalStorage::new(driver).unwrap().payload_size_threshold(100)
}

fn options(s3: &Arc<FakeS3>) -> ClientOptions {
    let mut options = ClientOptions::new("my-namespace").build();
    storage(s3).apply_to_client(&mut options);
    options
}

#[tokio::test]
async fn what_is_stored_is_encoded_and_the_reference_is_not() {
    let s3 = Arc::new(FakeS3::default());
    let mut options = ClientOptions::new("my-namespace").build();
    options.data_converter =
        DataConverter::new(PayloadConverter::default(), DefaultFailureConverter::new(false), Turns);
    storage(&s3).apply_to_client(&mut options);
    let codec = options.data_converter.codec();
    let payloads = vec![payload("ab", 200), payload("ab", 10)];
    let encoded = codec.encode(&NOWHERE, payloads.clone()).await.unwrap();
    assert_eq!(encoded[0].metadata["encoding"], b"json/protobuf");
    assert_eq!(encoded[1].metadata["encoding"], b"binary/turned");
    let objects: Vec<_> = s3.objects.lock().unwrap().values().cloned().collect();
    assert_eq!(objects.len(), 1);
    let text = String::from_utf8_lossy(&objects[0]);
    assert!(text.contains("binary/turned") && text.contains("baba"), "{text}");
    assert_eq!(codec.decode(&NOWHERE, encoded).await.unwrap(), payloads);
}

#[tokio::test]
async fn a_value_round_trips_through_a_data_converter_with_storage() {
    let s3 = Arc::new(FakeS3::default());
    let converter = options(&s3).data_converter;
    let value = "x".repeat(1_000_000);
    let payload = converter.to_payload(&NOWHERE, &value).await.unwrap();
    assert!(payload.data.len() < 1024);
    let back: String = converter.from_payload(&NOWHERE, payload).await.unwrap();
    assert_eq!(back, value);
}

#[tokio::test]
async fn a_payload_is_stored_for_the_target_in_force_else_for_a_workflow_of_the_namespace() {
    let s3 = Arc::new(FakeS3::default());
    let converter = options(&s3).data_converter;
    let codec = converter.codec();
    codec.encode(&NOWHERE, vec![payload("a", 200)]).await.unwrap();
    assert!(s3.keys()[0].starts_with("v0/ns/my-namespace/wt/null/wi/null/ri/null/d/sha256/"));
    s3.objects.lock().unwrap().clear();
    let encode = async { codec.encode(&NOWHERE, vec![payload("a", 200)]).await };
    stored_for(target("wf1"), encode).await.unwrap();
    assert!(s3.keys()[0].starts_with("v0/ns/ns1/wt/T/wi/wf1/ri/run1/d/sha256/"));
}

#[tokio::test]
async fn a_reference_without_any_storage_is_refused_with_temporals_mark() {
    let s3 = Arc::new(FakeS3::default());
    let encoded = options(&s3).data_converter.codec().encode(&NOWHERE, vec![payload("a", 200)]);
    let encoded = encoded.await.unwrap();
    let mut without = ClientOptions::new("my-namespace").build();
    refuse_references(&mut without);
    let codec = without.data_converter.codec();
    let text = codec.decode(&NOWHERE, encoded).await.unwrap_err().to_string();
    assert!(text.contains("[TMPRL1105]") && text.contains("aws.s3driver"), "{text}");
    // Everything else passes, large or small, both ways.
    let payloads = vec![payload("a", 1_000_000), payload("a", 1)];
    assert_eq!(codec.encode(&NOWHERE, payloads.clone()).await.unwrap(), payloads);
    assert_eq!(codec.decode(&NOWHERE, payloads.clone()).await.unwrap(), payloads);
}

#[tokio::test]
async fn a_storage_failure_says_in_one_line_what_where_and_why() {
    let s3 = Arc::new(FakeS3 { missing: vec!["bucket"], ..Default::default() });
    let error = options(&s3).data_converter.codec().encode(&NOWHERE, vec![payload("a", 200)]).await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("S3 store failed [bucket=bucket, key=v0/ns/my-namespace/"), "{text}");
    assert!(text.contains("client_region=eu-test-1]: NoSuchBucket"), "{text}");
    assert!(!text.contains('\n'), "{text}");
}

#[tokio::test]
async fn search_attributes_are_never_stored_and_memos_are() {
    let s3 = Arc::new(FakeS3::default());
    let driver = S3StorageDriver::new(s3.clone(), "bucket").unwrap();
    let mut options = ClientOptions::new("my-namespace").build();
    let everything = ExternalStorage::new(driver).unwrap().payload_size_threshold(0);
    everything.apply_to_client(&mut options);
    let field = |name: &str| HashMap::from([("field".to_owned(), payload(name, 50))]);
    let mut child = StartChildWorkflowExecution {
        memo: field("memo"),
        search_attributes: Some(SearchAttributes { indexed_fields: field("attribute") }),
        ..Default::default()
    };
    let codec = options.data_converter.codec();
    encode_payloads(&mut child, codec, &NOWHERE).await.unwrap();
    assert_eq!(child.search_attributes.unwrap().indexed_fields, field("attribute"));
    assert_eq!(child.memo["field"].metadata["encoding"], b"json/protobuf");
    assert_eq!(s3.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_encoding_that_is_dropped_ends_its_upload() {
    let s3 = Arc::new(FakeS3 { transfer: Transfer::Hangs, ..Default::default() });
    let converter = options(&s3).data_converter;
    let encode = converter.codec().encode(&NOWHERE, vec![payload("a", 200)]);
    assert!(tokio::time::timeout(std::time::Duration::from_secs(1), encode).await.is_err());
    assert_eq!(s3.cancelled.load(Ordering::SeqCst), 1);
}
