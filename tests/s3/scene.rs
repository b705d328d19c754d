//! What the tests share: a function with storage, a client with storage, and what histories hold.

use std::time::Duration;

use prost::Message as _;
use temporal_lambda_s3::{AwsS3Client, ExternalStorage, S3StorageDriver};
use temporal_lambda_testkit::lambda::{FunctionConfig, Invocation};
use temporal_lambda_tests::{World, server};
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, Url};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;

use crate::STORED;
use crate::s3_server::TestBucket;

/// Must be seen in no log, response or history.
pub(crate) const SECRET: &str = "s3-secret-Kq8pZr2-never-to-be-shown";
pub(crate) const TOKEN: &str = "s3-token-Vd4mWx7-never-to-be-shown";
pub(crate) const ACCESS_KEY: &str = "AKIATESTTESTTEST";
pub(crate) const REGION: &str = "us-east-1";

/// The function with storage in `bucket`. It ends 2 s after the last task.
pub(crate) fn stored(world: &World, bucket: &TestBucket) -> FunctionConfig {
    with_storage(world.config("stored", STORED), bucket, &bucket.endpoint())
}

/// `function`, with storage in `bucket` at `endpoint`.
pub(crate) fn with_storage(
    function: FunctionConfig,
    bucket: &TestBucket,
    endpoint: &str,
) -> FunctionConfig {
    function
        .timeout(Duration::from_secs(60))
        .env("PAYLOAD_BUCKET", &bucket.name)
        .env("AWS_ENDPOINT_URL_S3", endpoint)
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_SESSION_TOKEN", TOKEN)
        // From 2 s on, no task is lost with a poll that is dropped.
        .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "2s")
        .env("TEMPORAL_LAMBDA_MINIMUM_STAY", "4s")
}

/// Storage in `bucket`, for clients.
pub(crate) fn storage(bucket: &TestBucket) -> ExternalStorage {
    ExternalStorage::new(driver(bucket)).unwrap()
}

pub(crate) fn driver(bucket: &TestBucket) -> S3StorageDriver {
    let client = AwsS3Client::builder()
        .region(REGION)
        .endpoint(bucket.endpoint())
        .static_credentials(ACCESS_KEY, SECRET, Some(TOKEN.to_owned()))
        .build()
        .unwrap();
    S3StorageDriver::new(client, bucket.name.as_str()).unwrap()
}

/// A client of the shared server, with storage in `bucket`.
pub(crate) async fn client(bucket: &TestBucket) -> Client {
    let mut options = ClientOptions::new("default").build();
    storage(bucket).apply_to_client(&mut options);
    client_with(options).await
}

/// A client of the shared server.
pub(crate) async fn client_with(options: ClientOptions) -> Client {
    let target = Url::parse(&format!("http://{}", server::shared().address())).unwrap();
    let connection = ConnectionOptions::new(target).dns_load_balancing(None).build();
    Client::new(Connection::connect(connection).await.unwrap(), options).unwrap()
}

/// A text as the SDK makes a payload of it.
pub(crate) fn json_payload(text: &str) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: serde_json::to_vec(text).unwrap(),
        external_payloads: vec![],
    }
}

/// Asserts that a history holds references and no large payload.
pub(crate) fn assert_small(events: &[HistoryEvent]) {
    for event in events {
        let size = event.encoded_len();
        assert!(size < 10_000, "an event of {size} bytes: {:?}", event.event_type());
    }
}

/// Asserts that nothing of S3's credentials is in a function's log or response.
pub(crate) fn assert_secret(invocation: &Invocation) {
    let body = invocation.outcome.body(&invocation.request_id);
    let text = invocation.log_text() + &String::from_utf8_lossy(&body);
    for secret in [SECRET, TOKEN, ACCESS_KEY] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

/// What a payload is, and with what size, if it is a reference.
pub(crate) fn reference(payload: &Payload) -> (serde_json::Value, i64) {
    assert_eq!(payload.metadata["encoding"], b"json/protobuf");
    let kind = b"temporal.api.sdk.v1.ExternalStorageReference";
    assert_eq!(payload.metadata["messageType"], kind);
    let json = serde_json::from_slice(&payload.data).unwrap();
    (json, payload.external_payloads[0].size_bytes)
}
