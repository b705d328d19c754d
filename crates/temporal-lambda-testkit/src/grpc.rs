//! gRPC's framing over HTTP/2: one message in, one message or a status out.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use std::convert::Infallible;
use tonic::Status;

/// What comes before a message: whether it is compressed (1 byte), and its length (4 bytes).
pub(crate) const PREFIX: usize = 5;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The message in a request's body.
///
/// Compressed ones are refused. The SDK understands that from the answer to its first call, and
/// connects again without compression.
pub(crate) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Status> {
    let encoding = headers.get("grpc-encoding").and_then(|e| e.to_str().ok());
    if let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") {
        return Err(Status::unimplemented(format!(
            "no decompressor is installed for grpc-encoding {encoding:?}"
        )));
    }
    let Some((prefix, rest)) = body.split_at_checked(PREFIX) else {
        return Err(Status::invalid_argument("the request has no gRPC frame"));
    };
    if prefix[0] != 0 {
        return Err(Status::internal("compressed without a grpc-encoding"));
    }
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if rest.len() != length {
        return Err(Status::internal(format!(
            "the gRPC frame announces {length} bytes and has {}",
            rest.len()
        )));
    }
    Ok(body.slice(PREFIX..))
}

/// A response with one message.
pub(crate) fn message(proto: &[u8]) -> Response<Body> {
    let mut frame = BytesMut::with_capacity(PREFIX + proto.len());
    frame.put_u8(0);
    // A message of 4 GiB does not fit into a frame, nor into a test.
    frame.put_u32(u32::try_from(proto.len()).unwrap_or(u32::MAX));
    frame.put_slice(proto);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [Frame::data(frame.freeze()), Frame::trailers(trailers)];
    let frames = stream::iter(frames.map(Ok::<_, Infallible>));
    grpc(StreamBody::new(frames).boxed_unsync())
}

/// A response that is only a status.
pub(crate) fn status(status: &Status) -> Response<Body> {
    let mut response = grpc(http_body_util::Empty::new().boxed_unsync());
    if status.add_header(response.headers_mut()).is_err() {
        // The message has characters that no header can carry; the code is what counts.
        let code = HeaderValue::from(i32::from(status.code()));
        response.headers_mut().insert("grpc-status", code);
    }
    response
}

fn grpc(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    fn frame(flag: u8, length: u32, message: &[u8]) -> Bytes {
        let mut frame = vec![flag];
        frame.extend(length.to_be_bytes());
        frame.extend(message);
        frame.into()
    }

    #[test]
    fn a_frame_is_read() {
        let read = read(&HeaderMap::new(), &frame(0, 3, b"abc"));
        assert_eq!(read.expect("a good frame"), Bytes::from_static(b"abc"));
    }

    #[test]
    fn bad_frames_are_refused() {
        let none = HeaderMap::new();
        for bad in [frame(0, 4, b"abc"), frame(0, 2, b"abc"), frame(1, 3, b"abc")] {
            assert_eq!(read(&none, &bad).expect_err("bad").code(), Code::Internal);
        }
        let short = Bytes::from_static(b"abc");
        assert_eq!(read(&none, &short).expect_err("short").code(), Code::InvalidArgument);
    }

    #[test]
    fn compression_is_refused_in_words_that_the_sdk_knows() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
        let status = read(&headers, &frame(1, 3, b"abc")).expect_err("compressed");
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(status.message().contains("decompress"));
    }

    #[tokio::test]
    async fn a_message_is_followed_by_its_status() {
        let body = message(b"abc").into_body().collect().await;
        let body = body.expect("infallible");
        let trailers = body.trailers().expect("trailers").clone();
        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(body.to_bytes(), frame(0, 3, b"abc"));
    }

    #[test]
    fn a_status_is_all_headers() {
        let response = status(&Status::not_found("no such thing: ü"));
        assert_eq!(response.headers()["grpc-status"], "5");
        assert_eq!(response.headers()["grpc-message"], "no%20such%20thing:%20%C3%BC");
    }
}
