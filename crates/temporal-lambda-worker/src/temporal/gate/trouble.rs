//! What the server refused, or left unanswered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use temporalio_client::ConnectionOptions;
use temporalio_client::tonic::{Code, Status};

use crate::error::Fault;
use crate::report::ServerTrouble;
use crate::temporal::channel::is_unanswered;
use crate::temporal::connect::conceal;

/// Different kinds of trouble that are kept: 8. More would be noise.
const KINDS: usize = 8;

/// A poll that ends with its connection after this long was waiting for a task: 1 s. What refuses a
/// poll does so sooner.
const TAKEN: Duration = Duration::from_secs(1);

/// The trouble that one worker had with its server. Clones share it.
#[derive(Clone)]
pub(super) struct Trouble {
    noted: Arc<Mutex<Noted>>,
    options: Arc<ConnectionOptions>,
}

#[derive(Default)]
struct Noted {
    kinds: Vec<ServerTrouble>,
    polls_taken: u64,
}

impl Trouble {
    pub(super) fn new(options: &ConnectionOptions) -> Self {
        Self { noted: Arc::default(), options: Arc::new(options.clone()) }
    }

    /// The server has taken a poll: it has answered it, or had it for long enough to have.
    pub(super) fn poll_is_taken(&self) {
        self.lock().polls_taken += 1;
    }

    /// A poll has failed after so long a time, in whatever way: a worker can do nothing else than to
    /// try again.
    pub(super) fn poll_failed(&self, rpc: &str, status: &Status, after: Duration) {
        if after >= TAKEN {
            self.poll_is_taken();
        }
        self.note(rpc, status);
    }

    /// A call has failed. Only what is no answer to its contents is trouble.
    pub(super) fn call_failed(&self, rpc: &str, status: &Status) {
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

    /// What a server may have quoted, without the credentials.
    pub(super) fn conceal(&self, text: String) -> String {
        conceal(text, &self.options)
    }

    /// Everything so far.
    pub(super) fn noted(&self) -> Vec<ServerTrouble> {
        self.lock().kinds.clone()
    }

    /// The fault of the server towards a worker that could not poll at all.
    pub(super) fn never_polled(&self) -> Option<Fault> {
        let noted = self.lock();
        let polls = noted.kinds.iter().filter(|it| it.call.starts_with("Poll"));
        polls.max_by_key(|it| it.count).filter(|_| noted.polls_taken == 0).map(|it| self.fault(it))
    }

    /// The fault of the server towards a worker that could not end.
    pub(super) fn worst(&self) -> Option<Fault> {
        self.lock().kinds.iter().max_by_key(|it| it.count).map(|it| self.fault(it))
    }

    fn fault(&self, trouble: &ServerTrouble) -> Fault {
        Fault::ServerTrouble {
            target: self.options.target.to_string(),
            call: trouble.call.clone(),
            code: trouble.status.clone(),
            count: trouble.count,
            reason: trouble.last.clone(),
        }
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
        // One line for an invocation; the rest is in its report.
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
