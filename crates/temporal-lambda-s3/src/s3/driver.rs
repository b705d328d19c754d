//! Payloads as objects: content-addressed, stored once, checked when they are read.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use ring::digest::{SHA256, digest};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use tokio::sync::Semaphore;

use crate::batch::all_or_first_failure;
use crate::driver::{
    StorageDriver, StorageDriverClaim, StorageDriverRetrieveContext, StorageDriverStoreContext,
    StorageDriverTargetInfo,
};
use crate::error::ExternalStorageError;
use crate::s3::bucket::Bucket;
use crate::s3::claim::{self, Address};
use crate::s3::client::{ConditionalPut, S3Client};
use crate::s3::error::{Location, S3Error, S3StorageError};
use crate::s3::key::object_key;
use crate::s3::last_failure;
use crate::wire;

/// How long a client may take to describe itself.
const DESCRIPTION: Duration = Duration::from_secs(1);

/// The kind of driver, in all languages.
pub const DRIVER_TYPE: &str = "aws.s3driver";

/// Stores payloads in S3 in the way that Temporal's SDKs for Python, Go and TypeScript do: they
/// read what it stores, and it reads what they store.
///
/// Cheap to clone; clones share the client and the bound on transfers.
#[derive(Clone)]
pub struct S3StorageDriver {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) name: String,
    pub(super) client: Arc<dyn S3Client>,
    pub(super) bucket: Bucket,
    pub(super) max_payload_size: u64,
    pub(super) transfer_timeout: Duration,
    pub(super) transfers: Semaphore,
}

impl StorageDriver for S3StorageDriver {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn driver_type(&self) -> &str {
        DRIVER_TYPE
    }

    fn store(
        &self,
        context: &StorageDriverStoreContext,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<StorageDriverClaim>, ExternalStorageError>> {
        let (inner, context) = (self.inner.clone(), context.clone());
        async move { inner.store(&context, payloads).await }.boxed()
    }

    fn retrieve(
        &self,
        _: &StorageDriverRetrieveContext,
        claims: Vec<StorageDriverClaim>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, ExternalStorageError>> {
        let inner = self.inner.clone();
        async move {
            // All addresses before the first request.
            let addresses = claims.iter().map(claim::address).collect::<Result<Vec<_>, _>>();
            let downloads = addresses.map_err(failed)?.into_iter().zip(&claims);
            all_or_first_failure(downloads.map(|(address, claim)| inner.download(address, claim)))
                .await
                .map_err(failed)
        }
        .boxed()
    }
}

impl Inner {
    async fn store(
        &self,
        context: &StorageDriverStoreContext,
        payloads: Vec<Payload>,
    ) -> Result<Vec<StorageDriverClaim>, ExternalStorageError> {
        // All sizes before the first upload, so that a batch that cannot be stored leaves nothing
        // behind.
        for payload in &payloads {
            let size = wire::serialized_size(payload) as u64;
            if size > self.max_payload_size {
                let limit = self.max_payload_size;
                return Err(failed(S3StorageError::PayloadTooLarge { size, limit }));
            }
        }
        let mut claims = Vec::with_capacity(payloads.len());
        // Equal payloads are one object.
        let mut uploads = HashMap::new();
        for payload in payloads {
            let bucket =
                self.bucket.name(context, &payload).map_err(ExternalStorageError::Driver)?;
            let content = Bytes::from(wire::serialize(&payload));
            drop(payload);
            let digest = sha256(&content);
            let address = Address { bucket, key: object_key(context.target.as_ref(), &digest) };
            claims.push(claim::claim(&address, &digest));
            uploads.entry(address).or_insert(content);
        }
        let anew = is_for_nobody(context);
        let uploads =
            uploads.into_iter().map(|(address, content)| self.upload(address, content, anew));
        all_or_first_failure(uploads).await.map_err(failed)?;
        Ok(claims)
    }

    /// Stores an object, unless it is there; with `anew`, even if it is there.
    async fn upload(
        &self,
        address: Address,
        content: Bytes,
        anew: bool,
    ) -> Result<(), S3StorageError> {
        let Address { bucket, key } = &address;
        let upload = async {
            if anew {
                return self.client.put(bucket, key, content).await.map_err(Failed::Store);
            }
            let put = self.client.put_if_absent(bucket, key, content.clone()).await;
            match put.map_err(Failed::Store)? {
                ConditionalPut::Stored | ConditionalPut::AlreadyThere => return Ok(()),
                ConditionalPut::NotSupported => {}
            }
            if self.client.exists(bucket, key).await.map_err(Failed::Exists)? {
                return Ok(());
            }
            self.client.put(bucket, key, content).await.map_err(Failed::Store)
        };
        let failure = match self.in_time(upload).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) => failure,
            Err(last) => Failed::TimedOut(last),
        };
        let location = self.location(&address).await;
        Err(match failure {
            Failed::Store(source) => S3StorageError::Store { location, source },
            Failed::Exists(source) => S3StorageError::Exists { location, source },
            Failed::TimedOut(last) => self.timed_out("store", location, last),
        })
    }

