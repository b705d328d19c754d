//! An S3 in memory that counts, waits and fails as it is told, and payloads for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use temporal_lambda_s3::{
    ConditionalPut, S3Client, S3Error, StorageDriverClaim, StorageDriverStoreContext,
    StorageDriverTargetInfo, StorageDriverWorkflowInfo,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use tokio::sync::Barrier;

/// How a transfer behaves.
#[derive(Clone, Default)]
pub(crate) enum Transfer {
    /// It ends at once.
    #[default]
    Done,
    /// It waits until as many are under way.
    Together(Arc<Barrier>),
    /// The one with the number fails once all are under way; the others never end.
    OneFails(Arc<Barrier>, usize),
    /// It never ends.
    Hangs,
}

#[derive(Default)]
pub(crate) struct FakeS3 {
    pub(crate) objects: Mutex<HashMap<(String, String), Bytes>>,
    /// Buckets that are missing.
    pub(crate) missing: Vec<&'static str>,
    /// Whether the client has a conditional PUT.
    pub(crate) conditional: bool,
    pub(crate) forbids_head: bool,
    pub(crate) describe_fails: bool,
    pub(crate) describe_hangs: bool,
    pub(crate) transfer: Transfer,
    pub(crate) puts: AtomicUsize,
    pub(crate) heads: AtomicUsize,
    pub(crate) gets: AtomicUsize,
    /// Transfers that were dropped before they ended.
    pub(crate) cancelled: Arc<AtomicUsize>,
    pub(crate) begun: AtomicUsize,
}

struct Cancelled(Option<Arc<AtomicUsize>>);

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some(count) = self.0.take() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl FakeS3 {
    pub(crate) fn count(&self) -> usize {
        self.objects.lock().unwrap().len()
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<_> =
            self.objects.lock().unwrap().keys().map(|(_, key)| key.clone()).collect();
        keys.sort();
        keys
    }

    pub(crate) fn puts(&self) -> usize {
        self.puts.load(Ordering::SeqCst)
    }

    pub(crate) fn cancelled(&self) -> usize {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// All requests that were made.
    pub(crate) fn requests(&self) -> usize {
        let counters = [&self.puts, &self.heads, &self.gets];
        counters.iter().map(|counter| counter.load(Ordering::SeqCst)).sum()
    }

    async fn transfer(&self) -> Result<(), S3Error> {
        let mut cancelled = Cancelled(Some(self.cancelled.clone()));
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        match &self.transfer {
            Transfer::Done => {}
            Transfer::Together(barrier) => {
                barrier.wait().await;
            }
            Transfer::OneFails(barrier, failing) => {
                barrier.wait().await;
                if number != *failing {
                    std::future::pending::<()>().await;
                }
                cancelled.0 = None;
                return Err(S3Error::new("it broke").with_code("InternalError").with_status(500));
            }
            Transfer::Hangs => std::future::pending().await,
        }
        cancelled.0 = None;
        Ok(())
    }

    fn check(&self, bucket: &str) -> Result<(), S3Error> {
        if self.missing.contains(&bucket) {
            let error = S3Error::new("The specified bucket does not exist");
            return Err(error.with_code("NoSuchBucket").with_status(404));
        }
        Ok(())
    }
}

#[async_trait]
impl S3Client for FakeS3 {
    async fn put(&self, bucket: &str, key: &str, content: Bytes) -> Result<(), S3Error> {
        self.puts.fetch_add(1, Ordering::SeqCst);
        self.transfer().await?;
        self.check(bucket)?;
        self.objects.lock().unwrap().insert((bucket.into(), key.into()), content);
        Ok(())
    }

    async fn exists(&self, bucket: &str, key: &str) -> Result<bool, S3Error> {
        self.heads.fetch_add(1, Ordering::SeqCst);
        if self.forbids_head {
            return Err(S3Error::new("Forbidden").with_code("Forbidden").with_status(403));
        }
        Ok(self.objects.lock().unwrap().contains_key(&(bucket.to_owned(), key.to_owned())))
    }

    async fn get(&self, bucket: &str, key: &str, _: u64) -> Result<Bytes, S3Error> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.transfer().await?;
        self.check(bucket)?;
        let objects = self.objects.lock().unwrap();
        objects.get(&(bucket.to_owned(), key.to_owned())).cloned().ok_or_else(|| {
            let error = S3Error::new("The specified key does not exist.");
            error.with_code("NoSuchKey").with_status(404)
        })
    }

    async fn describe(&self) -> Result<BTreeMap<String, String>, S3Error> {
        if self.describe_hangs {
            std::future::pending::<()>().await;
        }
        if self.describe_fails {
            return Err(S3Error::new("nobody knows"));
        }
        Ok(BTreeMap::from([("client_region".into(), "eu-test-1".into())]))
    }

    async fn put_if_absent(
        &self,
        bucket: &str,
        key: &str,
        content: Bytes,
    ) -> Result<ConditionalPut, S3Error> {
        if !self.conditional {
            return Ok(ConditionalPut::NotSupported);
        }
        self.puts.fetch_add(1, Ordering::SeqCst);
        self.transfer().await?;
        self.check(bucket)?;
        let mut objects = self.objects.lock().unwrap();
        let address = (bucket.to_owned(), key.to_owned());
        if objects.contains_key(&address) {
            return Ok(ConditionalPut::AlreadyThere);
        }
        objects.insert(address, content);
        Ok(ConditionalPut::Stored)
    }
}

/// A payload as the SDK makes it, whose data has `size` bytes of a text that depends on `name`.
pub(crate) fn payload(name: &str, size: usize) -> Payload {
    let text = name.bytes().cycle().take(size);
    Payload {
        metadata: HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]),
        data: text.collect(),
        external_payloads: vec![],
    }
}

pub(crate) fn target(id: &str) -> StorageDriverTargetInfo {
    StorageDriverTargetInfo::Workflow(StorageDriverWorkflowInfo {
        namespace: "ns1".into(),
        id: Some(id.into()),
        run_id: Some("run1".into()),
        workflow_type: Some("T".into()),
    })
}

pub(crate) fn store_context(id: &str) -> StorageDriverStoreContext {
    StorageDriverStoreContext::new(Some(target(id)))
}

/// A claim as Python and Go write it.
pub(crate) fn claim(entries: &[(&str, &str)]) -> StorageDriverClaim {
    let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    StorageDriverClaim::new(entries.collect())
}
