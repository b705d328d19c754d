//! The calls that the server refused or left unanswered, for the report and for the fault of an invocation.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use temporalio_client::ConnectionOptions;
use temporalio_client::tonic::{Code, Status};
use tokio::sync::Notify;

use super::channel::is_unanswered;
use super::server::ABOUT_CREDENTIALS;
use crate::config::conceal;
use crate::error::Fault;
use crate::report::ServerTrouble;

/// How many different kinds of trouble are kept: 8.
const KINDS: usize = 8;

/// A poll that ends with its connection after this long was accepted: 1 s. A server or proxy that refuses a poll
/// does so sooner.
const TAKEN: Duration = Duration::from_secs(1);

/// The trouble that one worker had with its server.
pub(crate) struct Trouble {
    noted: Mutex<Noted>,
    options: ConnectionOptions,
    /// Whether the server has answered when the connection was made.
    has_answered: bool,
    poll_failed: Notify,
}

#[derive(Default)]
struct Noted {
    kinds: Vec<ServerTrouble>,
    polls_taken: u64,
    /// Whether nobody has answered the last poll that failed.
    is_unanswered: bool,
    /// The answers to tasks that the server has not taken yet, by the names of the calls.
    answers: Vec<String>,
}

/// An answer to a task that the server has not taken yet.
pub(crate) struct AnswerUntaken<'a>(&'a Trouble, String);

impl Drop for AnswerUntaken<'_> {
    fn drop(&mut self) {
        let answers = &mut self.0.lock().answers;
        if let Some(place) = answers.iter().position(|rpc| *rpc == self.1) {
            answers.swap_remove(place);
        }
    }
}

impl Trouble {
    pub(crate) fn new(options: &ConnectionOptions, has_answered: bool) -> Self {
        let (noted, options) = (Mutex::default(), options.clone());
        Self { noted, options, has_answered, poll_failed: Notify::new() }
    }

    /// The server has accepted a poll: it has answered it, or has had it for [`TAKEN`].
    pub(crate) fn poll_is_taken(&self) {
        self.lock().polls_taken += 1;
    }

    /// A poll has failed after this time, in whatever way: a worker can only try again.
    pub(crate) fn poll_failed(&self, rpc: &str, status: &Status, after: Duration) {
        if after >= TAKEN {
            self.poll_is_taken();
        }
        self.lock().is_unanswered = is_unanswered(status);
        self.note(rpc, status);
        self.poll_failed.notify_one();
    }

    /// Waits until a poll has failed.
    pub(crate) async fn a_poll_failed(&self) {
        self.poll_failed.notified().await;
    }

    /// A call has failed. A status that answers the call's contents does not count as trouble.
    pub(crate) fn call_failed(&self, rpc: &str, status: &Status) {
        let is_refused = matches!(
            status.code(),
            Code::Unavailable
                | Code::ResourceExhausted
                | Code::DeadlineExceeded
                | Code::Internal
                | Code::Unknown
                | Code::PermissionDenied
                | Code::Unauthenticated
        );
        if is_refused || is_unanswered(status) {
            self.note(rpc, status);
        }
    }

    /// Counts an answer to a task as not taken by the server until the result is dropped.
    pub(crate) fn answer_begins(&self, rpc: &str) -> AnswerUntaken<'_> {
        self.lock().answers.push(rpc.to_owned());
        AnswerUntaken(self, rpc.to_owned())
    }

    /// The worker is given up: what it waited for is the server's.
    pub(crate) fn worker_is_given_up(&self) {
        let waiting = self.lock().answers.clone();
        for rpc in waiting {
            self.note(&rpc, &Status::deadline_exceeded("no answer came in the worker's time"));
        }
    }

    /// A server's message without the credentials that it may quote.
    pub(crate) fn conceal(&self, text: String) -> String {
        conceal(text, &self.options)
    }

    /// Everything so far.
    pub(crate) fn noted(&self) -> Vec<ServerTrouble> {
        self.lock().kinds.clone()
    }

    /// The reason on the server's side, if it let the worker not poll at all or, for a worker that was `given_up`, not
    /// end: trouble of its own, credentials that it does not take, or that it was never there.
    pub(crate) fn fault(&self, given_up: bool) -> Option<Fault> {
        let noted = self.lock();
        if !given_up && noted.polls_taken > 0 {
            return None;
        }
        let kinds = noted.kinds.iter().filter(|it| given_up || it.call.starts_with("Poll"));
        let worst = kinds.max_by_key(|it| it.count)?;
        let (target, code) = (self.options.target.to_string(), worst.status.clone());
        let (call, count, reason) = (worst.call.clone(), worst.count, worst.last.clone());
        let is_refused = ABOUT_CREDENTIALS.iter().any(|it| format!("{it:?}") == code);
        Some(match given_up {
            false if noted.is_unanswered && !self.has_answered => {
                Fault::Unreachable { target, reason }
            }
            false if is_refused => Fault::Refused { target, code, reason },
            _ => Fault::ServerTrouble { target, call, code, count, reason },
        })
    }

    fn note(&self, rpc: &str, status: &Status) {
        let words = self.conceal(status.message().to_owned());
        let code = format!("{:?}", status.code());
        let mut noted = self.lock();
        if let Some(known) = noted.kinds.iter_mut().find(|it| it.call == rpc && it.status == code) {
            known.count += 1;
            known.last = words;
            return;
        }
        // One line per invocation; the rest is in its report.
        if noted.kinds.is_empty() {
            tracing::warn!(
                call = rpc,
                status = code,
                message = words,
                "the server refuses calls or leaves them unanswered; they are tried again, and the \
                 report counts them as server_trouble"
            );
        }
        if noted.kinds.len() < KINDS {
            let (first, last) = (words.clone(), words);
            noted.kinds.push(ServerTrouble {
                call: rpc.to_owned(),
                status: code,
                count: 1,
                first,
                last,
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use temporalio_client::Url;

    use super::*;

    #[test]
    fn a_server_that_was_never_there_is_told_from_one_that_went_away_and_one_that_refuses() {
        let options = ConnectionOptions::new(Url::parse("http://nowhere:7233").unwrap()).build();
        let broken = Status::from_error(Box::new(std::io::Error::other("broken pipe")));
        let refused = Status::unavailable("no");
        for (has_answered, status, expected) in [
            (false, &broken, "TemporalUnreachable"),
            (true, &broken, "ServerTrouble"),
            (false, &refused, "ServerTrouble"),
            (false, &Status::permission_denied("no"), "TemporalRefused"),
        ] {
            let trouble = Trouble::new(&options, has_answered);
            trouble.poll_failed("PollWorkflowTaskQueue", status, Duration::ZERO);
            assert_eq!(trouble.fault(false).unwrap().error_type(), expected, "{status:?}");
            trouble.poll_is_taken();
            assert!(trouble.fault(false).is_none(), "it polled");
        }
    }
}
