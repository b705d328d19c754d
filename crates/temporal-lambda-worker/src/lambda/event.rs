//! Finding out whether an event asks for a check. Any other event runs a worker, whatever its payload is.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;

/// The work that an event asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A worker.
    Work,
    /// A check; its verdict is the response.
    Check,
    /// A check that comes through a queue, a topic or an event bus, where nobody reads the response.
    UnreadCheck,
    /// Nearly a check: a worker runs, and a warning is logged.
    Unclear,
}

/// Reads what an event asks for. A check is asked for by
/// `{"temporal_lambda_worker": {"check": true}}`: as the event itself, or where AWS wraps it, as the
/// body of a request to a function URL or API Gateway, the detail of an event of EventBridge, or each
/// record of a batch from SQS or SNS.
pub(crate) fn asked(payload: &[u8]) -> Asked {
    // Any other event runs a worker, also one that is not JSON.
    warned(serde_json::from_slice::<Event>(payload).map_or(Asked::Work, Event::asked))
}

/// As [`asked`], for a payload that was parsed already.
pub(crate) fn asked_by(payload: &Value) -> Asked {
    warned(Event::deserialize(payload).map_or(Asked::Work, Event::asked))
}

fn warned(asked: Asked) -> Asked {
    if asked == Asked::Unclear {
        tracing::warn!(
            "the event holds temporal_lambda_worker, but is no check: a worker runs. A check is \
             {{\"temporal_lambda_worker\": {{\"check\": true}}}}, in each record if there are several"
        );
    }
    asked
}

/// The fields that are read. All others are skipped, whatever their values.
#[derive(Deserialize)]
struct Event {
    temporal_lambda_worker: Option<Value>,
    body: Option<String>,
    #[serde(rename = "isBase64Encoded")]
    is_base64_encoded: Option<bool>,
    detail: Option<Detail>,
    #[serde(rename = "Records")]
    records: Option<Vec<Record>>,
}

impl Event {
    fn asked(self) -> Asked {
        let event = self;
        let direct = meaning(event.temporal_lambda_worker.as_ref());
        if direct != Asked::Work {
            return direct;
        }
        if let Some(body) = &event.body {
            return if event.is_base64_encoded.unwrap_or(false) {
                BASE64_STANDARD.decode(body).map_or(Asked::Work, |body| plainly(&body))
            } else {
                plainly(body.as_bytes())
            };
        }
        if let Some(detail) = &event.detail {
            return unread(meaning(detail.temporal_lambda_worker.as_ref()));
        }
        let records = event.records.unwrap_or_default();
        let asked: Vec<_> =
            records.iter().map(Record::asked).filter(|asked| *asked != Asked::Work).collect();
        match asked.first() {
            None => Asked::Work,
            Some(first) if asked.len() == records.len() => unread(*first),
            // The other records are work, which must not wait for a check.
            Some(_) => Asked::Unclear,
        }
    }
}

#[derive(Deserialize)]
struct Detail {
    temporal_lambda_worker: Option<Value>,
}

/// A record of SQS (`body`) or SNS (`Sns`).
#[derive(Deserialize)]
struct Record {
    body: Option<String>,
    #[serde(rename = "Sns")]
    sns: Option<Notification>,
}

/// A message of SNS. A queue that subscribes to a topic has it as text.
#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "Message")]
    message: String,
}

impl Record {
    fn asked(&self) -> Asked {
        if let Some(notification) = &self.sns {
            return plainly(notification.message.as_bytes());
        }
        let Some(body) = &self.body else { return Asked::Work };
        match serde_json::from_str::<Notification>(body) {
            Ok(notification) => plainly(notification.message.as_bytes()),
            Err(_) => plainly(body.as_bytes()),
        }
    }
}

/// The work that a payload asks for which no AWS service has wrapped.
fn plainly(payload: &[u8]) -> Asked {
    serde_json::from_slice::<Detail>(payload)
        .map_or(Asked::Work, |event| meaning(event.temporal_lambda_worker.as_ref()))
}

fn meaning(request: Option<&Value>) -> Asked {
    match request.map(|request| &request["check"]) {
        None | Some(Value::Bool(false)) => Asked::Work,
        Some(Value::Bool(true)) => Asked::Check,
        Some(_) => Asked::Unclear,
    }
}

