#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use temporal_lambda_test_timing::within;
use temporalio_client::{
    Connection, RetryOptions, Url, grpc::WorkflowService as _, tonic::IntoRequest as _,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

#[test]
fn a_call_that_failed_with_its_connection_becomes_unavailable_so_that_it_is_retried() {
    for code in [Code::Cancelled, Code::Unknown, Code::Internal, Code::Unavailable] {
        let mut status = Status::new(code, "it went away");
        status.set_source(Arc::new(std::io::Error::other("connection closed")));
        let told = tellable(status);
        assert_eq!(told.code(), Code::Unavailable);
        assert_eq!(told.message(), "it went away: connection closed");
        assert!(is_unanswered(&told));
    }
}

#[test]
fn a_servers_own_status_is_forwarded_unchanged() {
    let told = tellable(Status::cancelled("the caller went away"));
    assert_eq!((told.code(), told.message()), (Code::Cancelled, "the caller went away"));
    assert!(!is_unanswered(&told));
}

/// Frames of HTTP/2, and flags of those with headers.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_OF_STREAM: u8 = 1;
const END_OF_HEADERS: u8 = 4;
/// A header of its own in the table of HTTP/2.
const STATUS_200: u8 = 0x88;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn header(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    // It is in no table, and its text is not compressed.
    let mut field = vec![0, length(name)];
    field.extend_from_slice(name.as_bytes());
    field.push(length(value));
    field.extend_from_slice(value.as_bytes());
    field
}

/// What the SDK makes of a call to a server whose answer has headers that name a compression, and then this.
async fn told_by_the_sdk(then: Vec<u8>) -> Status {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        stream.read_exact(&mut [0; b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()]).await.unwrap();
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let length = usize::from(head[2]) | usize::from(head[1]) << 8;
            stream.read_exact(&mut vec![0; length]).await.unwrap();
            if head[3] == HEADERS {
                break;
            }
        }
        let kind = header("content-type", "application/grpc");
        let encoding = header("grpc-encoding", "gzip");
        let headers = [vec![STATUS_200], kind, encoding].concat();
        let headers = frame(HEADERS, END_OF_HEADERS, 1, &headers);
        stream.write_all(&[headers, then].concat()).await.unwrap();
        // Until the client has closed it.
        while stream.read(&mut [0; 1024]).await.is_ok_and(|length| length > 0) {}
    };
    let client = Box::pin(async {
        let options = ConnectionOptions::new(Url::parse(&target).unwrap());
        let options = options.dns_load_balancing(None).skip_get_system_info(true);
        let mut options = options.retry_options(RetryOptions::no_retries()).build();
        let route = Route::dial(&options).await.ok().unwrap();
        options.service_override = Some(service(move |call| {
            let route = route.clone();
            Box::pin(async move { route.call(call).await })
        }));
        let mut connection = Connection::connect(options).await.unwrap();
        let request = DescribeNamespaceRequest::default().into_request();
        connection.describe_namespace(request).await.unwrap_err()
    });
    let told = async {
        tokio::select! {
            status = client => status,
            () = server => unreachable!("it reads for as long as there is a client"),
        }
    };
    within("the end of a call", told).await
}

#[tokio::test]
async fn a_call_whose_answer_is_cut_off_after_its_headers_is_unavailable_to_the_sdk() {
    let cut = frame(RST_STREAM, 0, 1, &2_u32.to_be_bytes());
    let status = told_by_the_sdk(cut).await;
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}

#[tokio::test]
async fn a_refusal_that_comes_after_headers_is_forwarded_with_its_code_and_words() {
    let trailers = [header("grpc-status", "8"), header("grpc-message", "too many")].concat();
    let refusal = frame(HEADERS, END_OF_HEADERS | END_OF_STREAM, 1, &trailers);
    let status = told_by_the_sdk(refusal).await;
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "too many"));
}

#[tokio::test]
async fn a_refusal_of_the_users_own_service_is_forwarded_without_the_headers_of_its_channel() {
    let refusing = service(|_| {
        let mut status = Status::resource_exhausted("too many");
        status.metadata_mut().insert("grpc-encoding", AsciiMetadataValue::from_static("gzip"));
        status.metadata_mut().insert("retry-after", AsciiMetadataValue::from_static("1"));
        Box::pin(async { Err(status) })
    });
    let call = GrpcRequest {
        service: "s".to_owned(),
        rpc: "r".to_owned(),
        headers: HeaderMap::new(),
        proto: Bytes::new(),
    };
    let status = Route::Overridden(refusing).call(call).await.err().unwrap();
    let names: Vec<_> = status.metadata().keys().map(|name| format!("{name:?}")).collect();
    assert_eq!((status.code(), names.len()), (Code::ResourceExhausted, 1), "{names:?}");
}
