//! Diagnoses in the report of an invocation: why no task comes ([`nothing`]), which activity is too long for an
//! invocation ([`fit`]), and that activities wait for slots ([`slots`]).
//!
//! Those files judge; this one finds out when there is something to judge. The server is [asked](ask) only when
//! something looks odd. No exit waits for its answer: one that comes after the worker's end is dropped.

mod ask;
mod fit;
mod memory;
mod nothing;
mod said;
pub(super) mod slots;

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use temporalio_client::Connection;
use temporalio_sdk::WorkerOptions;
use temporalio_sdk::activities::ActivityInfo;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::gate::Gate;
use super::in_flight::InFlight;
use crate::config::Variables;
use crate::invocation::{Invocation, Scope};
use crate::report::{Diagnosis, DiagnosisKind, ServerTrouble};
use ask::Asked;
use fit::{Attempt, Window};
use nothing::Worker;
use said::Said;
use slots::Occupied;

pub(super) use memory::Memory;

/// A task that waited for a worker has arrived within this time after the first poll: 0.4 s. The server
/// takes up to 0.25 s, and the rest allows for a slow network.
const TASK_COMES_WITHIN: Duration = Duration::from_millis(400);

/// The worker and the function that the diagnoses are about.
pub(super) struct Subject<'a> {
    pub(super) memory: &'a Memory,
    pub(super) connection: Connection,
    pub(super) namespace: &'a str,
    pub(super) options: &'a WorkerOptions,
    pub(super) invocation: &'a Invocation,
    /// When polling ends in any case. `None`: there is no deadline.
    pub(super) stop: Option<Instant>,
}

/// An activity that has begun.
pub(super) struct Begun {
    activity: String,
    at: Instant,
}

/// The diagnoses of one invocation. Clones share them.
#[derive(Clone)]
pub(super) struct Diagnoses(Arc<Inner>);

struct Inner {
    memory: Memory,
    worker: Worker,
    asked: Asked,
    window: Option<Window>,
    /// Whether the worker limits how many activities begin in a second: then they do not wait for slots.
    is_rate_limited: bool,
    in_flight: InFlight,
    gate: Arc<Gate>,
    scope: Scope,
    threads: Handle,
    /// Whether the worker has polled.
    has_polled: AtomicBool,
    /// Whether polls may begin.
    is_open: AtomicBool,
    /// Whether the worker ends, and its activities with it.
    is_ending: AtomicBool,
    /// Whether the server was asked why no task comes, and has answered.
    is_answered: AtomicBool,
    /// Whether the server was asked how many activities wait.
    is_asked_for_backlog: AtomicBool,
    said: Said,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How the slots were used while polls could begin, if they were full.
    full: Option<Occupied>,
    /// How many activities waited meanwhile.
    backlog: Option<i64>,
    asking: JoinSet<()>,
}

impl Diagnoses {
    pub(super) fn new(
        subject: Subject<'_>,
        in_flight: InFlight,
        gate: Arc<Gate>,
        threads: Handle,
    ) -> Self {
        let Subject { memory, connection, namespace, options, invocation, stop } = subject;
        let version = &options.deployment_options.version;
        let grace = options.graceful_shutdown_period.unwrap_or_default();
        let window = stop.zip(invocation.remaining_time()).map(|(stop, left)| {
            let time = stop.saturating_duration_since(Instant::now()).saturating_add(grace);
            Window { time, beside: left.saturating_sub(time) }
        });
        Self(Arc::new(Inner {
            memory: memory.clone(),
            worker: Worker {
                deployment_name: version.deployment_name.clone(),
                build_id: version.build_id.clone(),
                task_queue: options.task_queue.clone(),
            },
            asked: Asked { connection, namespace: namespace.to_owned() },
            window,
            is_rate_limited: options.max_worker_activities_per_second.is_some(),
            in_flight,
            gate,
            scope: invocation.scope().clone(),
            threads,
            has_polled: AtomicBool::new(false),
            is_open: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            is_answered: AtomicBool::new(false),
            is_asked_for_backlog: AtomicBool::new(false),
            said: Said::default(),
            state: Mutex::default(),
        }))
    }

