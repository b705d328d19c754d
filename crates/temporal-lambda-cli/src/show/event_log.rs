//! Prints what happens in the emulator, a line each, with its time.

use std::fmt::Display;
use std::time::Instant;

use temporal_lambda_testkit::lambda::{EmulatorEvent, EnvEvent, Invocation};
use temporal_lambda_worker::InvocationReport;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::show::paint;
use crate::show::parsed_line::{Move, ParsedLine};

/// Times of lines, from the start of the command.
#[derive(Clone, Copy)]
pub(crate) struct Timestamps {
    began: Instant,
}

impl Timestamps {
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now() }
    }

    /// Prints a line: the time, who, what.
    pub(crate) fn print(self, who: &str, what: impl Display) {
        println!("{}", self.line(who, what));
    }

    /// The line, to be printed by somebody else.
    pub(crate) fn line(self, who: &str, what: impl Display) -> String {
        let time = format!("{:7.2} s", self.began.elapsed().as_secs_f64());
        format!("{}  {}  {what}", paint::dim(time), paint::cyan(format!("{who:<11}")))
    }
}

/// Prints an emulator's events for as long as it lives.
pub(crate) struct EventLog {
    task: JoinHandle<()>,
    questions: mpsc::UnboundedSender<oneshot::Sender<()>>,
}

impl EventLog {
    pub(crate) fn start(timestamps: Timestamps, mut events: Receiver<EmulatorEvent>) -> Self {
        let (questions, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        let task = tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    // Events first: a question is answered when there are none left.
                    biased;
                    event = events.recv() => event,
                    question = asked.recv() => match question {
                        // A failure means that nobody waits any more.
                        Some(question) => { let _ = question.send(()); continue }
                        None => return,
                    },
                };
                match event {
                    Ok(event) => {
                        if let Some((who, what)) = describe(&event) {
                            timestamps.print(&who, what);
                        }
                    }
                    Err(RecvError::Lagged(missed)) => {
                        timestamps
                            .print("", format!("({missed} events were too fast to be shown)"));
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        });
        Self { task, questions }
    }

