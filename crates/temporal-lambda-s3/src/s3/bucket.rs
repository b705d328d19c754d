//! The bucket that payloads go to.

use std::fmt;
use std::sync::Arc;

use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::driver::StorageDriverStoreContext;
use crate::error::BoxError;

type Choose =
    dyn Fn(&StorageDriverStoreContext, &Payload) -> Result<String, BoxError> + Send + Sync;

/// The bucket that payloads go to: a name, or a function of the target and the payload. A name is
/// the bucket's own, or the ARN of an access point.
#[derive(Clone)]
pub struct Bucket(Kind);

#[derive(Clone)]
enum Kind {
    Fixed(String),
    Chosen(Arc<Choose>),
}

impl Bucket {
    /// One bucket for all payloads.
    pub fn fixed(name: impl Into<String>) -> Self {
        Self(Kind::Fixed(name.into()))
    }

    /// The bucket that `choose` returns, called once for each payload. Where it fails, storing
    /// fails with its very error.
    pub fn chosen(
        choose: impl Fn(&StorageDriverStoreContext, &Payload) -> Result<String, BoxError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Kind::Chosen(Arc::new(choose)))
    }

    pub(crate) fn name(
        &self,
        context: &StorageDriverStoreContext,
        payload: &Payload,
    ) -> Result<String, BoxError> {
        match &self.0 {
            Kind::Fixed(name) => Ok(name.clone()),
            Kind::Chosen(choose) => choose(context, payload),
        }
    }

    /// Whether it is a name, and the name is empty.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(&self.0, Kind::Fixed(name) if name.is_empty())
    }
}

impl From<&str> for Bucket {
    fn from(name: &str) -> Self {
        Self::fixed(name)
    }
}

impl From<String> for Bucket {
    fn from(name: String) -> Self {
        Self::fixed(name)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fixed(name) => f.debug_tuple("Bucket").field(name).finish(),
            Kind::Chosen(_) => f.write_str("Bucket(chosen for each payload)"),
        }
    }
}
