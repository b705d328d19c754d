//! How long the tests of this workspace wait, and how late something may be on a busy machine.
//!
//! - A test that waits says for what, and gives up: [`within`], [`eventually`]. A command of many
//!   steps may take as long as its test: [`as_long_as_the_test`].
//! - A test whose subject must be done soon compares with the time at which a failure would be
//!   done, and allows for [`slack`] in between: [`assert_soon`].
//! - A test as a whole has a time limit: [`TimeLimit`].
//!
//! `TEST_SLOWNESS=3` makes all of them three times as long, for machines that are slower still.

mod limit;
mod waiting;

pub use limit::TimeLimit;
pub use waiting::{as_long_as_the_test, eventually, eventually_blocking, within};

use std::sync::OnceLock;
use std::time::Duration;

const SLACK: Duration = Duration::from_secs(10);
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What `TEST_SLOWNESS` says, at least 1.
fn slowness() -> u32 {
    static SLOWNESS: OnceLock<u32> = OnceLock::new();
    *SLOWNESS.get_or_init(|| match std::env::var("TEST_SLOWNESS") {
        Ok(text) => text.parse::<u32>().expect("TEST_SLOWNESS is a whole number").max(1),
        Err(_) => 1,
    })
}

/// For how long a test waits for a single thing: 60 s, far longer than any of them takes.
pub fn test_timeout() -> Duration {
    TEST_TIMEOUT * slowness()
}

/// How much later than on an idle machine something may be: 10 s.
pub fn slack() -> Duration {
    SLACK * slowness()
}

/// Asserts that something took no more than `expected` and [`slack`].
///
/// What a failure would take has to be more than that, or the assertion cannot fail.
///
/// # Panics
/// When it took longer, with `what` it was.
#[track_caller]
pub fn assert_soon(what: &str, took: Duration, expected: Duration) {
    let most = expected + slack();
    assert!(took <= most, "{what} took {took:?}; expected {expected:?}, at most {most:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assert_soon_allows_for_the_slack() {
        assert_soon("it", Duration::from_secs(1) + slack(), Duration::from_secs(1));
    }

    #[test]
    #[should_panic(expected = "it took")]
    fn assert_soon_panics_after_the_slack() {
        let late = Duration::from_millis(1001) + slack();
        assert_soon("it", late, Duration::from_secs(1));
    }
}
