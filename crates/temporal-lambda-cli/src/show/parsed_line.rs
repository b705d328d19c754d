//! What a function writes: lifecycle moves and other lines.

use serde::Deserialize;

/// One line of a function's log, as far as it is understood.
#[derive(Debug, PartialEq)]
pub(crate) enum ParsedLine {
    /// The worker's lifecycle moved.
    Moved(Move),
    /// Another `tracing` event.
    Event { level: String, message: String },
    /// Anything else.
    Text(String),
}

/// A move of the worker's lifecycle.
#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct Move {
    pub(crate) request_id: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) state: String,
    pub(crate) event: String,
    pub(crate) elapsed_ms: u64,
    pub(crate) time_left_ms: Option<u64>,
}

/// A line of `tracing-subscriber`'s JSON format. `lambda_runtime`'s subscriber leaves the target
/// out, so a move is told by its fields. `run_worker`'s subscriber has them at the top level, others
/// have them in `fields`.
#[derive(Deserialize)]
struct Json {
    level: String,
    fields: Option<serde_json::Value>,
    #[serde(flatten)]
    flat: serde_json::Map<String, serde_json::Value>,
}

impl ParsedLine {
    pub(crate) fn parse(text: &str) -> Self {
        let Ok(Json { level, fields, flat }) = serde_json::from_str(text) else {
            return Self::Text(text.to_owned());
        };
        let fields = fields.unwrap_or(serde_json::Value::Object(flat));
        if let Ok(moved) = Move::deserialize(&fields) {
            return Self::Moved(moved);
        }
        let message = fields.get("message").and_then(|it| it.as_str());
        let message = message.map_or_else(|| fields.to_string(), str::to_owned);
        Self::Event { level, message }
    }

    /// Whether its level is WARN or ERROR.
    pub(crate) fn is_warning(&self) -> bool {
        matches!(self, Self::Event { level, .. } if level == "WARN" || level == "ERROR")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_understood() {
        let line = r#"{"timestamp":"2026-01-01T00:00:00Z","level":"INFO","fields":{"message":
            "lifecycle","request_id":"r-1","from":"ColdStart","to":"Configuring",
            "state":"Configuring","event":"Invoked","elapsed_ms":0,"time_left_ms":19999}}"#;
        let ParsedLine::Moved(moved) = ParsedLine::parse(line) else { panic!("not a move") };
        assert_eq!((moved.from.as_str(), moved.to.as_str()), ("ColdStart", "Configuring"));
        assert_eq!(moved.time_left_ms, Some(19_999));
    }

    #[test]
    fn other_lines_are_kept() {
        assert_eq!(ParsedLine::parse("hello"), ParsedLine::Text("hello".to_owned()));
        let warning =
            ParsedLine::parse(r#"{"level":"WARN","target":"a","fields":{"message":"late"}}"#);
        assert!(warning.is_warning());
    }
}