    /// Waits until everything that has happened is printed.
    pub(crate) async fn caught_up(&self) {
        let (answer, answered) = oneshot::channel();
        if self.questions.send(answer).is_ok() {
            // It only fails when the task panicked, which has been printed.
            let _ = answered.await;
        }
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Who did what, when it is worth a line.
pub(crate) fn describe(event: &EmulatorEvent) -> Option<(String, String)> {
    match event {
        EmulatorEvent::ApiCall { operation: "Invoke", status, .. } => {
            Some(("controller".to_owned(), format!("the server calls Invoke ({status})")))
        }
        EmulatorEvent::Environment { environment, pid, event, .. } => {
            Some((environment.to_string(), environment_event(event, *pid)?))
        }
        EmulatorEvent::Log { environment, line, .. } => {
            Some((environment.to_string(), log(&ParsedLine::parse(&line.text))?))
        }
        EmulatorEvent::Finished { invocation, .. } => {
            Some((invocation.environment.clone(), finished(invocation)))
        }
        EmulatorEvent::Retrying { request_id, attempt, .. } => Some((
            "lambda".to_owned(),
            format!("{} failed and will be tried again (attempt {attempt})", short(request_id)),
        )),
        _ => None,
    }
}

fn environment_event(event: &EnvEvent, pid: Option<u32>) -> Option<String> {
    Some(match event {
        EnvEvent::Spawned => match pid {
            Some(pid) => format!("cold start: process {pid}"),
            None => "cold start".to_owned(),
        },
        EnvEvent::Ready => "init is over".to_owned(),
        EnvEvent::EventHandedOut { request_id } => {
            format!("invocation {} begins", short(request_id))
        }
        EnvEvent::Frozen => paint::dim("frozen: nothing runs, nothing is billed"),
        EnvEvent::Thawed => paint::dim("thawed"),
        EnvEvent::InitErrorPosted { error_type } => {
            paint::red(format!("its init failed: {error_type}"))
        }
        EnvEvent::Killed => paint::dim("taken away"),
        _ => return None,
    })
}

/// A line that is not JSON is printed as it is; what other crates log in JSON is not, unless it warns.
fn log(line: &ParsedLine) -> Option<String> {
    match line {
        ParsedLine::Moved(moved) => (moved.from != moved.to).then(|| transition(moved)),
        ParsedLine::Event { level, message, .. } if line.is_warning() => {
            let painted = if level == "ERROR" { paint::red } else { paint::yellow };
            Some(painted(format!("{level} {message}")))
        }
        ParsedLine::Event { .. } => None,
        ParsedLine::Text(text) => (!text.trim().is_empty()).then(|| text.clone()),
    }
}

fn transition(moved: &Move) -> String {
    let moves = format!("{} -> {}", moved.from, moved.to);
    let left = moved.time_left_ms.map_or_else(String::new, |left| {
        #[allow(clippy::cast_precision_loss, reason = "a Lambda invocation has at most 900 s")]
        let seconds = left as f64 / 1000.0;
        format!(", {seconds:.1} s left")
    });
    let at = paint::dim(format!("at {} ms{left}", moved.elapsed_ms));
    format!("  {:<12} {moves:<26} {:<14} {at}", moved.state, moved.event)
}

fn finished(invocation: &Invocation) -> String {
    let id = short(&invocation.request_id);
    let billed = invocation.billed.as_millis();
    let memory = invocation
        .max_memory_kb
        .map_or_else(String::new, |kb| format!(", peak memory {} MB", kb.div_ceil(1024)));
    let left = invocation.time_left_at_response.as_secs_f64();
    let Some(report) = report(invocation) else {
        let said = if invocation.outcome.is_success() { paint::bold } else { paint::red };
        return format!(
            "{} billed {billed} ms{memory}",
            said(format!("invocation {id} ended: {};", invocation.outcome))
        );
    };
    let reason = report.reason.map_or_else(String::new, |reason| format!(" ({reason:?})"));
    format!(
        "{} {}, {left:.1} s left, billed {billed} ms{memory}",
        paint::green(format!("invocation {id} done{reason}:")),
        tasks(&report)
    )
}

/// The report that the function returned, if it is one.
pub(crate) fn report(invocation: &Invocation) -> Option<InvocationReport> {
    let body = invocation.outcome.response()?;
    let report: InvocationReport = serde_json::from_slice(body).ok()?;
    (!report.request_id.is_empty()).then_some(report)
}

/// What became of an invocation's tasks, in words.
pub(crate) fn tasks(report: &InvocationReport) -> String {
    let tasks = report.tasks;
    let kinds = [
        ("workflow task", tasks.workflow),
        ("activity", tasks.activity),
        ("local activity", tasks.local_activity),
    ];
    let mut words = Vec::new();
    for (kind, counts) in kinds {
        let ends = [
            ("", counts.completed),
            ("failed ", counts.failed),
            ("cancelled ", counts.cancelled),
            ("abandoned ", counts.abandoned),
        ];
        for (how, count) in ends.into_iter().filter(|(_, count)| *count > 0) {
            words.push(format!("{count} {how}{}", plural(kind, count)));
        }
    }
    if words.is_empty() { "no tasks".to_owned() } else { words.join(", ") }
}

/// The word for so many of a kind.
pub(crate) fn plural(kind: &str, count: u64) -> String {
    match kind.strip_suffix('y') {
        _ if count == 1 => kind.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    }
}

/// The start of a request ID, enough to tell it from others.
pub(crate) fn short(request_id: &str) -> &str {
    request_id.get(..8).unwrap_or(request_id)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_counted_in_words() {
        let report: InvocationReport = serde_json::from_str(
            r#"{"tasks":{"workflow":{"completed":2},"activity":{"completed":1,"abandoned":2}}}"#,
        )
        .unwrap();
        assert_eq!(tasks(&report), "2 workflow tasks, 1 activity, 2 abandoned activities");
        assert_eq!(tasks(&InvocationReport::default()), "no tasks");
    }

    #[test]
    fn moves_within_a_step_are_not_printed() {
        let moved = |to: &str| {
            ParsedLine::Moved(Move {
                request_id: "r".to_owned(),
                from: "Polling".to_owned(),
                to: to.to_owned(),
                state: "Polling".to_owned(),
                event: "Busy".to_owned(),
                elapsed_ms: 12,
                time_left_ms: Some(1500),
            })
        };
        assert_eq!(log(&moved("Polling")), None);
        assert!(log(&moved("Stopping")).unwrap().contains("at 12 ms, 1.5 s left"));
    }
}
