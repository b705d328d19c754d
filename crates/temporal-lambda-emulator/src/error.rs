//! What can go wrong while the emulator is used.

use std::time::Duration;

use thiserror::Error;

/// Why the emulator refused or could not do something.
///
/// What a *function* does wrong is never an error here: it is an
/// [`Outcome`](super::Outcome) of its invocation.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// No loopback port could be had.
    #[error("the Lambda emulator cannot listen on 127.0.0.1: {0}; is the machine out of ports?")]
    Listen(#[source] std::io::Error),
    /// Two functions with one name.
    #[error("the emulator already has a function named `{0}`; give this one another name")]
    DuplicateFunction(String),
    /// A setting that no Lambda function could have.
    #[error("function `{function}`: {reason}")]
    InvalidConfig {
        /// The function whose configuration was refused.
        function: String,
        /// What is wrong with it, and what to change.
        reason: String,
    },
    /// Every execution environment that the function may have is busy: Lambda answers 429 here.
    #[error(
        "function `{function}` is throttled: all {limit} concurrent invocations are running; \
         raise `FunctionConfig::concurrency`, wait for one to end, or use `invoke_event`, which queues"
    )]
    Throttled {
        /// The function that was invoked.
        function: String,
        /// How many invocations may run at once.
        limit: usize,
    },
    /// The emulator was shut down or dropped.
    #[error(
        "the Lambda emulator is shut down; keep it alive for as long as its functions are used"
    )]
    ShutDown,
    /// What was waited for did not happen in time.
    #[error("function `{function}`: {what} did not happen within {within:?}; {seen}")]
    NotInTime {
        /// The function that was waited for.
        function: String,
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
        /// How far it got.
        seen: String,
    },
    /// A signal could not be sent to an execution environment.
    #[error("execution environment {environment} cannot be signalled: {reason}")]
    Signal {
        /// The environment's ID.
        environment: String,
        /// Why not.
        reason: String,
    },
}
