//! How an invocation's time is divided. Plain arithmetic on moments that somebody else measured.

use std::time::Duration;

/// Kept free at the end for posting the response: 0.1 s.
pub const RESPONSE_RESERVE: Duration = Duration::from_millis(100);
/// After the grace period the worker has this long to end: 0.5 s. In the first half of it activities
/// may still react to their cancellation, then they are dropped; after the second the worker is.
pub const AFTER_GRACE: Duration = Duration::from_millis(500);
/// What the default shutdown deadline buffer adds to the grace period: 2 s.
pub const BUFFER_OVER_GRACE: Duration = Duration::from_secs(2);
/// Work time of this much or less is refused: 1 s.
pub const MIN_WORK_TIME: Duration = Duration::from_secs(1);
/// Kept free for each callback that is still to come while another one runs: 0.1 s. Where there is
/// less, all have equal shares.
pub const CALLBACK_RESERVE: Duration = Duration::from_millis(100);
/// How long before the stop time the last poll should have ended: 0.3 s. Its answer travels, and
/// the task that it brings has to reach the worker before the worker shuts down.
pub const POLL_SPARE: Duration = Duration::from_millis(300);
/// A server that refuses calls because there are too many is asked again for this long before polling ends
/// without what it was asked for: 3 s.
pub const REFUSED_FOR: Duration = Duration::from_secs(3);
/// Work time of less than this is warned about: 5 s.
pub const SHORT_WORK_TIME: Duration = Duration::from_secs(5);

/// A moment, as the time since the machine's owner began to count. Monotonic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The moment that lies `since_origin` after the origin.
    pub const fn new(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// The time since the origin.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment, `by` later.
    pub const fn later(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// This moment, `by` earlier, but not before the origin.
    pub const fn earlier(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }
}

/// The settings that the division follows. `configure` may change them, so the lifecycle takes
/// them twice: when an event arrives, and again when `configure` has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How long activities may go on after polling has stopped, before they are cancelled.
    pub grace: Duration,
    /// How long before the deadline polling stops; also the most that draining may take.
    pub buffer: Duration,
    /// Polling ends when nothing was in flight for this long. `None`: it goes on to the deadline.
    pub idle_timeout: Option<Duration>,
    /// With an idle timeout: the least time that the worker polls.
    pub minimum_stay: Duration,
}

/// One invocation's window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When the event arrived.
    pub arrival: Moment,
    /// Lambda's deadline. `None`: the invocation runs until it is cancelled.
    pub deadline: Option<Moment>,
}

impl Window {
    /// The time between arrival and the moment polling must stop; `None` without a deadline.
    /// Negative time is zero.
    pub fn work_time(&self, allowance: &Allowance) -> Option<Duration> {
        let deadline = self.deadline?;
        Some(deadline.since(self.arrival).saturating_sub(allowance.buffer))
    }

    /// When polling stops.
    pub fn stop_at(&self, allowance: &Allowance) -> Option<Moment> {
        Some(self.deadline?.earlier(allowance.buffer))
    }

    /// When `configure` is cut short. Usually [`stop_at`](Self::stop_at); but where the allowance
    /// of the moment leaves no time to work, `configure` still gets half of what there is, since
    /// it may be the one to choose a smaller buffer.
    pub fn configure_until(&self, allowance: &Allowance) -> Option<Moment> {
        let deadline = self.deadline?;
        if self.work_time(allowance)? > MIN_WORK_TIME {
            return Some(deadline.earlier(allowance.room()));
        }
        Some(self.arrival.later(deadline.since(self.arrival) / 2))
    }

    /// Whether nothing fits between arrival and the response.
    pub fn is_spent(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline.since(self.arrival) <= RESPONSE_RESERVE)
    }

    /// When the last polls begin to end, if polling began at `since` and they need
    /// `polls_end_within`: so that they have ended at the stop time. In a short window that would
    /// leave little time to poll; so not before four fifths of it are over, and the last polls may
    /// end after the stop time.
    pub fn stop_near(
        &self,
        allowance: &Allowance,
        since: Moment,
        polls_end_within: Duration,
    ) -> Option<Moment> {
        let stop = self.stop_at(allowance)?;
        let fifth = stop.since(since) / 5;
        Some(stop.earlier(polls_end_within.saturating_add(POLL_SPARE).min(fifth)))
    }

    /// When draining must begin at the latest, without any grace period.
    pub fn drain_by(&self) -> Option<Moment> {
        Some(self.deadline?.earlier(Allowance::least_buffer(Duration::ZERO)))
    }

    /// When the grace period ends, if draining began at `since`. One that begins late, since the
    /// CPU was starved or the environment frozen, has a shorter one: the time of hooks and
    /// `on_shutdown` is theirs.
    pub fn grace_end(&self, allowance: &Allowance, since: Moment) -> Moment {
        let end = since.later(allowance.grace);
        match self.stop_at(allowance) {
            Some(stop) => end.min(stop.later(allowance.grace).max(since)),
            None => end,
        }
    }

    /// When activities that ignored their cancellation are dropped, if draining began at `since`.
    pub fn grace_over(&self, allowance: &Allowance, since: Moment) -> Moment {
        self.grace_end(allowance, since).later(AFTER_GRACE / 2)
    }

    /// When the worker is given up, if draining began at `since`.
    pub fn worker_gone_by(&self, allowance: &Allowance, since: Moment) -> Moment {
        self.grace_end(allowance, since).later(AFTER_GRACE)
    }

    /// Until when what was cut short may take to be gone, at `now`: what is left of the buffer,
    /// and at least half of the response's reserve.
    pub fn settle_by(&self, allowance: &Allowance, since: Moment, now: Moment) -> Moment {
        let half = RESPONSE_RESERVE / 2;
        let by = since.later(allowance.room()).max(now.later(half));
        match self.deadline {
            Some(deadline) if now < deadline => by.min(deadline.earlier(half)),
            // Past the deadline there is nothing left to be in time for; but what has only not had
            // its turn, since all stood still, must not be taken for stuck.
            Some(_) => now.later(half),
            None => by,
        }
    }

    /// When hooks and `on_shutdown` must have ended, if draining began at `since`.
    pub fn farewell_by(&self, allowance: &Allowance, since: Moment) -> Moment {
        let by_buffer = since.later(allowance.room().saturating_sub(RESPONSE_RESERVE));
        match self.deadline {
            Some(deadline) => by_buffer.min(deadline.earlier(RESPONSE_RESERVE)),
            None => by_buffer,
        }
    }
}

impl Allowance {
    /// The smallest buffer that holds the grace period, the worker's end and the response.
    pub fn least_buffer(grace: Duration) -> Duration {
        grace.saturating_add(AFTER_GRACE + RESPONSE_RESERVE)
    }

    /// The time for shutting down. A buffer that `configure` must not leave may still be the one
    /// it begins with, and what runs after a `configure` that hangs or errs needs room all the
    /// same.
    fn room(&self) -> Duration {
        self.buffer.max(Self::least_buffer(Duration::ZERO))
    }
}

/// The time that a callback may take if there is this much left, and so many are to come after it:
/// all but a small reserve for each of them.
pub fn callback_time(left: Duration, to_come: usize) -> Duration {
    let to_come = u32::try_from(to_come).unwrap_or(u32::MAX);
    let equal_share = left / to_come.saturating_add(1);
    left.saturating_sub(CALLBACK_RESERVE.saturating_mul(to_come)).max(equal_share)
}
