//! What the scheduler asks of an environment, and waits for.

use std::time::{Duration, Instant, SystemTime};

use super::state::{Completion, EnvCore, Exit};
use crate::{event::EnvEvent, log::LogLine};

/// How init went.
pub(crate) enum Init {
    Ready(Duration),
    Failed { error_type: String, message: String, after: Duration },
}

impl EnvCore {
    /// Takes one of its places for an event, when it has one.
    pub(crate) fn try_reserve(&self) -> bool {
        let mut state = self.state.lock();
        if state.doomed || state.reserved >= self.config.environment_concurrency {
            return false;
        }
        state.reserved += 1;
        true
    }

    /// Gives a place back.
    pub(crate) fn release(&self) {
        let mut state = self.state.lock();
        state.reserved = state.reserved.saturating_sub(1);
    }

    /// When it last had an event, or was started.
    pub(crate) fn last_used(&self) -> Instant {
        self.state.lock().last_used.unwrap_or(self.started)
    }

    /// Gives it no event any more, if it has none and `last_used` is as wanted: whether that is so
    /// from now on.
    pub(crate) fn retire(&self, last_used: impl FnOnce(Instant) -> bool) -> bool {
        let mut state = self.state.lock();
        let retires = !state.doomed
            && state.reserved == 0
            && last_used(state.last_used.unwrap_or(self.started));
        state.doomed |= retires;
        retires
    }

    pub(crate) fn has_extensions(&self) -> bool {
        !self.state.lock().extensions.is_empty()
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.state.lock().exit.is_some()
    }

    pub(crate) fn peak_kb(&self) -> Option<u64> {
        self.state.lock().peak_kb
    }

    /// Waits for the end of init. Cancel safe.
    pub(crate) async fn init(&self) -> Init {
        let outcome = self.wait_until(|state| {
            if let Some((error_type, message)) = state.init_error.clone() {
                return Some(Err((error_type, message)));
            }
            if let Some(init) = state.init {
                return Some(Ok(init));
            }
            let exit = state.exit?;
            let message = match (exit.code, exit.signal) {
                (Some(code), _) if code != 0 => {
                    format!("Runtime exited with error: exit status {code}")
                }
                (_, Some(signal)) => format!("Runtime exited with error: signal: {signal}"),
                _ => "Runtime exited without providing a reason".to_owned(),
            };
            Some(Err(("Runtime.ExitError".to_owned(), message)))
        });
        let limit = self.config.init_timeout;
        match tokio::time::timeout(limit, outcome).await {
            Ok(Ok(init)) => Init::Ready(init),
            Ok(Err((error_type, message))) => {
                Init::Failed { error_type, message, after: self.started.elapsed() }
            }
            Err(_) => Init::Failed {
                error_type: "Sandbox.Timedout".to_owned(),
                message: format!("Init timed out after {:.2} seconds", limit.as_secs_f64()),
                after: self.started.elapsed(),
            },
        }
    }

    /// Waits until the event was handed out (when, and its deadline) or the environment ended.
    pub(crate) async fn handed_out(&self, id: &str) -> Result<(Instant, SystemTime), Exit> {
        self.wait_until(|state| {
            let handed_out = state.running.get(id).and_then(|running| running.handed_out);
            match (handed_out, state.exit) {
                (Some(handed_out), _) => Some(Ok(handed_out)),
                (None, Some(exit)) => Some(Err(exit)),
                (None, None) => None,
            }
        })
        .await
    }

    /// Waits until the event was answered or the environment ended.
    pub(crate) async fn completion(&self, id: &str) -> Result<Completion, Exit> {
        self.wait_until(|state| {
            let running = state.running.get(id);
            match (running.and_then(|r| r.completion.clone()), state.exit) {
                (Some(completion), _) => Some(Ok(completion)),
                (None, Some(exit)) => Some(Err(exit)),
                (None, None) => None,
            }
        })
        .await
    }

    /// Waits until the environment asks for more after it answered, or ended.
    pub(crate) async fn settled(&self, id: &str) {
        self.wait_until(|state| {
            let settled = state.running.get(id).is_none_or(|running| running.settled);
            (settled || state.exit.is_some()).then_some(())
        })
        .await;
    }

    /// How many lines there are; the lines of an invocation begin here.
    pub(crate) fn log_len(&self) -> usize {
        self.drain_log();
        self.state.lock().log.len()
    }

    pub(crate) fn log_since(&self, start: usize) -> Vec<LogLine> {
        self.drain_log();
        let state = self.state.lock();
        state.log.get(start..).unwrap_or_default().to_vec()
    }

    /// The last lines, as one text.
    pub(crate) fn log_tail(&self) -> String {
        self.drain_log();
        let state = self.state.lock();
        let start = state.log.len().saturating_sub(20);
        let lines: Vec<_> = state.log[start..].iter().map(|l| l.text.as_str()).collect();
        lines.join("\n")
    }

    /// Forgets a finished invocation.
    pub(crate) fn forget(&self, request_id: &str) {
        let mut state = self.state.lock();
        state.running.remove(request_id);
        state.last_used = Some(Instant::now());
    }

    /// The environment says that its init failed.
    pub(crate) fn init_error(&self, error_type: String, message: String) {
        self.drain_log();
        let mut state = self.state.lock();
        if state.init.is_none() {
            state.init_error = Some((error_type.clone(), message));
            state.doomed = true;
        }
        self.record(&mut state, EnvEvent::InitErrorPosted { error_type });
    }

    /// Something about SnapStart or extensions that changes nothing here.
    pub(crate) fn note(&self, event: EnvEvent) {
        self.drain_log();
        self.record(&mut self.state.lock(), event);
    }
}
