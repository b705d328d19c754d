//! The error in an answer: in JSON, where Lambda and CloudWatch Logs have it, or in XML.

use serde_json::Value;

/// The name of an error, and what it says.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub(super) code: String,
    pub(super) message: String,
}

impl Said {
    /// The error in an answer with this status, this `x-amzn-errortype` and this body.
    pub(super) fn in_an_answer(status: u16, header: Option<&str>, body: &[u8]) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let xml = String::from_utf8_lossy(body);
        let field = |name: &str| json[name].as_str().map(str::to_owned);
        let element = |name: &str| {
            let (_, after) = xml.split_once(&format!("<{name}>"))?;
            Some(after.split_once("</")?.0.to_owned())
        };
        let code = header.map(str::to_owned).or_else(|| field("__type"));
        let code = code.or_else(|| field("Code")).or_else(|| element("Code"));
        let code = code.unwrap_or_else(|| of_status(status).to_owned());
        // `ServiceException:http://...` in a header, `com.amazonaws.logs#ServiceException` in a body.
        let code = code.split(':').next().unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default().to_owned();
        let message = field("message").or_else(|| field("Message")).or_else(|| element("Message"));
        Self { code, message: message.unwrap_or_else(|| format!("HTTP status {status}")) }
    }
}

/// What an answer that names no error means.
fn of_status(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDenied",
        404 => "ResourceNotFoundException",
        429 => "TooManyRequestsException",
        500.. => "ServiceUnavailable",
        _ => "an unknown error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, header: Option<&str>, body: &str) -> [String; 2] {
        let Said { code, message } = Said::in_an_answer(status, header, body.as_bytes());
        [code, message]
    }

    #[test]
    fn errors_are_read_from_headers_json_and_xml() {
        let json = said(409, Some("ResourceConflictException:http://a"), r#"{"Message": "busy"}"#);
        assert_eq!(json, ["ResourceConflictException", "busy"]);
        let logs = said(
            400,
            None,
            r#"{"__type": "com.amazonaws#AccessDeniedException", "message": "no"}"#,
        );
        assert_eq!(logs, ["AccessDeniedException", "no"]);
        let xml = "<Response><Errors><Error><Code>AccessDenied</Code><Message>no</Message></Error></Errors></Response>";
        assert_eq!(said(403, None, xml), ["AccessDenied", "no"]);
    }

    #[test]
    fn an_answer_without_an_error_is_known_by_its_status() {
        assert_eq!(said(503, None, "<html>"), ["ServiceUnavailable", "HTTP status 503"]);
        assert_eq!(said(403, None, ""), ["AccessDenied", "HTTP status 403"]);
    }
}
