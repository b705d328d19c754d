//! Storage as a layer of the SDK's data converter: after the codec on the way out, before it on the
//! way in. What lies in storage is encoded (encrypted, say); the reference is not.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use temporalio_common::data_converters::{
    DataConverter, FailureConverter, PayloadCodec, PayloadConversionError, PayloadConverter,
    SerializationContextData,
};
use temporalio_common::error::{IncomingError, OutgoingError};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_common::protos::temporal::api::failure::v1::Failure;

use crate::driver::{StorageDriverStoreContext, StorageDriverTargetInfo};
use crate::error::ExternalStorageError;
use crate::reference::Reference;
use crate::storage::ExternalStorage;
use crate::target;

/// A data converter that does what `inner` does, and keeps large payloads in `storage`. Without
/// storage, references are refused by name.
pub(crate) fn data_converter(inner: &DataConverter, layer: StorageLayer) -> DataConverter {
    let inner = Arc::new(inner.clone());
    let payload_converter = inner.payload_converter().clone();
    let codec = StorageCodec { inner: inner.clone(), layer };
    DataConverter::new(payload_converter, SameFailures(inner), codec)
}

/// What a codec needs to know about storage.
#[derive(Clone)]
pub(crate) struct StorageLayer {
    /// `None`: references are refused.
    pub(crate) storage: Option<ExternalStorage>,
    /// The target of what no interceptor knows more about.
    pub(crate) otherwise_for: StorageDriverTargetInfo,
    /// The invocation's side of it; `None` for clients.
    pub(crate) watch: Option<Arc<dyn Watch>>,
}

/// Whoever must know of transfers, and when they must end.
pub(crate) trait Watch: Send + Sync {
    /// A transfer is under way until the result is dropped.
    fn begin(&self) -> Box<dyn UnderWay>;
    /// Returns when transfers must end.
    fn ended(&self) -> BoxFuture<'static, ()>;
}

/// A transfer under way.
pub(crate) trait UnderWay: Send {
    /// It has failed, in these words.
    fn failed(self: Box<Self>, words: &str);
}

struct StorageCodec {
    inner: Arc<DataConverter>,
    layer: StorageLayer,
}

impl PayloadCodec for StorageCodec {
    fn encode(
        &self,
        context: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        // Before the first await: the caller's task knows the target.
        let target = target::current().unwrap_or_else(|| self.layer.otherwise_for.clone());
        let context_of_store = StorageDriverStoreContext::new(Some(target));
        let encoded = self.inner.codec().encode(context, payloads);
        let layer = self.layer.clone();
        async move {
            let payloads = encoded.await?;
            let Some(storage) = &layer.storage else { return Ok(payloads) };
            let (count, bytes) = storage.large(&payloads);
            let stored = storage.store(&context_of_store, payloads);
            layer.watched(stored, "storing", count, bytes).await.map_err(conversion_error)
        }
        .boxed()
    }

    fn decode(
        &self,
        context: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        let inner = self.inner.clone();
        let layer = self.layer.clone();
        let context = context.clone();
        async move {
            let payloads = layer.retrieve(payloads).await.map_err(conversion_error)?;
            inner.codec().decode(&context, payloads).await
        }
        .boxed()
    }
}

impl StorageLayer {
    async fn retrieve(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>, ExternalStorageError> {
        let mut stored = (0, 0);
        for payload in &payloads {
            if let Some(reference) = Reference::of(payload)? {
                if self.storage.is_none() {
                    let driver_name = reference.driver_name;
                    return Err(ExternalStorageError::NotConfigured { driver_name });
                }
                stored = (stored.0 + 1, stored.1 + reference.size);
            }
        }
        let (count, bytes) = stored;
        match &self.storage {
            Some(storage) if count > 0 => {
                let retrieved = storage.retrieve(payloads);
                self.watched(retrieved, "retrieving", count, bytes).await
            }
            _ => Ok(payloads),
        }
    }

    /// Runs a transfer of so many payloads, if it is one.
    async fn watched<T>(
        &self,
        transfer: impl Future<Output = Result<T, ExternalStorageError>>,
        operation: &'static str,
        payloads: usize,
        bytes: u64,
    ) -> Result<T, ExternalStorageError> {
        let Some(watch) = self.watch.as_ref().filter(|_| payloads > 0) else {
            return transfer.await;
        };
        let under_way = watch.begin();
        let result = tokio::select! {
            biased;
            result = transfer => result,
            () = watch.ended() => {
                Err(ExternalStorageError::OutOfTime { operation, payloads, bytes })
            }
        };
        if let Err(error) = &result {
            under_way.failed(&error.to_string());
        }
        result
    }
}

fn conversion_error(error: ExternalStorageError) -> PayloadConversionError {
    PayloadConversionError::EncodingError(Box::new(error))
}

/// The failure converter of a data converter, which cannot be taken out of it.
struct SameFailures(Arc<DataConverter>);

impl FailureConverter for SameFailures {
    fn to_failure(
        &self,
        error: OutgoingError,
        payload_converter: &PayloadConverter,
        context: &SerializationContextData,
    ) -> Failure {
        self.0.failure_converter().to_failure(error, payload_converter, context)
    }

    fn to_error(
        &self,
        failure: Failure,
        payload_converter: &PayloadConverter,
        context: &SerializationContextData,
    ) -> Result<IncomingError, PayloadConversionError> {
        self.0.failure_converter().to_error(failure, payload_converter, context)
    }
}
