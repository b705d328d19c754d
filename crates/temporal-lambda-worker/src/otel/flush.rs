//! Flushing: on a thread of its own, one at a time, and never for longer than its cap.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

use opentelemetry_sdk::error::OTelSdkResult;
use tokio::sync::oneshot;

use crate::panic_message;

/// What a flush came to, in words if it failed.
pub(super) type Flushed = Result<(), String>;

/// A thread that flushes one provider. A provider's `force_flush` blocks, and may do so for as
/// long as it likes: nobody but this thread waits for it without a limit.
pub(super) struct Flusher {
    requests: mpsc::Sender<oneshot::Sender<Flushed>>,
}

impl Flusher {
    /// Starts the thread. It ends when this is dropped.
    pub(super) fn start(
        name: &str,
        flush: impl Fn() -> OTelSdkResult + Send + 'static,
    ) -> std::io::Result<Self> {
        let (requests, inbox) = mpsc::channel();
        thread::Builder::new().name(name.to_owned()).spawn(move || serve(&inbox, flush))?;
        Ok(Self { requests })
    }

    /// Flushes everything that was recorded before.
    ///
    /// # Cancel safety
    /// A flush that is under way goes on; one that waits for its turn is not made.
    pub(super) async fn flush(&self) -> Flushed {
        let (answer, answered) = oneshot::channel();
        let gone = || "the thread that flushes is gone".to_owned();
        self.requests.send(answer).map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn serve(inbox: &mpsc::Receiver<oneshot::Sender<Flushed>>, flush: impl Fn() -> OTelSdkResult) {
    while let Ok(first) = inbox.recv() {
        // Whoever asked before a flush begins has all of his data in it; whoever gave up waiting
        // needs none.
        let all = std::iter::once(first).chain(inbox.try_iter());
        let waiting: Vec<_> = all.filter(|asker| !asker.is_closed()).collect();
        if waiting.is_empty() {
            continue;
        }
        let flushed = match catch_unwind(AssertUnwindSafe(&flush)) {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(panic) => Err(format!("it panicked: {}", panic_message(&*panic))),
        };
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
    async fn results_errors_and_panics_come_back_and_the_thread_goes_on() {
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
    async fn one_at_a_time_and_those_who_wait_share_the_next() {
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
}
