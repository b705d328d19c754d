//! What can go wrong between a payload and its storage.

use std::error::Error;
use std::time::Duration;

/// An error of any type: a driver's own, or that of a bucket function.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A failure of external storage. Its text has the text of its cause, because the SDK writes no
/// more than that into histories and logs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalStorageError {
    /// A reference was found, and nothing is configured that could read it.
    #[error(
        "[TMPRL1105] Encountered a reference to a payload in external storage, but no external \
         storage is configured to retrieve it: give this worker or client the storage that the \
         writer of the payload has (its driver is named {driver_name:?})"
    )]
    NotConfigured {
        /// The driver that the reference names.
        driver_name: String,
    },
    /// A reference names a driver that is not registered.
    #[error(
        "A payload was stored by the driver {driver_name:?}, which is not registered here; \
         registered: {registered}"
    )]
    UnknownDriver {
        /// The driver that the reference names.
        driver_name: String,
        /// The drivers that there are, with commas.
        registered: String,
    },
    /// A payload says that it is a reference, but it cannot be read as one.
    #[error("Invalid external storage reference: {0}")]
    InvalidReference(#[source] BoxError),
    /// The storage cannot work as it was put together.
    #[error("Invalid external storage configuration: {0}")]
    InvalidConfiguration(String),
    /// The selector chose a driver that is not registered.
    #[error(
        "The selector chose a driver named {driver_name:?} that is not one of the registered \
         drivers: return the very `Arc` that was registered"
    )]
    DriverNotRegistered {
        /// The name of the driver that was chosen.
        driver_name: String,
    },
    /// The selector panicked.
    #[error("The storage driver selector panicked: {message}")]
    SelectorPanicked {
        /// What it said.
        message: String,
    },
    /// A driver returned another number of results than it should have.
    #[error(
        "The storage driver {driver_name:?} returned {returned} {what}, expected {expected}: this \
         is a bug in the driver"
    )]
    WrongCount {
        /// The driver.
        driver_name: String,
        /// "claims" or "payloads".
        what: &'static str,
        /// How many it returned.
        returned: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A driver panicked.
    #[error("The storage driver {driver_name:?} panicked: {message}")]
    Panicked {
        /// The driver.
        driver_name: String,
        /// What it said.
        message: String,
    },
    /// The invocation's time ran out first. Nothing is lost: the task comes again.
    #[error(
        "The invocation's time ran out while {operation} {payloads} payloads ({bytes} bytes); the \
         task will be tried again. If this happens often, raise the function's timeout"
    )]
    OutOfTime {
        /// "storing" or "retrieving".
        operation: &'static str,
        /// How many payloads.
        payloads: usize,
        /// Their size, as far as it is known.
        bytes: u64,
    },
    /// The driver failed.
    #[error("{0}")]
    Driver(#[source] BoxError),
}

/// A duration that can be waited for.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
