//! One call to each driver for a batch of payloads, and what drivers must not do.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, TryStreamExt as _};
use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::driver::{
    StorageDriver, StorageDriverClaim, StorageDriverRetrieveContext, StorageDriverStoreContext,
};
use crate::error::ExternalStorageError;
use crate::reference::Reference;

/// What goes to which driver, and the places that the results belong to.
pub(crate) struct Groups<T> {
    groups: Vec<Group<T>>,
}

struct Group<T> {
    driver: Arc<dyn StorageDriver>,
    places: Vec<usize>,
    items: Vec<T>,
}

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Self { groups: Vec::new() }
    }
}

impl<T> Groups<T> {
    pub(crate) fn push(&mut self, driver: &Arc<dyn StorageDriver>, place: usize, item: T) {
        let same = |group: &&mut Group<T>| group.driver.name() == driver.name();
        match self.groups.iter_mut().find(same) {
            Some(group) => {
                group.places.push(place);
                group.items.push(item);
            }
            None => self.groups.push(Group {
                driver: driver.clone(),
                places: vec![place],
                items: vec![item],
            }),
        }
    }

    /// The drivers that have something to do, sorted, with commas.
    pub(crate) fn driver_names(&self) -> String {
        let mut names: Vec<_> = self.groups.iter().map(|group| group.driver.name()).collect();
        names.sort_unstable();
        names.join(", ")
    }
}

impl Groups<(Payload, u64)> {
    /// Has the drivers store their payloads, each of which comes with its size.
    pub(crate) async fn store(
        self,
        context: &StorageDriverStoreContext,
    ) -> Result<Vec<(usize, Reference)>, ExternalStorageError> {
        let calls = self.groups.into_iter().map(|group| async move {
            let (payloads, sizes): (Vec<_>, Vec<_>) = group.items.into_iter().unzip();
            let driver = &group.driver;
            let claims =
                call(driver.name(), "claims", sizes.len(), || driver.store(context, payloads))
                    .await?;
            let references = claims.into_iter().zip(sizes).map(|(claim, size)| Reference {
                driver_name: driver.name().to_owned(),
                claim,
                size,
            });
            Ok(group.places.into_iter().zip(references).collect::<Vec<_>>())
        });
        Ok(all_or_first_failure(calls).await?.into_iter().flatten().collect())
    }
}

impl Groups<StorageDriverClaim> {
    /// Has the drivers read what their claims name.
    pub(crate) async fn retrieve(
        self,
        context: &StorageDriverRetrieveContext,
    ) -> Result<Vec<(usize, Payload)>, ExternalStorageError> {
        let calls = self.groups.into_iter().map(|group| async move {
            let driver = &group.driver;
            let expected = group.items.len();
            let payloads =
                call(driver.name(), "payloads", expected, || driver.retrieve(context, group.items))
                    .await?;
            Ok(group.places.into_iter().zip(payloads).collect::<Vec<_>>())
        });
        Ok(all_or_first_failure(calls).await?.into_iter().flatten().collect())
    }
}

/// All results in order. The first failure, whichever it is of, ends what else is under way.
/// (`try_join_all` of more than 30 futures waits for those before the one that failed.)
pub(crate) async fn all_or_first_failure<T, E>(
    futures: impl IntoIterator<Item = impl Future<Output = Result<T, E>>>,
) -> Result<Vec<T>, E> {
    let numbered = futures.into_iter().enumerate();
    let running: FuturesUnordered<_> =
        numbered.map(|(number, future)| async move { Ok((number, future.await?)) }).collect();
    let mut results: Vec<_> = running.try_collect().await?;
    results.sort_unstable_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Calls a driver, such that a panic of it is an error and the number of results is right.
async fn call<R>(
    driver_name: &str,
    what: &'static str,
    expected: usize,
    begin: impl FnOnce() -> BoxFuture<'static, Result<Vec<R>, ExternalStorageError>>,
) -> Result<Vec<R>, ExternalStorageError> {
    // Nothing that the call leaves behind is looked at after a panic.
    let call = AssertUnwindSafe(async move { begin().await });
    let results = match call.catch_unwind().await {
        Ok(results) => results?,
        Err(panic) => {
            return Err(ExternalStorageError::Panicked {
                driver_name: driver_name.to_owned(),
                message: panic_message(panic.as_ref()),
            });
        }
    };
    if results.len() == expected {
        Ok(results)
    } else {
        Err(ExternalStorageError::WrongCount {
            driver_name: driver_name.to_owned(),
            what,
            returned: results.len(),
            expected,
        })
    }
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("its message is no text")
        .to_owned()
}
