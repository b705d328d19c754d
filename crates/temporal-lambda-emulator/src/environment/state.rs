//! The state of one execution environment, changed by its Runtime API, its process and the
//! function's scheduler, and watched by all of them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::AbortHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::FunctionConfig,
    event::{EmulatorEvent, EnvEvent},
    log::{LogLine, LogPipe},
    process,
};

/// An event on its way to the function.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) request_id: String,
    /// Tells apart the attempts of one request; echoed by the runtime so that an answer to an
    /// earlier attempt is not taken for one to this.
    pub(crate) invocation_id: String,
    pub(crate) payload: Bytes,
    pub(crate) invoked_arn: String,
    pub(crate) trace_id: String,
    /// Set when the event is handed out: the clock starts there.
    pub(crate) deadline: SystemTime,
}

#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Response(Bytes),
    Error { error_type: String, message: String, body: Bytes },
}

#[derive(Debug, Clone)]
pub(crate) struct Completion {
    pub(crate) at: Instant,
    pub(crate) at_wall: SystemTime,
    pub(crate) answer: Answer,
}

#[derive(Debug)]
pub(super) struct Running {
    invocation_id: String,
    pub(super) handed_out: Option<(Instant, SystemTime)>,
    pub(super) completion: Option<Completion>,
    /// The runtime has asked for another event since it answered.
    pub(super) settled: bool,
}

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
}

#[derive(Debug)]
pub(super) struct Extension {
    pub(super) invoke_events: bool,
    pub(super) sender: mpsc::UnboundedSender<serde_json::Value>,
    pub(super) receiver: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<serde_json::Value>>>,
}

#[derive(Debug, Default)]
pub(crate) struct EnvState {
    pub(super) pid: Option<u32>,
    pub(super) task: Option<AbortHandle>,
    /// From spawn to the first `/next`.
    pub(super) init: Option<Duration>,
    pub(super) init_error: Option<(String, String)>,
    pub(super) frozen: bool,
    /// No new events: it was killed or failed, and will be gone soon.
    pub(super) doomed: bool,
    pub(super) exit: Option<Exit>,
    polls: VecDeque<oneshot::Sender<Delivery>>,
    inbox: VecDeque<Delivery>,
    pub(super) running: HashMap<String, Running>,
    /// How many invocations the scheduler has given this environment.
    pub(super) reserved: usize,
    pub(super) last_used: Option<Instant>,
    pub(super) peak_kb: Option<u64>,
    pub(super) timeline: Vec<(Instant, EnvEvent)>,
    pub(super) log: Vec<LogLine>,
    pub(super) extensions: HashMap<String, Extension>,
}

#[derive(Debug)]
pub(crate) struct EnvCore {
    pub(crate) id: Arc<str>,
    pub(crate) function: Arc<str>,
    pub(crate) config: Arc<FunctionConfig>,
    pub(super) started: Instant,
    pub(super) state: Mutex<EnvState>,
    changed: watch::Sender<()>,
    events: broadcast::Sender<EmulatorEvent>,
    /// Cancelled when the environment is gone; ends its Runtime API.
    pub(crate) gone: CancellationToken,
    pub(super) pipe: OnceLock<LogPipe>,
}

impl EnvCore {
    pub(super) fn new(
        id: Arc<str>,
        function: Arc<str>,
        config: Arc<FunctionConfig>,
        events: broadcast::Sender<EmulatorEvent>,
    ) -> Self {
        Self {
            id,
            function,
            config,
            started: Instant::now(),
            state: Mutex::default(),
            changed: watch::Sender::new(()),
            events,
            gone: CancellationToken::new(),
            pipe: OnceLock::new(),
        }
    }

    /// Writes `event` into the timeline and tells everybody.
    pub(super) fn record(&self, state: &mut EnvState, event: EnvEvent) {
        state.timeline.push((Instant::now(), event.clone()));
        // Nobody may be listening, which is fine.
        let _ = self.events.send(EmulatorEvent::Environment {
            function: self.function.clone(),
            environment: self.id.clone(),
            pid: state.pid,
            event,
        });
        self.changed.send_replace(());
    }

    /// Waits until `look` sees what it looks for. Cancel safe.
    pub(crate) async fn wait_until<T>(
        &self,
        mut look: impl FnMut(&mut EnvState) -> Option<T>,
    ) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if let Some(seen) = look(&mut self.state.lock()) {
                return seen;
            }
            if changed.changed().await.is_err() {
                // Cannot happen: the sender is a field of `self`.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The runtime asks for an event. A closed channel means that there will be none.
    pub(crate) fn poll_next(&self) -> oneshot::Receiver<Delivery> {
        let (sender, receiver) = oneshot::channel();
        // Everything that the process wrote before it asked belongs to what it did before.
        self.drain_log();
        let mut state = self.state.lock();
        if state.exit.is_some() {
            return receiver;
        }
        if state.init.is_none() {
            state.init = Some(self.started.elapsed());
            self.record(&mut state, EnvEvent::Ready);
        }
        let answered = state
            .running
            .values_mut()
            .filter(|running| !running.settled)
            .filter_map(|running| Some((running.completion.as_ref()?.at, &mut running.settled)))
            .min_by_key(|(at, _)| *at);
        if let Some((_, settled)) = answered {
            *settled = true;
        }
        match state.inbox.pop_front() {
            Some(delivery) => self.hand_out(&mut state, delivery, sender),
            None => state.polls.push_back(sender),
        }
        self.changed.send_replace(());
        receiver
    }

    /// Gives an event to the environment: to a waiting `/next`, or to the next one.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        let mut state = self.state.lock();
        state.running.insert(
            delivery.request_id.clone(),
            Running {
                invocation_id: delivery.invocation_id.clone(),
                handed_out: None,
                completion: None,
                settled: false,
            },
        );
        while let Some(poll) = state.polls.pop_front() {
            if !poll.is_closed() {
                self.hand_out(&mut state, delivery, poll);
                return;
            }
        }
        state.inbox.push_back(delivery);
    }

