//! External storage: which payloads are stored, and by which driver.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::driver::{
    StorageDriver, StorageDriverRetrieveContext, StorageDriverSelector, StorageDriverStoreContext,
};
use crate::error::ExternalStorageError;
use crate::reference::Reference;
use crate::{batch, wire};

/// The size from which on a payload is stored, unless another is set: 256 KiB of the serialized
/// payload, as in all SDKs.
pub const DEFAULT_PAYLOAD_SIZE_THRESHOLD: usize = 256 * 1024;

/// Keeps large payloads outside of Temporal: each is replaced by a reference of a few hundred
/// bytes, and what the reference names is fetched where the payload is read.
///
/// Cheap to clone; clones share the drivers.
#[derive(Clone)]
pub struct ExternalStorage {
    drivers: Arc<HashMap<String, Arc<dyn StorageDriver>>>,
    selector: Arc<dyn StorageDriverSelector>,
    payload_size_threshold: usize,
}

impl ExternalStorage {
    /// Storage with one driver, which stores all large payloads.
    ///
    /// # Errors
    ///
    /// The driver's name is empty.
    pub fn new(driver: impl StorageDriver) -> Result<Self, ExternalStorageError> {
        let driver: Arc<dyn StorageDriver> = Arc::new(driver);
        let only = driver.clone();
        Self::with_selector(vec![driver], move |_: &StorageDriverStoreContext, _: &Payload| {
            Some(only.clone())
        })
    }

    /// Storage with several drivers, of which `selector` chooses one for each large payload. A
    /// driver that is never chosen still reads what it stored in other times.
    ///
    /// # Errors
    ///
    /// There is no driver, a name is empty, or two drivers have one name.
    pub fn with_selector(
        drivers: Vec<Arc<dyn StorageDriver>>,
        selector: impl StorageDriverSelector,
    ) -> Result<Self, ExternalStorageError> {
        let invalid = |reason: String| Err(ExternalStorageError::InvalidConfiguration(reason));
        if drivers.is_empty() {
            return invalid("at least one driver is required".into());
        }
        let mut by_name = HashMap::with_capacity(drivers.len());
        for driver in drivers {
            let name = driver.name().to_owned();
            if name.is_empty() {
                return invalid("a driver's name must not be empty".into());
            }
            if by_name.insert(name.clone(), driver).is_some() {
                return invalid(format!(
                    "two drivers are named {name:?}; give one of them another name"
                ));
            }
        }
        Ok(Self {
            drivers: Arc::new(by_name),
            selector: Arc::new(selector),
            payload_size_threshold: DEFAULT_PAYLOAD_SIZE_THRESHOLD,
        })
    }

    /// Sets the size from which on a payload is stored, in bytes of the serialized payload. Zero:
    /// every payload is. Default: [`DEFAULT_PAYLOAD_SIZE_THRESHOLD`].
    #[must_use]
    pub fn payload_size_threshold(mut self, bytes: usize) -> Self {
        self.payload_size_threshold = bytes;
        self
    }

    /// Stores the payloads that are large enough and puts references in their places. Payloads of
    /// one driver go to it in one call, the drivers' calls run at the same time, and the first that
    /// fails ends the others.
    ///
    /// Cancel safe in so far as a dropped call leaves at most stored objects that nothing refers to.
    ///
    /// # Errors
    ///
    /// A driver failed, or did not do what a driver must; nothing was replaced.
    pub async fn store(
        &self,
        context: &StorageDriverStoreContext,
        payloads: Vec<Payload>,
    ) -> Result<Vec<Payload>, ExternalStorageError> {
        let mut results = Vec::with_capacity(payloads.len());
        let mut groups = batch::Groups::default();
        for payload in payloads {
            let size = wire::serialized_size(&payload);
            match self.driver_for(context, &payload, size)? {
                Some(driver) => {
                    groups.push(&driver, results.len(), (payload, size as u64));
                    results.push(Payload::default());
                }
                None => results.push(payload),
            }
        }
        let told = Told::begin("stored payloads", groups.driver_names());
        let stored = groups.store(context).await?;
        told.end(stored.len(), stored.iter().map(|(_, reference)| reference.size).sum());
        for (at, stored) in stored {
            results[at] = stored.into_payload();
        }
        Ok(results)
    }

    /// Puts the stored payloads in the places of their references.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// A reference cannot be read or names a driver that is not registered, or a driver failed.
    pub async fn retrieve(
        &self,
        payloads: Vec<Payload>,
    ) -> Result<Vec<Payload>, ExternalStorageError> {
        let mut results = payloads;
        let mut groups = batch::Groups::default();
        for (at, payload) in results.iter().enumerate() {
            if let Some(reference) = Reference::of(payload)? {
                let driver = self.drivers.get(&reference.driver_name).ok_or_else(|| {
                    ExternalStorageError::UnknownDriver {
                        driver_name: reference.driver_name.clone(),
                        registered: self.names().join(", "),
                    }
                })?;
                groups.push(driver, at, reference.claim);
            }
        }
        let told = Told::begin("retrieved payloads", groups.driver_names());
        let retrieved = groups.retrieve(&StorageDriverRetrieveContext::default()).await?;
        let sizes = retrieved.iter().map(|(_, payload)| wire::serialized_size(payload) as u64);
        told.end(retrieved.len(), sizes.sum());
        for (at, payload) in retrieved {
            results[at] = payload;
        }
        Ok(results)
    }

    /// How many of `payloads` would be stored, and their bytes.
    pub(crate) fn large(&self, payloads: &[Payload]) -> (usize, u64) {
        let sizes = payloads.iter().map(wire::serialized_size);
        let large = sizes.filter(|size| *size >= self.payload_size_threshold);
        large.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size as u64))
    }

    fn driver_for(
        &self,
        context: &StorageDriverStoreContext,
        payload: &Payload,
        size: usize,
    ) -> Result<Option<Arc<dyn StorageDriver>>, ExternalStorageError> {
        if size < self.payload_size_threshold {
            return Ok(None);
        }
        // Nothing that the selector leaves behind is looked at after a panic.
        let select = AssertUnwindSafe(|| self.selector.select_driver(context, payload));
        let selected = catch_unwind(select).map_err(|panic| {
            ExternalStorageError::SelectorPanicked { message: batch::panic_message(&*panic) }
        })?;
        let Some(driver) = selected else { return Ok(None) };
        // By identity: another driver of the same name need not know where this one's objects are.
        let registered = self
            .drivers
            .get(driver.name())
            .is_some_and(|known| std::ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(&driver)));
        if registered {
            Ok(Some(driver))
        } else {
            let driver_name = driver.name().to_owned();
            Err(ExternalStorageError::DriverNotRegistered { driver_name })
        }
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.drivers.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

/// What a batch cost, for the log: transfers are a part of a task's latency that no metric of the
/// SDK has.
struct Told {
    message: &'static str,
    drivers: String,
    began: Instant,
}

impl Told {
    fn begin(message: &'static str, drivers: String) -> Self {
        Self { message, drivers, began: Instant::now() }
    }

    fn end(self, payloads: usize, bytes: u64) {
        if payloads > 0 {
            let milliseconds = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let Self { message, drivers, .. } = self;
            tracing::debug!(payloads, bytes, milliseconds, drivers, "{message}");
        }
    }
}

impl fmt::Debug for ExternalStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalStorage")
            .field("drivers", &self.names())
            .field("payload_size_threshold", &self.payload_size_threshold)
            .finish_non_exhaustive()
    }
}
