//! What the client asks of S3, and of whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use temporal_lambda_s3::{
    AwsS3Client, ConditionalPut, DEFAULT_MAX_PAYLOAD_SIZE, ExternalStorageError, S3Client as _,
    S3StorageDriver, StorageDriver as _, StorageDriverStoreContext,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::server::{Answer::Status, Server};

/// More than any object here has.
const LIMIT: u64 = 2_000_000;
const CONTENT: &[u8] = b"the content";
/// By Python's hashlib.
const SHA256: &str = "6e569e05cb6f8608572c79d63b365dc31617bf84d7393d2cb9d2f1ffe0edf95b";

#[tokio::test]
async fn a_put_is_conditional_signed_and_has_the_contents_hash() {
    let server = Server::start([Status(200, "")]).await;
    let put = server.client().put_if_absent("my-bucket", "v0/a%20b/c'd", CONTENT.into()).await;
    assert_eq!(put.unwrap(), ConditionalPut::Stored);
    let [seen] = &server.seen()[..] else { panic!("one request") };
    assert_eq!((&seen.method, &*seen.path), (&Method::PUT, "/my-bucket/v0/a%2520b/c%27d"));
    assert_eq!(seen.headers["if-none-match"], "*");
    assert_eq!(seen.headers["x-amz-content-sha256"], SHA256);
    assert_eq!(seen.headers["x-amz-security-token"], "token-never-shown");
    let authorization = seen.headers["authorization"].to_str().unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIATEST/"), "{authorization}");
    assert!(authorization.contains("/eu-test-1/s3/aws4_request"), "{authorization}");
    assert_eq!(&seen.body[..], CONTENT);
}

/// The peers send large objects in parts. One PUT can be conditional, an object is there whole or not
/// at all, and S3 takes a hundred times as much in one.
#[tokio::test]
async fn the_largest_payload_is_stored_by_one_conditional_put_and_never_in_parts() {
    let server = Server::start([Status(200, "")]).await;
    let driver = S3StorageDriver::new(server.client(), "my-bucket").unwrap();
    let beside_data = 5;
    let size = usize::try_from(DEFAULT_MAX_PAYLOAD_SIZE).unwrap();
    let payload = Payload { data: vec![7; size - beside_data], ..Default::default() };
    let context = StorageDriverStoreContext::default();
    driver.store(&context, vec![payload]).await.unwrap();
    let [seen] = &server.seen()[..] else { panic!("one request") };
    assert_eq!((&seen.method, seen.body.len()), (&Method::PUT, size));
    assert!(seen.path.starts_with("/my-bucket/v0/d/sha256/"), "{}", seen.path);
    assert!(!seen.path.contains('?'), "{}", seen.path);
    assert_eq!(seen.headers["if-none-match"], "*");
    assert_eq!(seen.headers["content-length"], size.to_string());
}

#[tokio::test]
async fn an_unconditional_put_overwrites() {
    let server = Server::start([Status(200, "")]).await;
    server.client().put("my-bucket", "k", CONTENT.into()).await.unwrap();
    let [seen] = &server.seen()[..] else { panic!("one request") };
    assert_eq!(seen.method, Method::PUT);
    assert!(!seen.headers.contains_key("if-none-match"));
}

#[tokio::test]
async fn a_get_returns_a_megabyte_byte_for_byte() {
    let content: &'static str = "0123456789abcdef".repeat(65_536).leak();
    let server = Server::start([Status(200, content)]).await;
    let got = server.client().get("my-bucket", "k", LIMIT).await.unwrap();
    assert_eq!(got.len(), 1_048_576);
    assert!(got == content.as_bytes());
    assert_eq!(server.seen()[0].method, Method::GET);
}

#[tokio::test]
async fn the_client_says_its_region() {
    let server = Server::start([Status(200, "")]).await;
    let described = server.client().describe().await.unwrap();
    assert_eq!(
        described.into_iter().collect::<Vec<_>>(),
        [("client_region".to_owned(), "eu-test-1".to_owned())]
    );
}

/// Credentials that change each time.
#[derive(Debug, Default)]
struct Rotating(AtomicUsize);

#[async_trait]
impl CredentialProvider for Rotating {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(AwsCredential {
            key_id: format!("AKIA{number}"),
            secret_key: "secret".into(),
            token: None,
        }))
    }
}

#[tokio::test]
async fn each_attempt_is_signed_with_the_credentials_of_its_time() {
    let server = Server::start([Status(503, ""), Status(200, "x")]).await;
    let client = server.builder().credentials(Arc::new(Rotating::default())).build().unwrap();
    client.get("my-bucket", "k", LIMIT).await.unwrap();
    for (number, seen) in server.seen().iter().enumerate() {
        let authorization = seen.headers["authorization"].to_str().unwrap();
        assert!(authorization.contains(&format!("Credential=AKIA{number}/")), "{authorization}");
        assert!(!seen.headers.contains_key("x-amz-security-token"));
    }
}

#[tokio::test]
async fn credentials_that_cannot_be_headers_are_refused_and_not_shown() {
    let server = Server::start([Status(200, "")]).await;
    let token = Some("never\nshown".to_owned());
    let client = server.builder().static_credentials("AKIA", "secret", token).build().unwrap();
    let error = client.get("my-bucket", "k", LIMIT).await.unwrap_err().to_string();
    assert!(error.contains("session token") && !error.contains("never"), "{error}");
    assert!(server.seen().is_empty());
}

#[test]
fn a_client_without_region_or_with_a_broken_endpoint_is_refused() {
    let refusal = |built: Result<AwsS3Client, ExternalStorageError>| match built {
        Err(ExternalStorageError::InvalidConfiguration(reason)) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was accepted"),
    };
    assert!(refusal(AwsS3Client::builder().region("").build()).contains("AWS_REGION"));
    let broken = AwsS3Client::builder().region("us-east-1").endpoint("localhost:9000");
    assert!(refusal(broken.build()).contains("localhost:9000"));
}

#[tokio::test]
async fn a_client_and_what_it_was_made_of_show_no_credentials() {
    let server = Server::start([Status(200, "")]).await;
    let shown = format!("{:?} {:?}", server.builder(), server.client());
    assert!(shown.contains("eu-test-1"), "{shown}");
    for secret in ["AKIATEST", "never-shown"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_no_bucket_is_refused_before_any_request() {
    let server = Server::start([Status(200, "")]).await;
    for bucket in ["../other", "a", "host/path", "arn:aws:s3:us-east-1:1:accesspoint/x"] {
        let error = server.client().get(bucket, "k", LIMIT).await.unwrap_err().to_string();
        assert!(error.contains(bucket), "{error}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn a_client_outlives_the_runtimes_that_use_it() {
    let on_its_own_runtime = |future: futures_util::future::BoxFuture<'static, Bytes>| {
        tokio::runtime::Runtime::new().unwrap().block_on(future)
    };
    let serving = tokio::runtime::Runtime::new().unwrap();
    let server = serving.block_on(Server::start([Status(200, "x")]));
    let client = server.client();
    for _ in 0..3 {
        let client = client.clone();
        let got: Bytes = on_its_own_runtime(Box::pin(async move {
            client.get("my-bucket", "k", LIMIT).await.unwrap()
        }));
        assert_eq!(&got[..], b"x");
    }
    // Dropped where a future is polled.
    on_its_own_runtime(Box::pin(async move {
        drop(client);
        Bytes::new()
    }));
}
