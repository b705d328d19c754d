//! The S3 driver.

mod bucket;
mod builder;
mod claim;
mod client;
mod driver;
mod error;
mod http;
mod key;
mod last_failure;
mod rest;

pub use bucket::Bucket;
pub use builder::{
    DEFAULT_CONCURRENT_TRANSFERS, DEFAULT_MAX_PAYLOAD_SIZE, DEFAULT_TRANSFER_TIMEOUT,
    S3StorageDriverBuilder,
};
pub use client::{ConditionalPut, S3Client};
pub use driver::{DRIVER_TYPE, S3StorageDriver};
pub use error::{Location, S3Error, S3StorageError};
pub use rest::{AwsS3Client, AwsS3ClientBuilder};
