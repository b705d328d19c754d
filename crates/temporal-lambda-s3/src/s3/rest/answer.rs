//! What S3's answers mean.

use http::StatusCode;

use crate::s3::error::S3Error;
use crate::s3::http::Answer;

/// More of a body than any error of S3 has.
const MOST_TEXT: usize = 16 * 1024;

/// Whether the same request may be answered otherwise in a moment: throttled (503 `SlowDown`, 429),
/// timed out, or broken inside. 501 is none of these.
pub(super) fn is_worth_a_retry(status: StatusCode) -> bool {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => true,
        StatusCode::NOT_IMPLEMENTED => false,
        status => status.is_server_error(),
    }
}

/// The error in an answer. Only its code and message are taken: the rest of the XML may have the
/// access key and what was signed.
pub(super) fn error(answer: &Answer) -> S3Error {
    let status = answer.status();
    let body = &answer.body()[..answer.body().len().min(MOST_TEXT)];
    let body = String::from_utf8_lossy(body);
    let code = element(&body, "Code");
    let message = element(&body, "Message").unwrap_or_else(|| {
        status.canonical_reason().unwrap_or("S3 refused the request").to_owned()
    });
    let mut error = S3Error::new(message).with_status(status.as_u16());
    if let Some(code) = code.or_else(|| code_of(status).map(str::to_owned)) {
        error = error.with_code(code);
    }
    let region = answer.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
    match (status, region) {
        (StatusCode::MOVED_PERMANENTLY | StatusCode::BAD_REQUEST, Some(region)) => {
            error.with_advice(&format!("the bucket is in {region}: set the client's region"))
        }
        (StatusCode::FORBIDDEN, _) => error.with_advice(
            "the role must allow s3:PutObject and s3:GetObject on the bucket's objects",
        ),
        _ => error,
    }
}

/// The answer to HEAD has no body.
fn code_of(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::NOT_FOUND => Some("NotFound"),
        StatusCode::FORBIDDEN => Some("Forbidden"),
        _ => None,
    }
}

/// The text of the first element with this name. S3's errors are flat.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    Some(text.replace("&apos;", "'").replace("&amp;", "&"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let mut answer = Answer::new(Bytes::from(body.to_owned()));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        answer
    }

    #[test]
    fn an_s3_error_has_code_message_and_status_and_nothing_that_was_signed() {
        let body = "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>The \
                    request signature we calculated does not match &amp; so on</Message>\
                    <AWSAccessKeyId>AKIASECRET</AWSAccessKeyId><StringToSign>AWS4</StringToSign>\
                    </Error>";
        let error = error(&answer(403, body));
        assert_eq!(error.code(), Some("SignatureDoesNotMatch"));
        assert_eq!(error.status(), Some(403));
        let text = format!("{error} {error:?}");
        assert!(text.contains("does not match & so on"), "{text}");
        assert!(!text.contains("AKIASECRET") && !text.contains("AWS4"), "{text}");
    }

    #[test]
    fn an_s3_error_without_a_body_has_what_the_status_says() {
        let error = error(&answer(404, ""));
        assert_eq!((error.code(), error.status()), (Some("NotFound"), Some(404)));
        assert_eq!(error.to_string(), "NotFound: Not Found (HTTP 404)");
    }

    #[test]
    fn an_s3_error_of_the_wrong_region_names_the_right_one() {
        let mut answer = answer(301, "<Error><Code>PermanentRedirect</Code></Error>");
        answer.headers_mut().insert("x-amz-bucket-region", "eu-west-1".parse().unwrap());
        let text = error(&answer).to_string();
        assert!(text.contains("eu-west-1"), "{text}");
    }

    #[test]
    fn s3_is_asked_again_where_it_was_busy_or_broken_only() {
        for status in [429, 408, 500, 502, 503, 504] {
            assert!(is_worth_a_retry(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [200, 301, 400, 403, 404, 409, 412, 501] {
            assert!(!is_worth_a_retry(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }
}
