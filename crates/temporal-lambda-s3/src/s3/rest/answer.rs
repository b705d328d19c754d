//! What S3's answers mean.

use std::borrow::Cow;
use std::time::Duration;

use http::{StatusCode, header};

use crate::s3::error::S3Error;
use crate::s3::http::Answer;

/// Whether the same request, signed anew, may be answered otherwise in a moment: throttled (503
/// `SlowDown`, 429), broken inside, or too late. 501 is none of these. A frozen environment sends
/// late what it signed before.
pub(super) fn is_worth_a_retry(answer: &Answer) -> bool {
    match answer.status() {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => true,
        StatusCode::NOT_IMPLEMENTED => false,
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => {
            let code = element(&text(answer), "Code");
            matches!(code.as_deref(), Some("RequestTimeout" | "RequestTimeTooSkewed"))
        }
        status => status.is_server_error(),
    }
}

/// How long the server wants to be left alone. A date instead of seconds does not count.
pub(super) fn retry_after(answer: &Answer) -> Option<Duration> {
    let seconds = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// The error in an answer to a client of `client_region`. Only its code and message are taken: the
/// rest of the XML may have the access key and what was signed.
pub(super) fn error(answer: &Answer, client_region: &str) -> S3Error {
    let status = answer.status();
    let body = text(answer);
    let code = element(&body, "Code").or_else(|| code_of(status).map(str::to_owned));
    let message = element(&body, "Message").unwrap_or_else(|| {
        status.canonical_reason().unwrap_or("S3 refused the request").to_owned()
    });
    let mut error = S3Error::new(message).with_status(status.as_u16());
    if let Some(code) = &code {
        error = error.with_code(code);
    }
    let region = answer.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
    let region = region.filter(|region| *region != client_region);
    match (code.as_deref(), status, region) {
        (Some("RequestTimeTooSkewed"), ..) => {
            error.with_advice("this machine's clock and the server's differ")
        }
        (Some("ExpiredToken"), ..) => error.with_advice(
            "the client's credentials have expired: a provider must give others before they do",
        ),
        (Some("InvalidAccessKeyId" | "InvalidToken" | "SignatureDoesNotMatch"), ..) => {
            error.with_advice("the client's credentials are not valid at this server")
        }
        (_, StatusCode::MOVED_PERMANENTLY | StatusCode::BAD_REQUEST, Some(region)) => {
            error.with_advice(&format!("the bucket is in {region}: set the client's region"))
        }
        (Some("AccessDenied" | "Forbidden"), ..) => error.with_advice(
            "the role must allow s3:PutObject and s3:GetObject on the bucket's objects",
        ),
        _ => error,
    }
}

fn text(answer: &Answer) -> Cow<'_, str> {
    String::from_utf8_lossy(answer.body())
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

    fn error(answer: &Answer) -> S3Error {
        super::error(answer, "us-east-1")
    }

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
    fn an_s3_error_blames_permissions_only_where_they_are_the_reason() {
        for (status, code, reason) in [
            (403, "AccessDenied", "s3:PutObject"),
            (403, "RequestTimeTooSkewed", "clock"),
            (403, "InvalidAccessKeyId", "credentials"),
            (403, "SignatureDoesNotMatch", "credentials"),
            (400, "ExpiredToken", "expired"),
            (400, "InvalidToken", "credentials"),
        ] {
            let text = error(&answer(status, &format!("<Error><Code>{code}</Code></Error>")));
            let text = text.to_string();
            assert!(text.contains(reason), "{text}");
            assert_eq!(text.contains("s3:PutObject"), code == "AccessDenied", "{text}");
        }
    }

    #[test]
    fn s3_is_asked_again_where_it_was_busy_or_broken_only() {
        for status in [429, 408, 500, 502, 503, 504] {
            assert!(is_worth_a_retry(&answer(status, "")), "{status}");
        }
        for status in [200, 301, 400, 403, 404, 409, 412, 501] {
            assert!(!is_worth_a_retry(&answer(status, "")), "{status}");
        }
    }
}