    async fn download(
        &self,
        address: Address,
        claim: &StorageDriverClaim,
    ) -> Result<Payload, S3StorageError> {
        let limit = self.max_payload_size;
        let download = self.client.get(&address.bucket, &address.key, limit);
        let downloaded = self.in_time(download).await;
        let location = self.location(&address).await;
        let content = match downloaded {
            Ok(Ok(content)) => content,
            Ok(Err(source)) => {
                return Err(match source.too_large() {
                    Some(at_least) => S3StorageError::ObjectTooLarge { location, at_least, limit },
                    None => S3StorageError::Retrieve { location, source },
                });
            }
            Err(last) => return Err(self.timed_out("retrieve", location, last)),
        };
        // Other clients need not know of the limit.
        let at_least = content.len() as u64;
        if at_least > limit {
            return Err(S3StorageError::ObjectTooLarge { location, at_least, limit });
        }
        let expected = claim::digest(claim, &location)?;
        let actual = sha256(&content);
        if expected != actual {
            return Err(S3StorageError::HashMismatch { location, expected, actual });
        }
        wire::deserialize(content)
            .map_err(|source| S3StorageError::NotAPayload { location, source })
    }

    /// Runs a transfer when there is room for it. The time counts from when it begins. If it was too
    /// long: how the last attempt failed.
    async fn in_time<T>(&self, transfer: impl Future<Output = T>) -> Result<T, Option<S3Error>> {
        let room = self.transfers.acquire().await;
        let _room = room.expect("the semaphore is never closed");
        last_failure::in_time(self.transfer_timeout, transfer).await
    }

    fn timed_out(
        &self,
        operation: &'static str,
        location: Location,
        last: Option<S3Error>,
    ) -> S3StorageError {
        S3StorageError::TimedOut { operation, location, after: self.transfer_timeout, last }
    }

    async fn location(&self, address: &Address) -> Location {
        // The failure that is being described matters more than one of its description.
        let described = tokio::time::timeout(DESCRIPTION, self.client.describe()).await;
        let client: BTreeMap<_, _> = described.ok().and_then(Result::ok).unwrap_or_default();
        Location { bucket: address.bucket.clone(), key: address.key.clone(), client }
    }
}

/// Whether the target has no ID, so that one key serves all executions of the namespace. Such an
/// object is written each time: a lifecycle rule counts an object's age from when it was written,
/// and would delete it under an execution that found it there.
fn is_for_nobody(context: &StorageDriverStoreContext) -> bool {
    match &context.target {
        Some(StorageDriverTargetInfo::Workflow(workflow)) => workflow.id.is_none(),
        Some(StorageDriverTargetInfo::Activity(activity)) => activity.id.is_none(),
        None => false,
    }
}

enum Failed {
    Store(S3Error),
    Exists(S3Error),
    TimedOut(Option<S3Error>),
}

fn failed(error: S3StorageError) -> ExternalStorageError {
    ExternalStorageError::Driver(Box::new(error))
}

fn sha256(content: &[u8]) -> String {
    use fmt::Write as _;
    let digest = digest(&SHA256, content);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl fmt::Debug for S3StorageDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3StorageDriver")
            .field("name", &self.inner.name)
            .field("bucket", &self.inner.bucket)
            .field("max_payload_size", &self.inner.max_payload_size)
            .field("transfer_timeout", &self.inner.transfer_timeout)
            .finish_non_exhaustive()
    }
}
