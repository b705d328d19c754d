//! A queue in which callbacks begin in the order in which they were started.
//!
//! A callback that has no time is cut short at once and the next one is started, perhaps before the task of the
//! first was polled: tasks may begin in another order than they were spawned in.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::time::timeout;

/// How long the next callback waits for one whose first poll does not return, because it blocks its thread:
/// 50 ms.
const BLOCKED: Duration = Duration::from_millis(50);

/// The queue. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Queue(Arc<Mutex<Option<Receiver<bool>>>>);

/// A place in the queue.
pub(super) struct Place {
    before: Option<Receiver<bool>>,
    /// Says whether this callback's code was entered. Dropped once its first poll has returned.
    entered: Sender<bool>,
}

impl Queue {
    /// The place at the end of the queue.
    pub(super) fn join(&self) -> Place {
        let (entered, after) = channel(false);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Place { before: last.replace(after), entered }
    }
}

impl Place {
    /// Runs `code` once every callback before it has begun, which means that its code was polled.
    pub(super) async fn begin<F: Future>(self, code: F) -> F::Output {
        if let Some(mut before) = self.before {
            // An error means that the sender is gone: the callback before has begun, or never will.
            if before.wait_for(|entered| *entered).await.is_ok() {
                let begun = async { while before.changed().await.is_ok() {} };
                let _ = timeout(BLOCKED, begun).await;
            }
        }
        let mut code = pin!(code);
        let mut entered = Some(self.entered);
        poll_fn(|context| {
            if let Some(entered) = &entered {
                entered.send_replace(true);
            }
            let polled = code.as_mut().poll(context);
            drop(entered.take());
            polled
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::Poll;

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn callbacks_begin_in_the_order_of_their_places() {
        let queue = Queue::default();
        let mut places: Vec<_> = (0..3).map(|_| Box::pin(queue.join().begin(async {}))).collect();
        for next in 0..places.len() {
            for later in (next + 1..places.len()).rev() {
                assert_eq!(places[later].as_mut().now_or_never(), None, "{later} before {next}");
            }
            assert_eq!(places[next].as_mut().now_or_never(), Some(()), "{next}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_callback_does_not_begin_while_the_code_of_the_one_before_is_being_entered() {
        let queue = Queue::default();
        let (first, second) = (queue.join(), queue.join());
        let begun = Cell::new(false);
        let mut second = Box::pin(second.begin(async { begun.set(true) }));
        // The first poll is under way, as it would be on another thread, while the next callback is polled.
        let first = first.begin(poll_fn(|context| {
            let _ = second.as_mut().poll(context);
            assert!(!begun.get(), "the second callback began before the first");
            Poll::Ready(())
        }));
        first.await;
        second.await;
        assert!(begun.get());
    }

    #[tokio::test(start_paused = true)]
    async fn a_callback_that_blocks_its_thread_keeps_the_next_waiting_for_50_ms_only() {
        let queue = Queue::default();
        let (blocked, next) = (queue.join(), queue.join());
        blocked.entered.send_replace(true);
        let since = tokio::time::Instant::now();
        next.begin(async {}).await;
        assert_eq!(since.elapsed(), BLOCKED);
        drop(blocked);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_given_up_keeps_nobody_waiting() {
        let queue = Queue::default();
        drop(queue.join());
        assert_eq!(queue.join().begin(async {}).now_or_never(), Some(()));
    }
}
