//! A value that changes from time to time, for credentials in warm environments.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use crate::error::BoxError;

type Fetch<T> = Box<dyn Fn() -> BoxFuture<'static, Result<T, BoxError>> + Send + Sync>;

/// How long a fetch may take while there is an earlier value to fall back on: 2 s. `configure` counts
/// against the time for work, and the earlier value is most often still good.
const FETCH_CAP: Duration = Duration::from_secs(2);

/// How long the earlier value is used without another try, once renewing it has failed: 10 s, or its
/// time to live if that is shorter.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// A value that is fetched when it is older than its time to live: an API key from a secret
/// store, a certificate. Keep it in the struct that implements
/// [`LambdaWorker`](crate::LambdaWorker) and ask it in `configure`; clones share the value.
///
/// Age is measured by wall clock, since the monotonic clock may stand still while the environment
/// is frozen. An earlier value is used where the new one cannot be had: a fetch that fails, or takes
/// more than 2 s, is tried again 10 s later (earlier if the time to live is shorter). The first fetch
/// has no limit of its own.
///
/// An API key that is set like this is sent over TLS only, unless the server is on this machine:
/// see [`LambdaWorkerConfig::connection_options`](crate::LambdaWorkerConfig::connection_options).
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
    value: Mutex<Option<Fetched<T>>>,
}

struct Fetched<T> {
    value: T,
    /// When it was fetched, or the last try to renew it failed.
    tried: SystemTime,
    /// How long after that it is used without another try.
    good_for: Duration,
}

impl<T> Fetched<T> {
    fn is_good(&self, now: SystemTime) -> bool {
        // A clock that was set back cannot tell the age.
        now.duration_since(self.tried).is_ok_and(|age| age < self.good_for)
    }
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
    /// a warning is logged.
    ///
    /// # Cancel safety
    /// Dropping the future keeps the earlier value; the next caller fetches.
    pub async fn get(&self) -> Result<T, BoxError> {
        self.get_at(SystemTime::now()).await
    }

    async fn get_at(&self, now: SystemTime) -> Result<T, BoxError> {
        let Shared { time_to_live, fetch, value } = &*self.shared;
        let mut value = value.lock().await;
        let Some(earlier) = &mut *value else {
            let fetched = fetch().await?;
            *value = Some(Fetched { value: fetched.clone(), tried: now, good_for: *time_to_live });
            return Ok(fetched);
        };
        if earlier.is_good(now) {
            return Ok(earlier.value.clone());
        }
        let error: BoxError = match tokio::time::timeout(FETCH_CAP, fetch()).await {
            Ok(Ok(fetched)) => {
                *earlier = Fetched { value: fetched, tried: now, good_for: *time_to_live };
                return Ok(earlier.value.clone());
            }
            Ok(Err(error)) => error,
            Err(_) => format!("it was not fetched within {FETCH_CAP:?}").into(),
        };
        tracing::warn!(%error, "a credential could not be renewed; the earlier one is used");
        (earlier.tried, earlier.good_for) = (now, RETRY_PAUSE.min(*time_to_live));
        Ok(earlier.value.clone())
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
    async fn a_rotating_value_is_fetched_again_when_it_is_too_old_by_wall_clock() {
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
    async fn a_value_that_could_not_be_renewed_is_used_for_a_while_without_another_try() {
        let value = counting(|number| (2..=3).contains(&number));
        let start = SystemTime::now();
        assert_eq!(value.get_at(start).await.unwrap(), 1);
        for _ in 0..5 {
            assert_eq!(value.get_at(start + TTL).await.unwrap(), 1, "one try for all of them");
        }
        assert_eq!(
            value.get_at(start + TTL + RETRY_PAUSE).await.unwrap(),
            1,
            "the third fails, too"
        );
        assert_eq!(value.get_at(start + TTL + 2 * RETRY_PAUSE).await.unwrap(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_that_hangs_is_cut_if_there_is_an_earlier_value() {
        let count = AtomicU32::new(0);
        let value = Rotating::new(TTL, move || {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            async move {
                if number == 2 {
                    std::future::pending::<()>().await;
                }
                Ok(number)
            }
        });
        let start = SystemTime::now();
        assert_eq!(value.get_at(start).await.unwrap(), 1);
        let began = tokio::time::Instant::now();
        assert_eq!(value.get_at(start + TTL).await.unwrap(), 1);
        assert_eq!(began.elapsed(), FETCH_CAP);
        assert_eq!(value.get_at(start + TTL + RETRY_PAUSE).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_fetch_and_debug_shows_no_value() {
        let value = counting(|_| false);
        let (a, b) = tokio::join!(value.get(), value.get());
        assert_eq!((a.unwrap(), b.unwrap()), (1, 1));
        assert!(!format!("{value:?}").contains('1'));
    }
}