    /// The diagnoses so far.
    pub(super) fn said(&self) -> Vec<Diagnosis> {
        self.0.said.so_far()
    }

    /// Polls may begin, for the first time or again.
    pub(super) fn polling_begins(&self) {
        self.0.is_open.store(true, Ordering::SeqCst);
        self.0.in_flight.polls_are_held(false);
        if !self.0.has_polled.swap(true, Ordering::SeqCst) {
            self.ask_why_if_need_be();
        }
    }

    /// Polls are held back; they may begin again later.
    pub(super) fn polling_pauses(&self) {
        if !self.0.is_open.swap(false, Ordering::SeqCst) {
            return;
        }
        let occupied = self.0.in_flight.occupied();
        self.0.in_flight.polls_are_held(true);
        if slots::were_full(&occupied) {
            self.lock().full = Some(occupied);
            self.ask_for_backlog();
            self.say_that_slots_were_full();
        }
    }

    /// The worker is shut down: it cancels its activities after the grace period.
    pub(super) fn worker_ends(&self) {
        self.polling_pauses();
        self.0.is_ending.store(true, Ordering::SeqCst);
    }

    /// The worker has ended: answers that come now are dropped, and the diagnoses stay as they are.
    pub(super) fn worker_has_ended(&self) {
        let Inner { memory, in_flight, gate, said, .. } = &*self.0;
        self.lock().asking.abort_all();
        said.end();
        if self.0.has_polled.swap(false, Ordering::SeqCst) {
            let is_answered = self.0.is_answered.load(Ordering::SeqCst);
            memory.invocation_ends(
                in_flight.has_worked(),
                is_answered,
                refusal(&gate.trouble.noted()),
            );
        }
    }

    /// An activity begins. `None` for a local one, about which there is no diagnosis: the server knows neither
    /// timeout nor attempt of it.
    pub(super) fn activity_begins(&self, activity: &ActivityInfo) -> Option<Begun> {
        if activity.is_local {
            return None;
        }
        let begun = Begun { activity: key(activity), at: Instant::now() };
        let Inner { window, memory, .. } = &*self.0;
        let attempt = Attempt::of(activity);
        let is_too_long = window.is_some_and(|window| attempt.is_too_long_for(window));
        let cut_after = match activity.attempt {
            0 | 1 => None,
            _ => memory.take_cut_off(&begun.activity),
        };
        let is_new = is_too_long && memory.says_too_long(attempt.activity_type);
        if is_new || cut_after.is_some() {
            self.say(DiagnosisKind::DoesNotFit, fit::judge(&attempt, *window, cut_after));
        }
        Some(begun)
    }

    /// An activity has ended; `is_cancelled`: as cancelled, or dropped.
    pub(super) fn activity_ended(&self, begun: Option<Begun>, is_cancelled: bool) {
        let Some(Begun { activity, at }) = begun else { return };
        if is_cancelled && self.0.is_ending.load(Ordering::SeqCst) {
            self.0.memory.keep_cut_off(activity, at.elapsed());
        }
        let is_asked = self.0.is_asked_for_backlog.load(Ordering::Relaxed);
        if !is_asked && slots::were_full(&self.0.in_flight.occupied()) {
            self.ask_for_backlog();
        }
    }

    fn ask_for_backlog(&self) {
        let is_asked = self.0.is_asked_for_backlog.swap(true, Ordering::SeqCst);
        // A poll that the server refuses does not count as under way, either.
        if is_asked || self.0.is_rate_limited || refusal(&self.0.gate.trouble.noted()).is_some() {
            return;
        }
        let this = self.clone();
        self.spawn(async move {
            let backlog = this.0.asked.waiting_activities(&this.0.worker).await;
            this.lock().backlog = backlog;
            this.say_that_slots_were_full();
        });
    }

