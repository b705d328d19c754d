//! A value that changes from time to time, for credentials in warm environments.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use crate::worker::BoxError;

type Fetch<T> = Box<dyn Fn() -> BoxFuture<'static, Result<T, BoxError>> + Send + Sync>;

/// A value that is fetched when it is older than its time to live: an API key from a secret
/// store, a certificate. Keep it in the struct that implements
/// [`LambdaWorker`](crate::LambdaWorker) and ask it in `configure`; clones share the value.
///
/// Age is measured by wall clock, since the monotonic clock may stand still while the environment
/// is frozen.
///
/// ```no_run
/// # use std::time::Duration;
/// # use temporal_lambda_worker::{BoxError, LambdaWorkerConfig, Rotating};
/// # async fn from_secret_store() -> Result<String, BoxError> { Ok(String::new()) }
/// # async fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
/// # let key =
/// Rotating::new(Duration::from_secs(300), from_secret_store);
/// # let key: Rotating<String> = key;
/// // in configure:
/// config.connection_options.api_key = Some(key.get().await?);
/// # Ok(())
/// # }
/// ```
pub struct Rotating<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    time_to_live: Duration,
    fetch: Fetch<T>,
    value: Mutex<Option<(SystemTime, T)>>,
}

impl<T: Clone + Send + 'static> Rotating<T> {
    /// A value that `fetch` brings and that is good for `time_to_live`.
    pub fn new<F, Fut>(time_to_live: Duration, fetch: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        let fetch: Fetch<T> = Box::new(move || Box::pin(fetch()));
        Self { shared: Arc::new(Shared { time_to_live, fetch, value: Mutex::default() }) }
    }

    /// The value, fetched anew if it is too old. Concurrent callers wait for one fetch.
    ///
    /// # Errors
    /// What `fetch` returned, if there is no earlier value; else the earlier value is returned and
    /// the error is logged.
    ///
    /// # Cancel safety
    /// Dropping the future keeps the earlier value; the next caller fetches.
    pub async fn get(&self) -> Result<T, BoxError> {
        self.get_at(SystemTime::now()).await
    }

    async fn get_at(&self, now: SystemTime) -> Result<T, BoxError> {
        let mut value = self.shared.value.lock().await;
        if let Some((fetched, fresh)) = &*value
            // A clock that went backwards says nothing about the age.
            && now.duration_since(*fetched).is_ok_and(|age| age < self.shared.time_to_live)
        {
            return Ok(fresh.clone());
        }
        match ((self.shared.fetch)().await, &*value) {
            (Ok(new), _) => {
                *value = Some((now, new.clone()));
                Ok(new)
            }
            (Err(error), Some((_, stale))) => {
                tracing::warn!(%error, "a credential could not be renewed; the earlier one is used");
                Ok(stale.clone())
            }
            (Err(error), None) => Err(error),
        }
    }
}

impl<T> Clone for Rotating<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T> std::fmt::Debug for Rotating<T> {
    /// Without the value, which is a secret more often than not.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rotating")
            .field("time_to_live", &self.shared.time_to_live)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    /// Fetches 1, 2, 3, ...; fails where `fails` says so.
    fn counting(fails: fn(u32) -> bool) -> Rotating<u32> {
        let count = Arc::new(AtomicU32::new(0));
        Rotating::new(TTL, move || {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            async move { if fails(number) { Err("no".into()) } else { Ok(number) } }
        })
    }

    #[tokio::test]
    async fn it_is_fetched_anew_when_it_is_too_old_by_wall_clock() {
        let value = counting(|_| false);
        let start = SystemTime::now();
        assert_eq!(value.get_at(start).await.unwrap(), 1);
        assert_eq!(value.clone().get_at(start + TTL / 2).await.unwrap(), 1);
        assert_eq!(value.get_at(start + TTL).await.unwrap(), 2);
        assert_eq!(value.get_at(start - TTL).await.unwrap(), 3, "the clock went backwards");
    }

    #[tokio::test]
    async fn a_failure_keeps_the_earlier_value_and_without_one_is_an_error() {
        let value = counting(|number| number != 2);
        let start = SystemTime::now();
        assert!(value.get_at(start).await.is_err());
        assert_eq!(value.get_at(start).await.unwrap(), 2);
        assert_eq!(value.get_at(start + TTL).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_fetch_and_debug_shows_no_value() {
        let value = counting(|_| false);
        let (a, b) = tokio::join!(value.get(), value.get());
        assert_eq!((a.unwrap(), b.unwrap()), (1, 1));
        assert!(!format!("{value:?}").contains('1'));
    }
}
