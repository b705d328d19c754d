//! Drivers that do not do what drivers must.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use temporal_lambda_s3::{
    ExternalStorage, ExternalStorageError, StorageDriver, StorageDriverClaim,
    StorageDriverRetrieveContext, StorageDriverSelector, StorageDriverStoreContext,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use tokio::sync::Barrier;

use crate::fake::payload;

type Claims = Result<Vec<StorageDriverClaim>, ExternalStorageError>;
type Payloads = Result<Vec<Payload>, ExternalStorageError>;

/// What a driver does when it is called.
#[derive(Clone, Default)]
pub(crate) enum Act {
    /// A claim with the payload's own data; it reads it back.
    #[default]
    Right,
    /// As many results.
    Count(usize),
    PanicsAtOnce,
    PanicsLater,
    Fails,
    Hangs,
    /// Right, once as many drivers are called.
    Together(Arc<Barrier>),
    /// Fails, once as many drivers are called.
    FailsTogether(Arc<Barrier>),
    /// Waits for ever, once as many drivers are called.
    HangsTogether(Arc<Barrier>),
}

pub(crate) struct Driver {
    name: String,
    act: Act,
    pub(crate) calls: AtomicUsize,
    dropped: Arc<AtomicUsize>,
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Driver {
    pub(crate) fn named(name: &str) -> Self {
        Self::acting(name, Act::Right)
    }

    pub(crate) fn acting(name: &str, act: Act) -> Self {
        let (calls, dropped) = Default::default();
        Self { name: name.into(), act, calls, dropped }
    }

    fn act<R: Send + 'static>(
        &self,
        right: Vec<R>,
        of_count: fn() -> R,
    ) -> BoxFuture<'static, Result<Vec<R>, ExternalStorageError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let failure = || Err(ExternalStorageError::Driver("the driver failed".into()));
        match self.act.clone() {
            Act::Right => ready(Ok(right)).boxed(),
            Act::Count(count) => {
                ready(Ok(std::iter::repeat_with(of_count).take(count).collect())).boxed()
            }
            Act::PanicsAtOnce => panic!("at once"),
            Act::PanicsLater => async { panic!("later") }.boxed(),
            Act::Fails => ready(failure()).boxed(),
            Act::Hangs => {
                let dropped = OnDrop(self.dropped.clone());
                async move {
                    let _dropped = dropped;
                    std::future::pending().await
                }
                .boxed()
            }
            Act::Together(barrier) => async move {
                barrier.wait().await;
                Ok(right)
            }
            .boxed(),
            Act::FailsTogether(barrier) => async move {
                barrier.wait().await;
                failure()
            }
            .boxed(),
            Act::HangsTogether(barrier) => {
                let dropped = OnDrop(self.dropped.clone());
                async move {
                    let _dropped = dropped;
                    barrier.wait().await;
                    std::future::pending().await
                }
                .boxed()
            }
        }
    }
}

impl StorageDriver for Driver {
    fn name(&self) -> &str {
        &self.name
    }

    fn driver_type(&self) -> &'static str {
        "test"
    }

    fn store(
        &self,
        _: &StorageDriverStoreContext,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Claims> {
        let claims = payloads.into_iter().map(|payload| {
            let data = String::from_utf8(payload.data).unwrap();
            StorageDriverClaim::new(HashMap::from([("data".into(), data)]))
        });
        self.act(claims.collect(), || StorageDriverClaim::new(HashMap::new()))
    }

    fn retrieve(
        &self,
        _: &StorageDriverRetrieveContext,
        claims: Vec<StorageDriverClaim>,
    ) -> BoxFuture<'static, Payloads> {
        let payloads = claims.into_iter().map(|claim| {
            let data = claim.claim_data["data"].clone();
            let size = data.len();
            payload(&data, size)
        });
        self.act(payloads.collect(), || payload("x", 1))
    }
}

/// Storage for everything, with drivers named by what a payload begins with: `a`, `b`, …
pub(crate) fn by_first_letter(drivers: &[Arc<Driver>]) -> ExternalStorage {
    let all: Vec<Arc<dyn StorageDriver>> =
        drivers.iter().map(|driver| driver.clone() as Arc<dyn StorageDriver>).collect();
    ExternalStorage::with_selector(all.clone(), ByFirstLetter(all))
        .unwrap()
        .payload_size_threshold(0)
}

struct ByFirstLetter(Vec<Arc<dyn StorageDriver>>);

impl StorageDriverSelector for ByFirstLetter {
    fn select_driver(
        &self,
        _: &StorageDriverStoreContext,
        payload: &Payload,
    ) -> Option<Arc<dyn StorageDriver>> {
        let letter = char::from(payload.data[0]).to_string();
        self.0.iter().find(|driver| driver.name() == letter).cloned()
    }
}

fn storage(act: Act) -> ExternalStorage {
    ExternalStorage::new(Driver::acting("a", act)).unwrap().payload_size_threshold(0)
}

