//! What the scheduler asks of an environment, and waits for.

use std::time::{Duration, Instant, SystemTime};

use super::state::{Completion, EnvCore, Exit};
use crate::{
    lambda::{event::EnvEvent, log::LogLine},
    sync::lock,
};

/// How init went.
pub(in crate::lambda) enum Init {
    Ready(Duration),
    Failed { error_type: String, message: String, after: Duration },
}

impl EnvCore {
    /// Takes one of its places for an event, when it has one.
    pub(in crate::lambda) fn try_reserve(&self) -> bool {
        let mut state = lock(&self.state);
        if state.doomed || state.reserved >= self.config.environment_concurrency {
            return false;
        }
        state.reserved += 1;
        true
    }

    /// Gives a place back.
    pub(in crate::lambda) fn release(&self) {
        let mut state = lock(&self.state);
        state.reserved = state.reserved.saturating_sub(1);
    }

    /// When it last had an event, or was started.
    pub(in crate::lambda) fn last_used(&self) -> Instant {
        lock(&self.state).last_used.unwrap_or(self.started)
    }

    /// Gives it no event any more, if it has none and `last_used` is as wanted: whether that is so
    /// from now on.
    pub(in crate::lambda) fn retire(&self, last_used: impl FnOnce(Instant) -> bool) -> bool {
        let mut state = lock(&self.state);
        let retires = !state.doomed
            && state.reserved == 0
            && last_used(state.last_used.unwrap_or(self.started));
        state.doomed |= retires;
        retires
    }

    pub(in crate::lambda) fn has_extensions(&self) -> bool {
        !lock(&self.state).extensions.is_empty()
    }

    pub(in crate::lambda) fn is_gone(&self) -> bool {
        lock(&self.state).exit.is_some()
    }

    pub(in crate::lambda) fn peak_kb(&self) -> Option<u64> {
        lock(&self.state).peak_kb
    }

    /// Waits for the end of init. Cancel safe.
    pub(in crate::lambda) async fn init(&self) -> Init {
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
    pub(in crate::lambda) async fn handed_out(
        &self,
        id: &str,
    ) -> Result<(Instant, SystemTime), Exit> {
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
    pub(in crate::lambda) async fn completion(&self, id: &str) -> Result<Completion, Exit> {
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
    pub(in crate::lambda) async fn settled(&self, id: &str) {
        self.wait_until(|state| {
            let settled = state.running.get(id).is_none_or(|running| running.settled);
            (settled || state.exit.is_some()).then_some(())
        })
        .await;
    }

    /// How many lines there are; the lines of an invocation begin here.
    pub(in crate::lambda) fn log_len(&self) -> usize {
        self.drain_log();
        lock(&self.state).log.len()
    }

    pub(in crate::lambda) fn log_since(&self, start: usize) -> Vec<LogLine> {
        self.drain_log();
        let state = lock(&self.state);
        state.log.get(start..).unwrap_or_default().to_vec()
    }

    /// The last lines, as one text.
    pub(in crate::lambda) fn log_tail(&self) -> String {
        self.drain_log();
        let state = lock(&self.state);
        let start = state.log.len().saturating_sub(20);
        let lines: Vec<_> = state.log[start..].iter().map(|l| l.text.as_str()).collect();
        lines.join("\n")
    }

    /// Forgets a finished invocation.
    pub(in crate::lambda) fn forget(&self, request_id: &str) {
        let mut state = lock(&self.state);
        state.running.remove(request_id);
        state.last_used = Some(Instant::now());
    }

    /// The environment says that its init failed.
    pub(in crate::lambda) fn init_error(&self, error_type: String, message: String) {
        self.drain_log();
        let mut state = lock(&self.state);
        if state.init.is_none() {
            state.init_error = Some((error_type.clone(), message));
            state.doomed = true;
        }
        self.record(&mut state, EnvEvent::InitErrorPosted { error_type });
    }

    /// Something about SnapStart or extensions that changes nothing here.
    pub(in crate::lambda) fn note(&self, event: EnvEvent) {
        self.drain_log();
        self.record(&mut lock(&self.state), event);
    }
}