fn unread(asked: Asked) -> Asked {
    if asked == Asked::Check { Asked::UnreadCheck } else { asked }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CHECK: &str = r#"{"temporal_lambda_worker": {"check": true}}"#;

    fn of(event: &Value) -> Asked {
        asked(event.to_string().as_bytes())
    }

    #[test]
    fn only_the_exact_event_asks_for_a_check() {
        assert_eq!(asked(CHECK.as_bytes()), Asked::Check);
        for work in [r#"{"temporal_lambda_worker": {"check": false}}"#, r#"{"check": true}"#] {
            assert_eq!(asked(work.as_bytes()), Asked::Work, "{work}");
        }
        for unclear in [
            r#"{"temporal_lambda_worker": true}"#,
            r#"{"temporal_lambda_worker": {"check": "true"}}"#,
            r#"{"temporal_lambda_worker": {"cheque": true}}"#,
        ] {
            assert_eq!(asked(unclear.as_bytes()), Asked::Unclear, "{unclear}");
        }
    }

    #[test]
    fn a_parsed_payload_asks_for_the_same_as_its_text() {
        for text in [CHECK, "null", r#"{"temporal_lambda_worker": 1}"#, "[1]", "5"] {
            let payload: Value = serde_json::from_str(text).unwrap();
            assert_eq!(asked_by(&payload), asked(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn any_other_payload_runs_a_worker() {
        let deep = "[".repeat(100_000);
        let nested = format!("{{\"a\": {}1{}}}", "[".repeat(500), "]".repeat(500));
        let payloads: [&[u8]; 12] = [
            b"",
            b"   ",
            b"null",
            b"[1]",
            b"plain text",
            b"\xff\xfe\x00",
            br#"{"text": "\ud83d"}"#,
            b"{\"text\": \"\xff\xfe\"}",
            br#"{"number": 1e999}"#,
            br#"{"body": 5, "detail": [], "Records": {}}"#,
            deep.as_bytes(),
            nested.as_bytes(),
        ];
        for payload in payloads {
            let shown = String::from_utf8_lossy(&payload[..payload.len().min(40)]);
            assert_eq!(asked(payload), Asked::Work, "{shown}");
        }
    }

    #[test]
    fn a_check_is_found_beside_values_that_a_strict_parser_refuses() {
        let event = r#"{"text": "\ud83d", "n": 1e999, "temporal_lambda_worker": {"check": true}}"#;
        assert_eq!(asked(event.as_bytes()), Asked::Check);
    }

    #[test]
    fn the_body_of_an_http_request_can_ask_for_a_check() {
        let request =
            json!({"version": "2.0", "headers": {}, "body": CHECK, "isBase64Encoded": false});
        assert_eq!(of(&request), Asked::Check);
        let encoded = BASE64_STANDARD.encode(CHECK);
        assert_eq!(of(&json!({"body": encoded, "isBase64Encoded": true})), Asked::Check);
        assert_eq!(of(&json!({"body": "!!", "isBase64Encoded": true})), Asked::Work);
        assert_eq!(of(&json!({"body": null, "httpMethod": "GET"})), Asked::Work);
    }

    #[test]
    fn a_check_can_come_through_a_queue_a_topic_or_an_event_bus() {
        let topic = json!({"Sns": {"Message": CHECK}});
        let notification = json!({"Type": "Notification", "Message": CHECK}).to_string();
        for record in [json!({"body": CHECK}), topic, json!({"body": notification})] {
            assert_eq!(of(&json!({"Records": [record]})), Asked::UnreadCheck, "{record}");
        }
        let detail: Value = serde_json::from_str(CHECK).unwrap();
        assert_eq!(of(&json!({"detail-type": "x", "detail": detail})), Asked::UnreadCheck);
    }

    #[test]
    fn a_batch_with_a_check_and_other_records_runs_a_worker() {
        let records = json!({"Records": [{"body": CHECK}, {"body": "order 7"}]});
        assert_eq!(of(&records), Asked::Unclear);
        assert_eq!(of(&json!({"Records": []})), Asked::Work);
        assert_eq!(of(&json!({"Records": [{"s3": {}}]})), Asked::Work);
    }
}