async fn store(act: Act, count: usize) -> String {
    let payloads = vec![payload("a", 5); count];
    let context = StorageDriverStoreContext::default();
    storage(act).store(&context, payloads).await.unwrap_err().to_string()
}

async fn retrieve(act: Act, count: usize) -> String {
    let context = StorageDriverStoreContext::default();
    let stored = storage(Act::Right).store(&context, vec![payload("a", 5); count]).await.unwrap();
    storage(act).retrieve(stored).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_driver_with_another_number_of_results_is_an_error_with_both_numbers() {
    let text = store(Act::Count(0), 1).await;
    assert!(text.contains("returned 0 claims, expected 1"), "{text}");
    let text = store(Act::Count(3), 2).await;
    assert!(text.contains("returned 3 claims, expected 2"), "{text}");
    let text = retrieve(Act::Count(1), 2).await;
    assert!(text.contains("returned 1 payloads, expected 2"), "{text}");
}

#[tokio::test]
async fn a_driver_that_panics_is_an_error_that_says_so() {
    for (act, said) in [(Act::PanicsAtOnce, "at once"), (Act::PanicsLater, "later")] {
        for text in [store(act.clone(), 1).await, retrieve(act, 1).await] {
            assert!(text.contains("\"a\" panicked") && text.contains(said), "{text}");
        }
    }
}

#[tokio::test]
async fn a_selector_that_panics_is_an_error_that_says_so() {
    let driver: Arc<dyn StorageDriver> = Arc::new(Driver::named("a"));
    let selector = |_: &StorageDriverStoreContext, _: &Payload| panic!("no choice");
    let storage = ExternalStorage::with_selector(vec![driver], selector).unwrap();
    let storage = storage.payload_size_threshold(0);
    let stored = storage.store(&Default::default(), vec![payload("a", 5)]).await;
    let error = stored.unwrap_err().to_string();
    assert!(error.contains("selector panicked: no choice"), "{error}");
}

#[tokio::test]
async fn a_driver_that_fails_is_the_error() {
    assert_eq!(store(Act::Fails, 1).await, "the driver failed");
    assert_eq!(retrieve(Act::Fails, 1).await, "the driver failed");
}

#[tokio::test(start_paused = true)]
async fn drivers_run_at_the_same_time_and_each_is_called_once() {
    let together = Act::Together(Arc::new(Barrier::new(2)));
    let drivers = ["a", "b"].map(|name| Arc::new(Driver::acting(name, together.clone())));
    let storage = by_first_letter(&drivers);
    let payloads: Vec<_> =
        ["a1", "b1", "inline", "b2", "a2"].map(|data| payload(data, data.len())).into();
    let context = StorageDriverStoreContext::default();
    let one = Duration::from_secs(1);
    let store = tokio::time::timeout(one, storage.store(&context, payloads.clone()));
    let stored = store.await.expect("both are called at once").unwrap();
    assert_eq!(stored[2], payload("inline", 6));
    let retrieve = tokio::time::timeout(one, storage.retrieve(stored));
    let back = retrieve.await.expect("both are called at once").unwrap();
    assert_eq!(back, payloads, "in order");
    for driver in drivers {
        assert_eq!(driver.calls.load(Ordering::SeqCst), 2, "one store and one retrieve");
    }
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_fails_ends_the_calls_of_the_others() {
    let barrier = Arc::new(Barrier::new(2));
    let hanging = Arc::new(Driver::acting("a", Act::HangsTogether(barrier.clone())));
    let failing = Arc::new(Driver::acting("b", Act::FailsTogether(barrier)));
    let storage = by_first_letter(&[hanging.clone(), failing]);
    let payloads = vec![payload("a1", 2), payload("b1", 2)];
    let context = StorageDriverStoreContext::default();
    let store = tokio::time::timeout(Duration::from_secs(1), storage.store(&context, payloads));
    let error = store.await.expect("nobody waits for the other").unwrap_err();
    assert_eq!(error.to_string(), "the driver failed");
    assert_eq!(hanging.dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_ends_the_drivers_work() {
    let driver = Arc::new(Driver::acting("a", Act::Hangs));
    let storage = by_first_letter(std::slice::from_ref(&driver));
    let context = StorageDriverStoreContext::default();
    let store = storage.store(&context, vec![payload("a", 5)]);
    assert!(tokio::time::timeout(Duration::from_secs(1), store).await.is_err());
    assert_eq!(driver.dropped.load(Ordering::SeqCst), 1);
    let right = by_first_letter(&[Arc::new(Driver::named("a"))]);
    let stored = right.store(&context, vec![payload("a", 5)]).await.unwrap();
    let retrieve = storage.retrieve(stored);
    assert!(tokio::time::timeout(Duration::from_secs(1), retrieve).await.is_err());
    assert_eq!(driver.dropped.load(Ordering::SeqCst), 2);
}
