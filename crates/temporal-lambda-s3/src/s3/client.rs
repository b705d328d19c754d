//! The S3 client behind the driver: four operations, so that a test or a program can bring its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::s3::error::S3Error;

/// What became of a conditional PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionalPut {
    /// The object is new.
    Stored,
    /// There was an object under the key, and it was left as it is.
    AlreadyThere,
    /// This client, or the server, has no conditional PUT. Nothing was stored.
    NotSupported,
}

/// What the driver asks of S3. Called concurrently. A future that is dropped ends its request; an
/// upload that was cut off must not become an object.
#[async_trait]
pub trait S3Client: Send + Sync + 'static {
    /// Stores an object; one that is there is replaced.
    async fn put(&self, bucket: &str, key: &str, content: Bytes) -> Result<(), S3Error>;

    /// Whether there is an object. Only a 404 means no: a 403 is an error, since it may hide an
    /// object as well as its absence.
    async fn exists(&self, bucket: &str, key: &str) -> Result<bool, S3Error>;

    /// The whole content of an object of at most `limit` bytes. One that has more is
    /// [`S3Error::object_too_large`], best before it is in memory.
    async fn get(&self, bucket: &str, key: &str, limit: u64) -> Result<Bytes, S3Error>;

    /// What helps whoever reads an error message, such as `client_region`. Default: nothing.
    async fn describe(&self) -> Result<BTreeMap<String, String>, S3Error> {
        Ok(BTreeMap::new())
    }

    /// Stores an object unless there is one: one request instead of two, and no permission to list
    /// the bucket. Default: [`ConditionalPut::NotSupported`], and the driver asks
    /// [`exists`](Self::exists) first.
    async fn put_if_absent(
        &self,
        bucket: &str,
        key: &str,
        content: Bytes,
    ) -> Result<ConditionalPut, S3Error> {
        let _ = (bucket, key, content);
        Ok(ConditionalPut::NotSupported)
    }
}

#[async_trait]
impl<C: S3Client + ?Sized> S3Client for Arc<C> {
    async fn put(&self, bucket: &str, key: &str, content: Bytes) -> Result<(), S3Error> {
        (**self).put(bucket, key, content).await
    }

    async fn exists(&self, bucket: &str, key: &str) -> Result<bool, S3Error> {
        (**self).exists(bucket, key).await
    }

    async fn get(&self, bucket: &str, key: &str, limit: u64) -> Result<Bytes, S3Error> {
        (**self).get(bucket, key, limit).await
    }

    async fn describe(&self) -> Result<BTreeMap<String, String>, S3Error> {
        (**self).describe().await
    }

    async fn put_if_absent(
        &self,
        bucket: &str,
        key: &str,
        content: Bytes,
    ) -> Result<ConditionalPut, S3Error> {
        (**self).put_if_absent(bucket, key, content).await
    }
}
