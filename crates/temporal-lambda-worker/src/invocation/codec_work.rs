//! Work of a payload codec that takes time.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::report::CodecFailures;

/// Failures whose words are kept for the report: 5.
const FAILURES_KEPT: usize = 5;

/// Tells the worker that a payload codec is at work: one that fetches, stores or encrypts somewhere
/// else.
///
/// The SDK decodes a task before anybody sees it and encodes an activity's result after the
/// activity has ended. Unless the codec says so, the worker looks idle meanwhile: an idle exit
/// would cut the work off, and the task would be lost until its timeout.
///
/// Get it with [`Invocation::codec_work`](crate::Invocation::codec_work) in `configure`, and give
/// it to the codec. Clones are the same.
#[derive(Clone, Default)]
pub struct CodecWork {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Told `true` when work begins and `false` when it ends. There is one once the invocation has
    /// a worker.
    listener: OnceLock<Box<dyn Fn(bool) + Send + Sync>>,
    cut_short: CancellationToken,
    failures: Mutex<CodecFailures>,
}

/// Work of a codec under way; it ends when this is dropped.
#[must_use = "the work ends when this is dropped"]
pub struct CodecWorkGuard {
    work: CodecWork,
}

impl CodecWork {
    /// Work begins. The worker is busy until the guard is dropped: there is no idle exit.
    pub fn begin(&self) -> CodecWorkGuard {
        self.tell(true);
        CodecWorkGuard { work: self.clone() }
    }

    /// Returns when the grace period has passed: work that fails now is told to the server, which
    /// hands the task out again at once; work that goes on is cut off.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: whoever stops waiting loses nothing and may wait again.
    pub async fn cut_short(&self) {
        self.shared.cut_short.cancelled().await;
    }

    /// Has `listener` told what begins and ends from now on. The first one stays.
    pub(crate) fn listen(&self, listener: impl Fn(bool) + Send + Sync + 'static) {
        let _ = self.shared.listener.set(Box::new(listener));
    }

    pub(crate) fn cut_short_now(&self) {
        self.shared.cut_short.cancel();
    }

    /// The work that failed so far.
    pub(crate) fn failures(&self) -> CodecFailures {
        self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, begins: bool) {
        if let Some(listener) = self.shared.listener.get() {
            listener(begins);
        }
    }
}

impl CodecWorkGuard {
    /// The work has failed. The words, which must not hold a secret, are logged as a warning and stand in
    /// the [report](crate::InvocationReport::codec_failures); the task fails by the error that the codec
    /// returns.
    pub fn failed(self, words: &str) {
        tracing::warn!(error = words, "a payload could not be encoded or decoded; its task fails");
        let failures = &self.work.shared.failures;
        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.count += 1;
        if failures.latest.len() == FAILURES_KEPT {
            failures.latest.remove(0);
        }
        failures.latest.push(words.to_owned());
    }
}

impl Drop for CodecWorkGuard {
    fn drop(&mut self) {
        self.work.tell(false);
    }
}

impl fmt::Debug for CodecWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodecWork")
    }
}

impl fmt::Debug for CodecWorkGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodecWorkGuard")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    #[test]
    fn codec_work_is_told_when_it_begins_and_when_its_guard_is_dropped() {
        let work = CodecWork::default();
        // Before there is a worker, nobody needs to know.
        drop(work.begin());
        let told = Arc::new(Mutex::new(Vec::new()));
        let record = told.clone();
        work.listen(move |begins| record.lock().expect("nobody panics under it").push(begins));
        let first = work.begin();
        let second = work.clone().begin();
        drop(first);
        drop(second);
        let told = told.lock().expect("nobody panics under it");
        assert_eq!(*told, [true, true, false, false]);
    }

    #[test]
    fn codec_work_that_failed_is_counted_and_the_latest_words_are_kept() {
        let work = CodecWork::default();
        drop(work.begin());
        assert_eq!(work.failures(), CodecFailures::default());
        for number in 1..=7 {
            work.begin().failed(&format!("failure {number}"));
        }
        let failures = work.failures();
        assert_eq!(failures.count, 7);
        assert_eq!(failures.latest, [3, 4, 5, 6, 7].map(|number| format!("failure {number}")));
    }

    #[tokio::test(start_paused = true)]
    async fn codec_work_hears_that_it_is_cut_short() {
        let work = CodecWork::default();
        let waiting = work.clone();
        let early = tokio::time::timeout(Duration::from_secs(1), waiting.cut_short()).await;
        assert!(early.is_err());
        work.cut_short_now();
        waiting.cut_short().await;
    }
}
