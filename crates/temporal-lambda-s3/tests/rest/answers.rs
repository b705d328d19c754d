//! What the client makes of S3's answers.

use std::error::Error as _;
use std::time::{Duration, Instant};

use http::Method;
use temporal_lambda_s3::{
    AwsS3Client, ConditionalPut, ExternalStorageError, S3Client as _, S3Error, S3StorageDriver,
    S3StorageError, StorageDriver as _, StorageDriverStoreContext,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::server::{
    Answer::{self, CutOff, Endless, Region, RetryAfter, Silence, Status},
    Server,
};

/// Where something must end and only a fault would keep it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// More than any object here has.
const LIMIT: u64 = 2_000_000;

const NO_KEY: &str = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.\
                      </Message><Key>k</Key></Error>";
const NO_BUCKET: &str = "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>";
const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message>\
                      <AWSAccessKeyId>AKIATEST</AWSAccessKeyId></Error>";
const SLOW_DOWN: &str =
    "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";

#[tokio::test]
async fn only_a_404_says_that_an_object_does_not_exist() {
    for (status, expected) in [(200, Some(true)), (404, Some(false)), (403, None), (400, None)] {
        let server = Server::start([Status(status, "")]).await;
        let exists = server.client().exists("my-bucket", "k").await;
        assert_eq!(exists.as_ref().ok().copied(), expected, "{status}");
        if let Err(error) = exists {
            assert_eq!(error.status(), Some(status));
            let hint = error.to_string().contains("s3:ListBucket");
            assert_eq!(hint, status == 403, "{error}");
        }
        assert_eq!(server.seen()[0].method, Method::HEAD);
    }
    // The answer says how large an object is and does not have it.
    let server = Server::start([Endless(200, Some(60_000_000))]).await;
    assert!(server.client().exists("my-bucket", "k").await.unwrap());
}

#[tokio::test]
async fn a_get_that_s3_refuses_is_an_error_with_code_and_status() {
    for (status, body, code) in [
        (404, NO_KEY, "NoSuchKey"),
        (404, NO_BUCKET, "NoSuchBucket"),
        (403, DENIED, "AccessDenied"),
    ] {
        let server = Server::start([Status(status, body)]).await;
        let error = server.client().get("my-bucket", "k", LIMIT).await.unwrap_err();
        assert_eq!((error.code(), error.status()), (Some(code), Some(status)));
        let text = format!("{error} {error:?}");
        assert!(!text.contains("AKIATEST"), "{text}");
        assert_eq!(server.seen().len(), 1, "there is nothing to be waited for");
    }
}

#[tokio::test]
async fn a_wrong_region_is_told_with_the_right_one() {
    let server = Server::start([Region(301, "ap-south-1")]).await;
    let error = server.client().get("my-bucket", "k", LIMIT).await.unwrap_err().to_string();
    assert!(error.contains("ap-south-1"), "{error}");
}

#[tokio::test]
async fn the_clients_own_region_is_not_called_wrong() {
    let server = Server::start([Region(400, "eu-test-1")]).await;
    let error = server.client().exists("my-bucket", "k").await.unwrap_err().to_string();
    assert!(!error.contains("region"), "{error}");
}

#[tokio::test]
async fn a_conditional_put_finds_what_is_there_in_one_request() {
    let server = Server::start([Status(412, "")]).await;
    let put = server.client().put_if_absent("my-bucket", "k", "x".into()).await.unwrap();
    assert_eq!(put, ConditionalPut::AlreadyThere);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_conditional_put_that_meets_another_writer_overwrites() {
    let server = Server::start([Status(409, ""), Status(200, "")]).await;
    let put = server.client().put_if_absent("my-bucket", "k", "x".into()).await.unwrap();
    assert_eq!(put, ConditionalPut::Stored);
    let seen = server.seen();
    assert!(seen[0].headers.contains_key("if-none-match"));
    assert!(!seen[1].headers.contains_key("if-none-match"));
    assert_eq!(&seen[1].body[..], b"x");
}

#[tokio::test]
async fn a_server_without_conditional_put_is_asked_for_one_only_once() {
    let script = [Status(501, ""), Status(404, ""), Status(200, ""), Status(200, "")];
    let server = Server::start(script).await;
    let driver = S3StorageDriver::new(server.client(), "my-bucket").unwrap();
    let methods = || server.seen().into_iter().map(|seen| seen.method).collect::<Vec<_>>();
    let context = StorageDriverStoreContext::default();
    driver.store(&context, vec![Payload::default()]).await.unwrap();
    assert_eq!(methods(), [Method::PUT, Method::HEAD, Method::PUT]);
    // It is there now.
    driver.store(&context, vec![Payload::default()]).await.unwrap();
    assert_eq!(methods(), [Method::HEAD]);
}

#[tokio::test]
async fn a_throttled_or_broken_request_is_repeated() {
    for status in [429, 500, 503] {
        let script = [Status(status, SLOW_DOWN), Status(status, ""), Status(200, "x")];
        let server = Server::start(script).await;
        assert_eq!(&server.client().get("my-bucket", "k", LIMIT).await.unwrap()[..], b"x");
        assert_eq!(server.seen().len(), 3, "{status}");
    }
    let server = Server::start([Status(503, SLOW_DOWN), Status(200, "")]).await;
    let put = server.client().put_if_absent("my-bucket", "k", "x".into()).await.unwrap();
    assert_eq!(put, ConditionalPut::Stored);
    for seen in server.seen() {
        assert_eq!(&seen.body[..], b"x", "the whole content, each time");
    }
}

/// A frozen environment sends late what it signed before.
#[tokio::test]
async fn a_request_that_s3_took_too_long_to_get_is_signed_and_sent_again() {
    for (status, body) in [
        (400, "<Error><Code>RequestTimeout</Code></Error>"),
        (403, "<Error><Code>RequestTimeTooSkewed</Code></Error>"),
    ] {
        let server = Server::start([Status(status, body), Status(200, "x")]).await;
        assert_eq!(
            &server.client().get("my-bucket", "k", LIMIT).await.unwrap()[..],
            b"x",
            "{status}"
        );
        assert_eq!(server.seen().len(), 2, "{status}");
    }
}

#[tokio::test]
async fn s3_is_not_asked_again_before_the_time_that_it_names() {
    let server = Server::start([RetryAfter("1"), RetryAfter("soon"), Status(200, "x")]).await;
    let began = Instant::now();
    assert_eq!(&server.client().get("my-bucket", "k", LIMIT).await.unwrap()[..], b"x");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn an_upload_that_is_dropped_ends_before_its_last_byte() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let client = client_of(&listener);
    let content = vec![7; 20_000_000];
    let upload = tokio::spawn(async move { client.put("my-bucket", "k", content.into()).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.read_exact(&mut [0; 1000]).await.unwrap();
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(ANSWER_TIMEOUT, stream.read_to_end(&mut rest)).await;
    ended.expect("the connection ends").ok();
    assert!(rest.len() < 20_000_000, "the whole object was sent");
}

fn client_of(listener: &TcpListener) -> AwsS3Client {
    AwsS3Client::builder()
        .region("eu-test-1")
        .endpoint(format!("http://{}", listener.local_addr().unwrap()))
        .static_credentials("AKIA", "secret", None)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_never_taken_for_the_whole() {
    let server = Server::start([CutOff, CutOff, Status(200, "the whole of it.")]).await;
    let got = server.client().get("my-bucket", "k", LIMIT).await.unwrap();
    assert_eq!(&got[..], b"the whole of it.");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn an_object_that_is_larger_than_may_be_read_is_refused_and_not_taken_into_memory() {
    for promised in [None, Some(60_000_000)] {
        let server = Server::start([Endless(200, promised)]).await;
        let got =
            tokio::time::timeout(ANSWER_TIMEOUT, server.client().get("my-bucket", "k", LIMIT))
                .await;
        let error = got.expect("it ends before the object does").unwrap_err();
        let at_least = error.too_large().unwrap_or_else(|| panic!("{error}"));
        match promised {
            Some(promised) => assert_eq!(at_least, promised),
            None => assert!((LIMIT + 1..8_000_000).contains(&at_least), "{at_least}"),
        }
        assert_eq!(server.seen().len(), 1, "it is not asked for again");
    }
}

#[tokio::test]
async fn an_object_of_the_most_bytes_that_may_be_read_is_read() {
    let server = Server::start([Status(200, "0123456789")]).await;
    assert_eq!(&server.client().get("my-bucket", "k", 10).await.unwrap()[..], b"0123456789");
    let error = server.client().get("my-bucket", "k", 9).await.unwrap_err();
    assert_eq!(error.too_large(), Some(10));
}

#[tokio::test]
async fn an_answer_that_is_no_error_of_s3_and_never_ends_is_an_error_with_its_status() {
    let server = Server::start([Endless(404, None)]).await;
    let got =
        tokio::time::timeout(ANSWER_TIMEOUT, server.client().get("my-bucket", "k", LIMIT)).await;
    assert_eq!(got.expect("its end is not waited for").unwrap_err().status(), Some(404));
}

fn driver(client: AwsS3Client, timeout: Duration) -> S3StorageDriver {
    let driver = S3StorageDriver::builder(client, "my-bucket").transfer_timeout(timeout);
    driver.build().unwrap()
}

async fn store_error(driver: &S3StorageDriver) -> S3StorageError {
    let context = StorageDriverStoreContext::default();
    match driver.store(&context, vec![Payload::default()]).await.unwrap_err() {
        ExternalStorageError::Driver(cause) => *cause.downcast().unwrap(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_s3_that_stays_throttled_or_silent_is_given_up_after_the_transfer_timeout() {
    let timeout = Duration::from_secs(2);
    for (answer, last) in [(Status(503, SLOW_DOWN), Some("SlowDown")), (Silence, None)] {
        let server = Server::start([Answer::clone(&answer)]).await;
        let error = store_error(&driver(server.client(), timeout)).await;
        assert!(matches!(error, S3StorageError::TimedOut { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("bucket=my-bucket, key=v0/d/sha256/"), "{text}");
        // What S3 said last is told, and is the error's source.
        let said = text.contains("SlowDown: Please reduce your request rate. (HTTP 503)");
        assert_eq!(said, last.is_some(), "{text}");
        assert_eq!(text.contains("no attempt had ended"), last.is_none(), "{text}");
        let source = error.source().map(|source| source.downcast_ref::<S3Error>().unwrap());
        assert_eq!(source.and_then(S3Error::code), last);
        assert!(!server.seen().is_empty());
    }
}

#[tokio::test]
async fn an_s3_that_drops_connections_and_recovers_is_waited_for() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let client = client_of(&listener);
    let serve = async {
        for _ in 0..2 {
            drop(listener.accept().await.unwrap());
        }
        let router = axum::Router::new().fallback(|| async { "back" });
        axum::serve(listener, router).await
    };
    tokio::select! {
        got = client.get("my-bucket", "k", LIMIT) => assert_eq!(&got.unwrap()[..], b"back"),
        ended = serve => panic!("{ended:?}"),
    }
}