    /// Adds the diagnosis once both are known: that the slots were full, and that activities waited.
    fn say_that_slots_were_full(&self) {
        let mut state = self.lock();
        let (Some(full), Some(backlog)) = (state.full, state.backlog) else { return };
        // Only once.
        state.backlog = None;
        drop(state);
        let memory = Variables::only("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
        let memory = memory.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").ok().flatten();
        let memory_mb = memory.and_then(|text| text.parse().ok());
        if let Some(text) = slots::judge(&full, backlog, &self.0.worker.task_queue, memory_mb) {
            self.say(DiagnosisKind::SlotsFull, text);
        }
    }

    /// Asks the server once why no task comes: if earlier invocations had none and none has come soon,
    /// or when a poll fails.
    fn ask_why_if_need_be(&self) {
        let this = self.clone();
        self.spawn(async move {
            let Inner { memory, worker, asked, in_flight, gate, .. } = &*this.0;
            tokio::select! {
                () = gate.trouble.a_poll_failed() => {}
                () = tokio::time::sleep(TASK_COMES_WITHIN), if memory.wants_to_know_why() => {}
            }
            if in_flight.has_worked() {
                return;
            }
            let answers = asked.about(worker).await;
            this.0.is_answered.store(true, Ordering::SeqCst);
            memory.is_answered();
            let words = refusal(&gate.trouble.noted()).or_else(|| memory.refusal());
            // Polls without an answer left no message of the server's.
            let words = words.filter(|words| !words.is_empty());
            let text = nothing::judge(worker, &answers, words.as_deref());
            if let Some(text) = text.filter(|_| !in_flight.has_worked()) {
                this.say_if(DiagnosisKind::InvokedForNothing, text, || memory.says_why());
            }
        });
    }

    fn say(&self, kind: DiagnosisKind, text: String) {
        self.say_if(kind, text, || true);
    }

    fn say_if(&self, kind: DiagnosisKind, text: String, wanted: impl FnOnce() -> bool) {
        let text = self.0.gate.trouble.conceal(text);
        self.0.said.say(Diagnosis { kind, text }, wanted, |Diagnosis { kind, text }| {
            // This future is ready at once; it puts the request ID into the log.
            let logging = async { tracing::warn!(diagnosis = kind.name(), "{text}") };
            let _ = self.0.scope.logged(logging).now_or_never();
        });
    }

    /// Runs `asking` until the worker has ended. No exit waits for it.
    fn spawn(&self, asking: impl Future<Output = ()> + Send + 'static) {
        let asking = self.0.scope.around(asking);
        self.lock().asking.spawn_on(asking, &self.0.threads);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An activity of a workflow run, or one by itself, over all its attempts.
fn key(activity: &ActivityInfo) -> String {
    let run = activity.workflow_run_id.as_ref().or(activity.activity_run_id.as_ref());
    format!("{}/{}", run.map_or("", String::as_str), activity.activity_id)
}

/// The server's message to polls that it refused; empty if it only left polls unanswered. `None`: it did
/// neither.
fn refusal(trouble: &[ServerTrouble]) -> Option<String> {
    let mut polls = trouble.iter().filter(|it| it.call.starts_with("Poll")).peekable();
    polls.peek()?;
    let words = polls.find(|it| it.status != "DeadlineExceeded" && it.status != "Cancelled");
    Some(words.map(|it| it.last.clone()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_about_refused_polls_is_the_servers_and_not_that_of_a_timeout() {
        let trouble = |call: &str, status: &str| ServerTrouble {
            call: call.to_owned(),
            status: status.to_owned(),
            last: format!("{status} of {call}"),
            ..ServerTrouble::default()
        };
        let silence = trouble("PollActivityTaskQueue", "DeadlineExceeded");
        let other = trouble("RespondActivityTaskCompleted", "Internal");
        let refused = trouble("PollWorkflowTaskQueue", "ResourceExhausted");
        assert_eq!(refusal(std::slice::from_ref(&other)), None);
        assert_eq!(refusal(&[other, silence.clone()]).as_deref(), Some(""));
        let words = refusal(&[silence, refused]);
        assert_eq!(words.as_deref(), Some("ResourceExhausted of PollWorkflowTaskQueue"));
    }
}
