//! What can go wrong with S3, and in messages where it did.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::error::{BoxError, seconds};

/// An object, and what is known of the client, for messages:
/// `[bucket=B, key=K, client_region=R]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// What [`S3Client::describe`](crate::S3Client::describe) said; empty if it failed.
    pub client: BTreeMap<String, String>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[bucket={}, key={}", self.bucket, self.key)?;
        for (name, value) in &self.client {
            write!(f, ", {name}={value}")?;
        }
        f.write_char(']')
    }
}

/// A failure of the S3 driver. All messages name the object and none has credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum S3StorageError {
    /// A payload is larger than the driver stores.
    #[error(
        "The payload has {size} bytes, more than the {limit} bytes that the S3 driver stores: make \
         it smaller, or raise the driver's `max_payload_size`"
    )]
    PayloadTooLarge {
        /// The serialized payload's bytes.
        size: u64,
        /// The most that is stored.
        limit: u64,
    },
    /// An upload failed.
    #[error("S3 store failed {location}: {source}")]
    Store {
        /// The object.
        location: Location,
        /// S3's answer.
        source: S3Error,
    },
    /// It could not be seen whether the object is there already. Only with clients or servers that
    /// have no conditional PUT.
    #[error("S3 existence check failed {location}: {source}")]
    Exists {
        /// The object.
        location: Location,
        /// S3's answer.
        source: S3Error,
    },
    /// A download failed.
    #[error("S3 retrieve failed {location}: {source}{}", retrieve_advice(.source))]
    Retrieve {
        /// The object.
        location: Location,
        /// S3's answer.
        source: S3Error,
    },
    /// A transfer took longer than the driver's transfer timeout, retries included.
    #[error(
        "S3 {operation} {location} was given up after {}: {}", seconds(*.after), last_attempt(.last)
    )]
    TimedOut {
        /// "store" or "retrieve".
        operation: &'static str,
        /// The object.
        location: Location,
        /// The transfer timeout.
        after: Duration,
        /// How the last attempt failed: S3's answer, or why there was none. `None` if no attempt had
        /// ended, and for clients that repeat requests by themselves.
        #[source]
        last: Option<S3Error>,
    },
    /// The object has more bytes than the driver reads. It may be another than the one that was
    /// stored.
    #[error(
        "The object has {at_least} bytes or more, and the S3 driver reads {limit} at most \
         {location}: if somebody stores payloads of this size, raise the driver's \
         `max_payload_size`"
    )]
    ObjectTooLarge {
        /// The object.
        location: Location,
        /// Its bytes, or as many as came before it was given up.
        at_least: u64,
        /// The most that is read.
        limit: u64,
    },
    /// The object is not what was stored.
    #[error(
        "The object's content is not what was stored {location}: expected the SHA-256 {expected}, \
         got {actual}"
    )]
    HashMismatch {
        /// The object.
        location: Location,
        /// The hash in the claim.
        expected: String,
        /// The hash of what was downloaded.
        actual: String,
    },
    /// The claim's hash is of an unknown kind.
    #[error("The claim's hash algorithm {algorithm:?} is not supported, only sha256 is {location}")]
    UnsupportedHashAlgorithm {
        /// The object.
        location: Location,
        /// The algorithm.
        algorithm: String,
    },
    /// The claim has no hash, so nobody can say whether the object is what was stored.
    #[error("The claim has no {field} {location}")]
    ClaimWithoutHash {
        /// The object.
        location: Location,
        /// The missing field.
        field: &'static str,
    },
    /// The claim does not say where the object is.
    #[error("The claim of an S3 reference has no {field}")]
    ClaimIncomplete {
        /// The missing field.
        field: &'static str,
    },
    /// The object has the right hash, but is no payload.
    #[error("The object is no Temporal payload {location}: {source}")]
    NotAPayload {
        /// The object.
        location: Location,
        /// What is wrong with its bytes.
        source: prost::DecodeError,
    },
}

fn last_attempt(last: &Option<S3Error>) -> String {
    match last {
        Some(error) => format!("its last attempt failed with {error}"),
        None => "no attempt had ended".to_owned(),
    }
}

fn retrieve_advice(error: &S3Error) -> &'static str {
    match (error.code(), error.status()) {
        (Some("NoSuchKey"), _) => {
            ". The object was deleted or has expired: a bucket's lifecycle rule must keep objects \
             longer than workflows run and their histories are kept"
        }
        (None | Some("AccessDenied" | "Forbidden"), Some(403)) => {
            ". Without s3:ListBucket, S3 answers this for an object that is missing, too"
        }
        _ => "",
    }
}

/// S3's answer to a request that failed, or why there was none.
#[derive(Debug)]
pub struct S3Error(Box<Said>);

#[derive(Debug)]
struct Said {
    code: Option<String>,
    status: Option<u16>,
    message: String,
    too_large: Option<u64>,
    source: Option<BoxError>,
}

impl S3Error {
    /// An error with this text, which must not have secrets.
    pub fn new(message: impl Into<String>) -> Self {
        let (code, status, too_large, source) = (None, None, None, None);
        Self(Box::new(Said { code, status, message: message.into(), too_large, source }))
    }

    /// The object has more bytes than were asked for: so many at least.
    pub fn object_too_large(at_least: u64) -> Self {
        let mut error = Self::new(format!("the object has {at_least} bytes or more"));
        error.0.too_large = Some(at_least);
        error
    }

    /// With S3's code, such as `NoSuchBucket`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// With the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// With the error that led to this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// With what may help, after the message.
    pub(crate) fn with_advice(mut self, advice: &str) -> Self {
        self.0.message = format!("{}; {advice}", self.0.message.trim_end_matches('.'));
        self
    }

    /// S3's code, such as `NoSuchBucket`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// How many bytes the object has at least, if it is too large.
    pub fn too_large(&self) -> Option<u64> {
        self.0.too_large
    }

    /// The HTTP status; `None` if there was no answer.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = &self.0.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(status) = self.0.status {
            write!(f, " (HTTP {status})")?;
        }
        Ok(())
    }
}

impl std::error::Error for S3Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
