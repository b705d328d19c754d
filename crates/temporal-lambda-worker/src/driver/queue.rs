//! Lets callbacks begin in the order in which they are handed out.
//!
//! A callback that has no time is cut short at once, and the next one is handed out, perhaps before
//! the first has begun: tasks may begin in another order than they were spawned in.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot::{Receiver, Sender, channel};

/// The queue. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Queue(Arc<Mutex<Option<Receiver<()>>>>);

/// A place in the queue.
pub(super) struct Place {
    /// Its sender is gone once the one before has had its turn.
    before: Option<Receiver<()>>,
    _turn: Sender<()>,
}

impl Queue {
    /// The place at the end of the queue.
    pub(super) fn join(&self) -> Place {
        let (turn, after) = channel();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Place { before: last.replace(after), _turn: turn }
    }
}

impl Place {
    /// Waits until everybody before has begun; whoever comes next may begin after that.
    pub(super) async fn turn(self) {
        if let Some(before) = self.before {
            // Nothing is ever sent.
            let _ = before.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn turns_come_in_the_order_of_the_places() {
        let queue = Queue::default();
        let mut turns: Vec<_> = (0..3).map(|_| Box::pin(queue.join().turn())).collect();
        for next in 0..turns.len() {
            for later in (next + 1..turns.len()).rev() {
                assert_eq!(turns[later].as_mut().now_or_never(), None, "{later} before {next}");
            }
            assert_eq!(turns[next].as_mut().now_or_never(), Some(()), "{next}");
        }
    }

    #[test]
    fn a_place_that_is_given_up_keeps_nobody_waiting() {
        let queue = Queue::default();
        drop(queue.join());
        assert_eq!(queue.join().turn().now_or_never(), Some(()));
    }
}
