//! How long a worker's activity slots were full.
//!
//! The SDK polls for activities whenever it has a slot for one. So its slots are full while activities
//! are in flight and no poll for one is under way, whatever tuner the worker has.

use std::time::Duration;

use tokio::time::Instant;

use super::InFlight;

/// The account of the activity slots.
#[derive(Default)]
pub(super) struct Slots {
    /// Polls for activities under way.
    pub(super) polls: usize,
    /// Polls are held back, so that none under way means nothing.
    pub(super) held: bool,
    /// The first poll.
    began: Option<Instant>,
    /// The end of the last activity.
    ended: Option<Instant>,
    full_since: Option<Instant>,
    full: Duration,
    most: usize,
}

/// How the activity slots of a worker were used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::temporal) struct Occupied {
    /// How long they were full.
    pub(in crate::temporal) full: Duration,
    /// From the first poll to the end of the last activity, or to now if one is in flight.
    pub(in crate::temporal) polled: Duration,
    /// The most activities in flight at a time.
    pub(in crate::temporal) most: usize,
}

impl InFlight {
    /// Whether there was a task so far.
    pub(in crate::temporal) fn has_worked(&self) -> bool {
        self.state.borrow().worked
    }

    /// How the activity slots were used so far.
    pub(in crate::temporal) fn occupied(&self) -> Occupied {
        self.state.borrow().slots.so_far()
    }

    /// Whether polls are held back, so that they do not show whether slots are full.
    pub(in crate::temporal) fn polls_are_held(&self, held: bool) {
        self.change(|state| state.slots.held = held);
    }
}

impl Slots {
    /// Takes down a change; so many activities are in flight now.
    pub(super) fn note(&mut self, activities: usize) {
        let is_full = activities > 0 && self.polls == 0 && !self.held;
        let is_first = self.began.is_none() && self.polls > 0;
        let has_ended = activities == 0 && self.most > 0 && self.ended.is_none();
        if is_first || has_ended || is_full != self.full_since.is_some() {
            let now = Instant::now();
            self.began.get_or_insert(now);
            if has_ended {
                self.ended = Some(now);
            }
            match self.full_since.take() {
                Some(since) => self.full += now - since,
                None if is_full => self.full_since = Some(now),
                None => {}
            }
        }
        if activities > 0 {
            self.ended = None;
            self.most = self.most.max(activities);
        }
    }

    pub(super) fn so_far(&self) -> Occupied {
        let now = Instant::now();
        let since = |at: Option<Instant>| at.map_or(Duration::ZERO, |at| now - at);
        Occupied {
            full: self.full + since(self.full_since),
            polled: since(self.began) - since(self.ended),
            most: self.most,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn slots_are_full_while_activities_are_in_flight_and_none_is_polled_for() {
        let mut slots = Slots { polls: 1, ..Slots::default() };
        slots.note(0);
        advance(SECOND).await;
        assert_eq!(slots.so_far(), Occupied { polled: SECOND, ..Occupied::default() });
        // The first activity leaves room for another.
        slots.note(1);
        advance(SECOND).await;
        slots.polls = 0;
        slots.note(2);
        advance(3 * SECOND).await;
        assert_eq!(slots.so_far(), Occupied { full: 3 * SECOND, polled: 5 * SECOND, most: 2 });
        slots.polls = 1;
        slots.note(1);
        advance(SECOND).await;
        slots.note(0);
        // Idle time does not count.
        advance(9 * SECOND).await;
        assert_eq!(slots.so_far(), Occupied { full: 3 * SECOND, polled: 6 * SECOND, most: 2 });
    }

    #[tokio::test(start_paused = true)]
    async fn slots_are_not_full_because_polls_are_held_back() {
        let mut slots = Slots { polls: 1, ..Slots::default() };
        slots.note(1);
        (slots.polls, slots.held) = (0, true);
        slots.note(1);
        advance(SECOND).await;
        assert_eq!(slots.so_far().full, Duration::ZERO);
        slots.held = false;
        slots.note(1);
        advance(SECOND).await;
        assert_eq!(slots.so_far().full, SECOND);
    }
}
