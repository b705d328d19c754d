//! The settings of the S3 driver.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::error::ExternalStorageError;
use crate::s3::bucket::Bucket;
use crate::s3::client::S3Client;
use crate::s3::driver::{DRIVER_TYPE, Inner, S3StorageDriver};

/// The largest payload that is stored or read unless another size is set: 50 MiB of the serialized
/// payload, as in all SDKs.
pub const DEFAULT_MAX_PAYLOAD_SIZE: u64 = 50 * 1024 * 1024;

/// How many transfers run at a time unless another number is set: 16. Each holds its payload in
/// memory, and a function has memory for more objects sooner than bandwidth.
pub const DEFAULT_CONCURRENT_TRANSFERS: usize = 16;

/// How long one transfer may take, retries included, unless another time is set: 30 s, which is
/// 50 MiB at 1.7 MB/s.
pub const DEFAULT_TRANSFER_TIMEOUT: Duration = Duration::from_secs(30);

/// The settings of an [`S3StorageDriver`].
#[derive(Clone)]
pub struct S3StorageDriverBuilder {
    name: String,
    client: Arc<dyn S3Client>,
    bucket: Bucket,
    max_payload_size: u64,
    transfer_timeout: Duration,
    concurrent_transfers: usize,
}

impl S3StorageDriver {
    /// A driver with the default settings.
    ///
    /// # Errors
    ///
    /// The bucket's name is empty.
    pub fn new(
        client: impl S3Client,
        bucket: impl Into<Bucket>,
    ) -> Result<Self, ExternalStorageError> {
        Self::builder(client, bucket).build()
    }

    /// The settings of a driver, to be changed.
    pub fn builder(client: impl S3Client, bucket: impl Into<Bucket>) -> S3StorageDriverBuilder {
        S3StorageDriverBuilder::new(Arc::new(client), bucket.into())
    }
}

impl S3StorageDriverBuilder {
    pub(super) fn new(client: Arc<dyn S3Client>, bucket: Bucket) -> Self {
        Self {
            name: DRIVER_TYPE.to_owned(),
            client,
            bucket,
            max_payload_size: DEFAULT_MAX_PAYLOAD_SIZE,
            transfer_timeout: DEFAULT_TRANSFER_TIMEOUT,
            concurrent_transfers: DEFAULT_CONCURRENT_TRANSFERS,
        }
    }

    /// The driver's name, for several of them side by side. Empty: the default, `aws.s3driver`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.name = if name.is_empty() { DRIVER_TYPE.to_owned() } else { name };
        self
    }

    /// The largest payload that is stored or read, in bytes of the serialized payload. Readers need
    /// no less than writers have. Default: [`DEFAULT_MAX_PAYLOAD_SIZE`].
    #[must_use]
    pub fn max_payload_size(mut self, bytes: u64) -> Self {
        self.max_payload_size = bytes;
        self
    }

    /// How many transfers run at a time. Default: [`DEFAULT_CONCURRENT_TRANSFERS`].
    #[must_use]
    pub fn concurrent_transfers(mut self, transfers: usize) -> Self {
        self.concurrent_transfers = transfers;
        self
    }

    /// How long one transfer may take, retries included. Default: [`DEFAULT_TRANSFER_TIMEOUT`]. In
    /// a worker, the end of the invocation comes first if it is sooner.
    #[must_use]
    pub fn transfer_timeout(mut self, timeout: Duration) -> Self {
        self.transfer_timeout = timeout;
        self
    }

    /// The driver.
    ///
    /// # Errors
    ///
    /// The bucket's name is empty, or a bound is zero.
    pub fn build(self) -> Result<S3StorageDriver, ExternalStorageError> {
        let invalid = |what: &str| Err(ExternalStorageError::InvalidConfiguration(what.to_owned()));
        if self.bucket.is_nothing() {
            return invalid("the S3 driver's bucket must have a name");
        }
        if self.max_payload_size == 0 {
            return invalid("the S3 driver's max_payload_size must be more than 0 bytes");
        }
        if self.concurrent_transfers == 0 {
            return invalid("the S3 driver's concurrent_transfers must be at least 1");
        }
        if self.transfer_timeout.is_zero() {
            return invalid("the S3 driver's transfer_timeout must be more than 0 s");
        }
        let transfers = self.concurrent_transfers.min(Semaphore::MAX_PERMITS);
        Ok(S3StorageDriver {
            inner: Arc::new(Inner {
                name: self.name,
                client: self.client,
                bucket: self.bucket,
                max_payload_size: self.max_payload_size,
                transfer_timeout: self.transfer_timeout,
                transfers: Semaphore::new(transfers),
            }),
        })
    }
}
