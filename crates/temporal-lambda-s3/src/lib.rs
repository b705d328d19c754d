#![doc = include_str!("../README.md")]

mod batch;
mod client;
mod codec;
mod driver;
mod error;
mod reference;
mod s3;
mod storage;
mod target;
mod wire;
#[cfg(feature = "worker")]
mod worker;

pub use client::refuse_references;
pub use driver::{
    StorageDriver, StorageDriverActivityInfo, StorageDriverClaim, StorageDriverRetrieveContext,
    StorageDriverSelector, StorageDriverStoreContext, StorageDriverTargetInfo,
    StorageDriverWorkflowInfo,
};
pub use error::{BoxError, ExternalStorageError};
pub use s3::{
    AwsS3Client, AwsS3ClientBuilder, Bucket, ConditionalPut, DEFAULT_CONCURRENT_TRANSFERS,
    DEFAULT_MAX_PAYLOAD_SIZE, DEFAULT_TRANSFER_TIMEOUT, DRIVER_TYPE, Location, S3Client, S3Error,
    S3StorageDriver, S3StorageDriverBuilder, S3StorageError,
};
pub use storage::{DEFAULT_PAYLOAD_SIZE_THRESHOLD, ExternalStorage};
pub use target::stored_for;
