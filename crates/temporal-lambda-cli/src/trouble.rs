//! What an invocation's report says of trouble that is not a failure of the invocation: workflows
//! that stand still, calls that the server refused, and diagnoses.

use std::collections::HashSet;

use temporal_lambda_worker::InvocationReport;

/// The most characters of a failure that are shown.
const LONGEST: usize = 200;
/// The most troubles that are kept in mind. With more, all are forgotten, and told again.
const KEPT: usize = 1000;

/// One trouble, in a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trouble {
    /// What makes it the same as one in another report; counts and attempts do not matter.
    same: String,
    /// What it is about, a word or two.
    pub(crate) about: &'static str,
    pub(crate) text: String,
}

/// The troubles that were shown already.
#[derive(Default)]
pub(crate) struct KnownTroubles {
    known: HashSet<String>,
}

impl KnownTroubles {
    /// The troubles of a report that no earlier report had.
    pub(crate) fn new_ones(&mut self, body: &[u8]) -> Vec<Trouble> {
        let mut troubles = troubles(body);
        troubles.retain(|trouble| {
            if self.known.len() >= KEPT {
                self.known.clear();
            }
            self.known.insert(trouble.same.clone())
        });
        troubles
    }
}

/// Every trouble in a report. What is not a report has none.
pub(crate) fn troubles(body: &[u8]) -> Vec<Trouble> {
    let report: InvocationReport = serde_json::from_slice(body).unwrap_or_default();
    let mut troubles = Vec::new();
    for task in report.failed_workflow_tasks {
        let (id, kind) = (line(&task.workflow_id), line(&task.workflow_type));
        let failure = line(&task.failure);
        let kind = if kind.is_empty() { kind } else { format!(" ({kind})") };
        let attempt = match task.attempt {
            0 => String::new(),
            attempt => format!(" at attempt {attempt}"),
        };
        troubles.push(Trouble {
            same: format!("workflow {} {} {failure}", task.workflow_id, task.run_id),
            about: "workflow",
            text: format!("workflow {id}{kind}: its task failed{attempt}: {failure}"),
        });
    }
    for trouble in report.server_trouble {
        let (call, status, count) = (line(&trouble.call), line(&trouble.status), trouble.count);
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
        troubles.push(Trouble {
            same: format!("server {call} {status}"),
            about: "server",
            text: format!("the server: {call} ended in {status} {times}: {}", line(&trouble.last)),
        });
    }
    for diagnosis in report.diagnoses {
        let text = line(&diagnosis.text);
        troubles.push(Trouble { same: format!("diagnosis {text}"), about: "diagnosis", text });
    }
    troubles
}

/// A text as one short line that a terminal shows as it is.
fn line(text: &str) -> String {
    let mut characters = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    let mut line: String = characters.by_ref().take(LONGEST).collect();
    if characters.next().is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(troubles: Vec<Trouble>) -> Vec<String> {
        troubles.into_iter().map(|it| it.text).collect()
    }

    fn stuck(attempt: u32, failure: &str) -> Vec<u8> {
        let task = serde_json::json!({
            "workflow_id": "order", "run_id": "r", "workflow_type": "Order", "attempt": attempt,
            "failure": failure,
        });
        serde_json::json!({ "request_id": "i", "failed_workflow_tasks": [task] })
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_workflow_and_its_failure_are_told_once() {
        let mut told = KnownTroubles::default();
        let first = texts(told.new_ones(&stuck(1, "no such type")));
        assert_eq!(first, ["workflow order (Order): its task failed at attempt 1: no such type"]);
        assert_eq!(told.new_ones(&stuck(2, "no such type")), []);
        let other = texts(told.new_ones(&stuck(3, "another")));
        assert_eq!(other, ["workflow order (Order): its task failed at attempt 3: another"]);
    }

    #[test]
    fn a_failure_is_one_line_of_limited_length() {
        let told = texts(troubles(&stuck(1, &"a\n\u{1b}".repeat(1000))));
        assert!(!told[0].contains(char::is_control), "{told:?}");
        assert!(told[0].chars().count() < LONGEST + 80, "{told:?}");
    }

    #[test]
    fn refused_calls_and_diagnoses_are_told() {
        let report = br#"{"request_id": "i",
            "server_trouble": [{"call": "PollActivityTaskQueue", "status": "ResourceExhausted",
                "count": 3, "first": "slow down", "last": "slower"}],
            "diagnoses": [{"kind": "clock", "text": "the clock is wrong"}]}"#;
        let expected = [
            "the server: PollActivityTaskQueue ended in ResourceExhausted 3 times: slower",
            "the clock is wrong",
        ];
        assert_eq!(texts(troubles(report)), expected);
    }

    #[test]
    fn what_is_not_a_report_has_no_troubles() {
        for body in [&b""[..], b"null", b"{}", br#"{"diagnoses": 5}"#, br#"{"diagnoses": [5]}"#] {
            assert_eq!(troubles(body), []);
        }
    }
}
