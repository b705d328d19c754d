//! The record of one invocation: what Lambda's `REPORT` line says, and how it ended.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde_json::json;

use crate::log::LogLine;

/// How a function was invoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvocationType {
    /// Somebody waits for the answer.
    RequestResponse,
    /// Queued: nobody waits, and failures are tried again.
    Event,
}

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The function posted a response: its body.
    Response(Bytes),
    /// The function posted an error.
    FunctionError {
        /// `errorType` of the posted body, or of the header when the body has none.
        error_type: String,
        /// `errorMessage` of the posted body; the body itself when it is not JSON.
        message: String,
        /// The posted body, as it came.
        body: Bytes,
    },
    /// The function's timeout passed without an answer, and its environment was killed.
    TimedOut {
        /// The function's timeout.
        after: Duration,
    },
    /// The process ended without an answer.
    Crashed {
        /// Its exit code, when it exited.
        code: Option<i32>,
        /// The signal that ended it, when one did.
        signal: Option<i32>,
        /// The last lines that it wrote.
        log_tail: String,
    },
    /// The environment never asked for its first event.
    InitFailed {
        /// Lambda's name for what happened, or the `errorType` posted to `/init/error`.
        error_type: String,
        /// A sentence about it.
        message: String,
        /// The last lines that the process wrote.
        log_tail: String,
    },
}

impl Outcome {
    /// Whether the function answered with a response.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Response(_))
    }

    /// The response's body, when there is one.
    pub fn response(&self) -> Option<&Bytes> {
        match self {
            Self::Response(body) => Some(body),
            _ => None,
        }
    }

    /// The body that Lambda gives to the caller: the response, the posted error, or Lambda's own
    /// description of a timeout or crash as JSON.
    pub fn body(&self, request_id: &str) -> Bytes {
        let (error_type, message) = match self {
            Self::Response(body) | Self::FunctionError { body, .. } => return body.clone(),
            Self::InitFailed { error_type, message, .. } => {
                (error_type.as_str(), format!("RequestId: {request_id} Error: {message}"))
            }
            Self::TimedOut { .. } => {
                ("Sandbox.Timedout", format!("RequestId: {request_id} Error: {self}"))
            }
            Self::Crashed { .. } => {
                ("Runtime.ExitError", format!("RequestId: {request_id} Error: {self}"))
            }
        };
        Bytes::from(json!({ "errorType": error_type, "errorMessage": message }).to_string())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response(body) => write!(f, "response of {} bytes", body.len()),
            Self::FunctionError { error_type, message, .. } => write!(f, "{error_type}: {message}"),
            Self::TimedOut { after } => {
                write!(f, "Task timed out after {:.2} seconds", after.as_secs_f64())
            }
            Self::Crashed { code: Some(code), .. } if *code != 0 => {
                write!(f, "Runtime exited with error: exit status {code}")
            }
            Self::Crashed { signal: Some(signal), .. } => {
                write!(f, "Runtime exited with error: signal: {signal}")
            }
            Self::Crashed { .. } => write!(f, "Runtime exited without providing a reason"),
            Self::InitFailed { error_type, message, .. } => {
                write!(f, "init failed: {error_type}: {message}")
            }
        }
    }
}

/// One invocation, finished.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Invocation {
    /// Lambda's request ID. The attempts of one `Event` invocation share it.
    pub request_id: String,
    /// Which attempt this was, from 1. Only `Event` invocations have more than one.
    pub attempt: u32,
    /// How the function was invoked.
    pub invocation_type: InvocationType,
    /// The execution environment that ran it.
    pub environment: String,
    /// Whether the environment was started for it.
    pub cold: bool,
    /// Cold only: from spawn to the first `/next`.
    pub init: Option<Duration>,
    /// From handing the event out to the answer, the exit or the deadline.
    pub duration: Duration,
    /// What Lambda would bill: `duration`, plus `init` when cold, rounded up to a millisecond.
    pub billed: Duration,
    /// When the function had to be done. For a failed init: when it failed.
    pub deadline: SystemTime,
    /// How long before the deadline the answer came. Zero when it never did.
    pub time_left_at_response: Duration,
    /// The process's peak resident memory so far in kibibytes; `None` in-process or off Linux.
    pub max_memory_kb: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the environment wrote during this invocation (for a cold one: since its spawn).
    pub log: Vec<LogLine>,
}

impl Invocation {
    /// The response parsed as JSON; `None` without a response or when it is not JSON.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(self.outcome.response()?).ok()
    }

    /// The log as one text, a line each.
    pub fn log_text(&self) -> String {
        self.log.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// `time` rounded up to a whole millisecond, Lambda's billing step.
pub(crate) fn round_up_to_ms(time: Duration) -> Duration {
    Duration::from_millis(time.as_nanos().div_ceil(1_000_000) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bills_started_milliseconds() {
        for (micros, ms) in [(0, 0), (1, 1), (1000, 1), (1001, 2)] {
            assert_eq!(round_up_to_ms(Duration::from_micros(micros)), Duration::from_millis(ms));
        }
    }
}
