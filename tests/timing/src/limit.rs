//! The time limit of a test as a whole.

use std::io::Write as _;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::slowness;

/// Longer than any test takes that does not say otherwise.
const LIMIT: Duration = Duration::from_secs(300);

/// Ends the test process when the test that made this is not over in time.
///
/// Nothing can end a single test from outside, and without this a test that hangs says nothing
/// until something ends the whole run. The message names the test and what is waited for.
#[derive(Debug)]
pub struct TimeLimit {
    _over: Sender<()>,
}

impl TimeLimit {
    /// 5 minutes for the test that this thread runs.
    #[must_use = "the test is over when this is dropped"]
    pub fn of_this_test() -> Self {
        Self::of(LIMIT)
    }

    /// A limit of its own for the test that this thread runs.
    #[must_use = "the test is over when this is dropped"]
    pub fn of(limit: Duration) -> Self {
        let limit = limit * slowness();
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let (over, is_over) = channel::<()>();
        std::thread::spawn(move || {
            if is_over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                // Not `eprintln!`, which would be captured and never shown.
                let _ = writeln!(std::io::stderr(), "{}", message(&test, limit));
                std::process::exit(1);
            }
        });
        Self { _over: over }
    }
}

fn message(test: &str, limit: Duration) -> String {
    let waiting = list();
    let mut message = format!("{test} is not over after {limit:?}");
    for (_, what, since) in &*waiting {
        message
            .push_str(&format!("\n  this process has waited for {:?} for {what}", since.elapsed()));
    }
    message
}

/// Something that is waited for, as long as this lives.
pub(crate) struct Waiting {
    number: u64,
}

type List = Vec<(u64, String, Instant)>;

fn list() -> MutexGuard<'static, List> {
    static LIST: Mutex<List> = Mutex::new(Vec::new());
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiting {
    pub(crate) fn for_(what: &str) -> Self {
        let mut list = list();
        let number = list.iter().map(|it| it.0).max().unwrap_or_default() + 1;
        list.push((number, what.to_owned(), Instant::now()));
        Self { number }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        list().retain(|it| it.0 != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run by the test below in a process of its own.
    #[test]
    #[ignore = "it hangs on purpose"]
    fn hangs() {
        let _limit = TimeLimit::of(Duration::from_millis(50));
        let _waiting = Waiting::for_("Godot");
        loop {
            std::thread::park();
        }
    }

    #[test]
    fn a_test_that_hangs_is_ended_and_named() {
        let itself = std::env::current_exe().expect("a path");
        let output = std::process::Command::new(itself)
            .args(["--ignored", "--exact", "limit::tests::hangs"])
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(said.contains("limit::tests::hangs is not over after 50ms"), "{said}");
        assert!(said.contains("for Godot"), "{said}");
    }

    #[test]
    fn what_is_waited_for_is_forgotten_afterwards() {
        let waiting = Waiting::for_("a letter of the tests");
        assert!(message("t", LIMIT).contains("a letter of the tests"));
        drop(waiting);
        assert!(!message("t", LIMIT).contains("a letter of the tests"));
    }
}
