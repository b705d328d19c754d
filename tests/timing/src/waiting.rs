//! Waiting with an end.

use std::fmt::Display;
use std::time::{Duration, Instant};

use crate::limit::Waiting;
use crate::test_timeout;

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits for a future, for [`test_timeout`] at most.
///
/// The time is tokio's: on a paused clock it passes as soon as nothing else can happen.
///
/// # Panics
/// When the time has passed, with `what` was waited for.
#[track_caller]
pub fn within<F: Future>(what: impl Display, future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        let what = format!("{what} ({caller})");
        let _waiting = Waiting::for_(&what);
        match tokio::time::timeout(test_timeout(), future).await {
            Ok(output) => output,
            Err(_) => panic!("waited for {:?} for {what}", test_timeout()),
        }
    }
}

/// Waits for a future of many steps, for as long as the [`TimeLimit`](crate::TimeLimit) of the test allows, whose message
/// says what was waited for.
pub async fn as_long_as_the_test<F: Future>(what: impl Display, future: F) -> F::Output {
    let _waiting = Waiting::for_(&what.to_string());
    future.await
}

/// Waits until a condition holds, for [`test_timeout`] at most.
///
/// # Panics
/// When the time has passed, with `what` was waited for.
#[track_caller]
pub fn eventually(
    what: impl Display,
    mut condition: impl FnMut() -> bool,
) -> impl Future<Output = ()> {
    within(what, async move {
        while !condition() {
            tokio::time::sleep(PAUSE).await;
        }
    })
}

/// As [`eventually`], where there is no async runtime.
///
/// # Panics
/// When the time has passed, with `what` was waited for.
#[track_caller]
pub fn eventually_blocking(what: impl Display, mut condition: impl FnMut() -> bool) {
    let what = what.to_string();
    let _waiting = Waiting::for_(&what);
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < test_timeout(), "waited for {:?} for {what}", began.elapsed());
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "for a letter (")]
    async fn what_never_comes_is_named() {
        within("a letter", std::future::pending::<()>()).await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "for the end of time (")]
    async fn a_condition_that_never_holds_is_named() {
        eventually("the end of time", || false).await;
    }

    #[test]
    fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        eventually_blocking("the third look", || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
    }
}