    fn hand_out(
        &self,
        state: &mut EnvState,
        mut delivery: Delivery,
        poll: oneshot::Sender<Delivery>,
    ) {
        // The runtime is told whole milliseconds, so the clock runs to one.
        let now = SystemTime::now();
        delivery.deadline = whole_ms(now + self.config.timeout);
        if let Some(running) = state.running.get_mut(&delivery.request_id) {
            running.handed_out = Some((Instant::now(), delivery.deadline));
        }
        self.record(state, EnvEvent::EventHandedOut { request_id: delivery.request_id.clone() });
        for extension in state.extensions.values().filter(|e| e.invoke_events) {
            let _ = extension.sender.send(serde_json::json!({
                "eventType": "INVOKE",
                "deadlineMs": deadline_ms(delivery.deadline),
                "requestId": delivery.request_id,
                "invokedFunctionArn": delivery.invoked_arn,
                "tracing": { "type": "X-Amzn-Trace-Id", "value": delivery.trace_id },
            }));
        }
        // The runtime may have hung up between its question and our answer. Then the event is
        // lost and times out, as it would in Lambda.
        let _ = poll.send(delivery);
    }

    /// The runtime answers. `Err` says why the answer is refused.
    pub(crate) fn complete(
        &self,
        request_id: &str,
        invocation_id: Option<&str>,
        answer: Answer,
    ) -> Result<(), &'static str> {
        self.drain_log();
        let mut state = self.state.lock();
        let state = &mut *state;
        state.polls.retain(|poll| !poll.is_closed());
        let already_asked = self.config.environment_concurrency == 1 && !state.polls.is_empty();
        let running = state
            .running
            .get_mut(request_id)
            .filter(|running| running.handed_out.is_some())
            .ok_or("no such invocation is running here")?;
        if running.completion.is_some() {
            return Err("the invocation was answered before");
        }
        if invocation_id.is_some_and(|id| id != running.invocation_id) {
            return Err("the answer belongs to an earlier attempt");
        }
        let event = match &answer {
            Answer::Response(_) => EnvEvent::ResponsePosted { request_id: request_id.to_owned() },
            Answer::Error { error_type, .. } => EnvEvent::ErrorPosted {
                request_id: request_id.to_owned(),
                error_type: error_type.clone(),
            },
        };
        running.completion =
            Some(Completion { at: Instant::now(), at_wall: SystemTime::now(), answer });
        running.settled = already_asked;
        read_peak(state);
        self.record(state, event);
        Ok(())
    }

    pub(super) fn push_line(&self, text: String) {
        let line = LogLine { at: SystemTime::now(), text };
        if self.config.forward_log {
            eprintln!("[{}] {}", self.id, line.text);
        }
        self.state.lock().log.push(line.clone());
        let _ = self.events.send(EmulatorEvent::Log {
            function: self.function.clone(),
            environment: self.id.clone(),
            line,
        });
        self.changed.send_replace(());
    }

    /// Takes in what the process has written so far.
    pub(crate) fn drain_log(&self) {
        if let Some(pipe) = self.pipe.get() {
            pipe.drain(|line| self.push_line(line));
        }
    }

    /// The process (or task) is gone.
    pub(super) fn exited(&self, exit: Exit) {
        if let Some(pipe) = self.pipe.get() {
            pipe.close(|line| self.push_line(line));
        }
        let mut state = self.state.lock();
        if state.exit.is_some() {
            return;
        }
        state.exit = Some(exit);
        state.doomed = true;
        state.frozen = false;
        state.polls.clear();
        self.record(&mut state, EnvEvent::Exited { code: exit.code, signal: exit.signal });
        state.pid = None;
        state.task = None;
        drop(state);
        self.gone.cancel();
    }
}

/// Remembers the largest memory seen, while the process can still be asked.
pub(super) fn read_peak(state: &mut EnvState) {
    let now = state.pid.and_then(process::peak_rss_kb);
    state.peak_kb = state.peak_kb.max(now);
}

/// Milliseconds since the epoch, as the Runtime API gives deadlines.
pub(crate) fn deadline_ms(deadline: SystemTime) -> u64 {
    deadline.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn whole_ms(time: SystemTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(deadline_ms(time))
}
