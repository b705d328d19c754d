//! Flushing telemetry: on a thread of its own, one flush at a time. No caller waits for longer than its cap.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::panic_message;

/// How long a flush is waited for after one that timed out: enough for a collector on the same machine, and little to
/// pay for in each invocation.
const PROBE: Duration = Duration::from_millis(50);

/// The result of a flush, with the reason if it failed.
pub(in crate::telemetry::otel) type Flushed = Result<(), String>;

/// A thread that flushes one provider. A provider's `force_flush` may block for any time, and only this thread waits
/// for it without a limit.
pub(in crate::telemetry::otel) struct Flusher {
    requests: mpsc::Sender<Request>,
    /// Whether the collector answered the last flush, or there was none.
    answers: Arc<AtomicBool>,
}

enum Request {
    /// A flush whose result is waited for.
    Flush(oneshot::Sender<Flushed>),
    /// A flush in the background.
    Retry,
}

impl Flusher {
    /// Starts the thread. It ends when this is dropped.
    pub(in crate::telemetry::otel) fn start(
        name: &str,
        flush: impl Fn() -> OTelSdkResult + Send + 'static,
    ) -> std::io::Result<Self> {
        let (requests, inbox) = mpsc::channel();
        let answers = Arc::new(AtomicBool::new(true));
        let seen = answers.clone();
        let serve = move || serve(&inbox, flush, &seen);
        thread::Builder::new().name(name.to_owned()).spawn(serve)?;
        Ok(Self { requests, answers })
    }

    /// Flushes, and waits for at most `cap`: once. A collector that used it up is waited for only
    /// for a moment from then on, until a flush gets through.
    ///
    /// # Cancel safety
    /// As that of `flush`.
    pub(in crate::telemetry::otel) async fn flush_within(&self, cap: Duration) -> Flushed {
        let answers = self.answers.load(Ordering::SeqCst);
        let patience = if answers { cap } else { cap.min(PROBE) };
        let begun = Instant::now();
        let flushed = tokio::time::timeout(patience, self.flush()).await;
        let flushed = flushed.unwrap_or_else(|_| Err(format!("not exported within {patience:?}")));
        // A collector that refuses at once costs no time, so it is asked each time.
        if flushed.is_err() && begun.elapsed() >= cap.min(PROBE) {
            self.answers.store(false, Ordering::SeqCst);
        }
        flushed
    }

    /// Flushes in the background if the collector did not answer the last time, to find out whether it answers again
    /// before an invocation has to wait for it.
    pub(in crate::telemetry::otel) fn retry(&self) {
        if !self.answers.load(Ordering::SeqCst) {
            // If the thread is gone there is nothing to find out.
            let _ = self.requests.send(Request::Retry);
        }
    }

    /// Flushes everything that was recorded before.
    ///
    /// # Cancel safety
    /// A flush that is under way goes on; one that waits for its turn is not made.
    async fn flush(&self) -> Flushed {
        let (answer, answered) = oneshot::channel();
        let gone = || "the thread that flushes is gone".to_owned();
        self.requests.send(Request::Flush(answer)).map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn serve(inbox: &mpsc::Receiver<Request>, flush: impl Fn() -> OTelSdkResult, answers: &AtomicBool) {
    while let Ok(first) = inbox.recv() {
        // A flush serves every request that came before it; requests whose caller gave up are dropped.
        let (mut waiting, mut retry) = (Vec::new(), false);
        for request in std::iter::once(first).chain(inbox.try_iter()) {
            match request {
                Request::Flush(asker) if asker.is_closed() => {}
                Request::Flush(asker) => waiting.push(asker),
                Request::Retry => retry = true,
            }
        }
        if waiting.is_empty() && !retry {
            continue;
        }
        let flushed = match catch_unwind(AssertUnwindSafe(&flush)) {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(panic) => Err(format!("it panicked: {}", panic_message(&*panic))),
        };
        if flushed.is_ok() {
            answers.store(true, Ordering::SeqCst);
        }
        for asker in waiting {
            let _ = asker.send(flushed.clone());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;

    #[tokio::test]
    async fn a_flush_returns_its_error_or_panic_and_the_thread_goes_on() {
        let calls = AtomicUsize::new(0);
        let flusher = Flusher::start("test", move || match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Err(OTelSdkError::InternalFailure("no collector".to_owned())),
            1 => panic!("oh"),
            _ => Ok(()),
        });
        let flusher = flusher.unwrap();
        assert!(flusher.flush().await.unwrap_err().contains("no collector"));
        assert!(flusher.flush().await.unwrap_err().contains("panicked: oh"));
        assert_eq!(flusher.flush().await, Ok(()));
    }

    #[tokio::test]
    async fn one_flush_runs_at_a_time_and_waiting_callers_share_the_next() {
        let (begun, begin) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        let flusher = Flusher::start("test", move || {
            count.fetch_add(1, Ordering::SeqCst);
            begun.send(()).unwrap();
            gone.recv_timeout(Duration::from_secs(60)).unwrap();
            Ok(())
        });
        let flusher = flusher.unwrap();
        let mut first = flusher.flush().boxed();
        assert!((&mut first).now_or_never().is_none());
        begin.recv_timeout(Duration::from_secs(60)).unwrap();
        let (mut second, mut third) = (flusher.flush().boxed(), flusher.flush().boxed());
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut third).now_or_never().is_none());
        let mut given_up = flusher.flush().boxed();
        assert!((&mut given_up).now_or_never().is_none());
        drop(given_up);
        go.send(()).unwrap();
        go.send(()).unwrap();
        assert_eq!(tokio::join!(first, second, third), (Ok(()), Ok(()), Ok(())));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_collector_is_waited_for_once_and_again_after_it_has_answered() {
        const CAP: Duration = Duration::from_secs(10);
        let (go, gone) = mpsc::channel::<()>();
        let (begun, begin) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        let flusher = Flusher::start("test", move || {
            begun.send(()).unwrap();
            gone.recv_timeout(Duration::from_secs(60)).unwrap();
            done.send(()).unwrap();
            Ok(())
        });
        let flusher = flusher.unwrap();
        let mut took = Vec::new();
        for _ in 0..3 {
            let (asked, mut flushed) = (Instant::now(), flusher.flush_within(CAP).boxed());
            assert!((&mut flushed).now_or_never().is_none());
            if took.is_empty() {
                // A flush that had not begun when it was given up is not made.
                begin.recv_timeout(Duration::from_secs(60)).unwrap();
            }
            flushed.await.unwrap_err();
            took.push(asked.elapsed());
        }
        assert!(took[0] >= CAP && took[1] < CAP / 100 && took[2] < CAP / 100, "{took:?}");

        // The first flush succeeds at last, and a retry finds that out.
        flusher.retry();
        go.send(()).unwrap();
        go.send(()).unwrap();
        is_done.recv_timeout(Duration::from_secs(60)).unwrap();
        is_done.recv_timeout(Duration::from_secs(60)).unwrap();
        while !flusher.answers.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let begun = Instant::now();
        flusher.flush_within(CAP).await.unwrap_err();
        assert!(begun.elapsed() >= CAP, "waited for as before");
    }
}
