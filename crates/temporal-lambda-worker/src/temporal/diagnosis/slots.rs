//! Measuring how long a worker's activity slots were full, and judging whether activities waited for them.
//!
//! The SDK polls for activities whenever it has a slot for one. So its slots are full while activities
//! are in flight and no poll for one is under way, whatever tuner the worker has.

use std::time::Duration;

use tokio::time::Instant;

/// The server is not asked about slots that were full for less than this in all: 2 s.
const LONG: Duration = Duration::from_secs(2);
/// The share of the polling time for which the slots must have been full: 80 %.
const MOST: f64 = 0.8;
/// The memory size that comes with one vCPU, in MB: 1,769, by Lambda's documentation. CPU is in
/// proportion to memory.
const MB_PER_VCPU: f64 = 1_769.0;

/// The account of the activity slots.
#[derive(Default)]
pub(in crate::temporal) struct Slots {
    /// How many polls for activities are under way.
    pub(in crate::temporal) polls: usize,
    /// Whether polls are held back: then no poll under way does not mean full slots.
    pub(in crate::temporal) held: bool,
    /// When the first poll began.
    began: Option<Instant>,
    /// When the last activity ended.
    ended: Option<Instant>,
    full_since: Option<Instant>,
    full: Duration,
    most: usize,
}

/// How the activity slots of a worker were used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::temporal) struct Occupied {
    /// How long all slots were full.
    pub(in crate::temporal) full: Duration,
    /// From the first poll to the end of the last activity, or to now if one is in flight.
    pub(in crate::temporal) polled: Duration,
    /// The most activities in flight at a time.
    pub(in crate::temporal) most: usize,
}

impl Slots {
    /// Records a change; `activities` are in flight now.
    pub(in crate::temporal) fn note(&mut self, activities: usize) {
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

    pub(in crate::temporal) fn so_far(&self) -> Occupied {
        let now = Instant::now();
        let since = |at: Option<Instant>| at.map_or(Duration::ZERO, |at| now - at);
        Occupied {
            full: self.full + since(self.full_since),
            polled: since(self.began) - since(self.ended),
            most: self.most,
        }
    }
}

/// Whether the slots were full for most of the time.
pub(super) fn were_full(occupied: &Occupied) -> bool {
    occupied.full >= LONG && occupied.full.as_secs_f64() >= MOST * occupied.polled.as_secs_f64()
}

/// The text about slots that were full while activities waited. `None`: none waited.
pub(super) fn judge(
    occupied: &Occupied,
    backlog: i64,
    task_queue: &str,
    memory_mb: Option<u32>,
) -> Option<String> {
    if backlog < 1 {
        return None;
    }
    let slots = match occupied.most {
        1 => "the only activity slot was".to_owned(),
        most => format!("all {most} activity slots were"),
    };
    let waited = match backlog {
        1 => "1 activity".to_owned(),
        more => format!("{more} activities"),
    };
    let cpu = match memory_mb.map(f64::from) {
        Some(mb) => {
            let vcpus = mb / MB_PER_VCPU;
            format!(
                "activities that wait for something need no CPU; of those that compute, the {vcpus:.2} \
                 vCPU that {mb} MB of memory bring carry {} at a time",
                vcpus.ceil()
            )
        }
        None => "activities that wait for something need no CPU".to_owned(),
    };
    Some(format!(
        "{slots} full for {:.1} s of {:.1} s while {waited} waited on task queue {task_queue:?}. Raise \
         max_concurrent_activities (TEMPORAL_LAMBDA_MAX_CONCURRENT_ACTIVITIES, or the tuner that \
         configure sets): {cpu}",
        occupied.full.as_secs_f64(),
        occupied.polled.as_secs_f64(),
    ))
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
        // Idle time after the last activity does not count.
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

    fn occupied(full: u64, polled: u64) -> Occupied {
        let time = Duration::from_millis;
        Occupied { full: time(full), polled: time(polled), most: 2 }
    }

    #[test]
    fn slots_count_as_full_after_four_fifths_of_the_time_and_two_seconds() {
        assert!(were_full(&occupied(8_000, 10_000)));
        assert!(!were_full(&occupied(7_900, 10_000)));
        assert!(!were_full(&occupied(1_900, 1_900)));
        assert!(!were_full(&occupied(0, 0)));
    }

    #[test]
    fn no_diagnosis_is_made_of_full_slots_if_no_activity_waited() {
        assert_eq!(judge(&occupied(8_000, 10_000), 0, "q", Some(256)), None);
    }

    #[test]
    fn the_text_about_full_slots_names_the_setting_and_the_cpu() {
        let text = judge(&occupied(8_000, 10_000), 7, "orders", Some(256)).unwrap();
        let expected = "all 2 activity slots were full for 8.0 s of 10.0 s while 7 activities waited \
                        on task queue \"orders\". Raise max_concurrent_activities \
                        (TEMPORAL_LAMBDA_MAX_CONCURRENT_ACTIVITIES, or the tuner that configure \
                        sets): activities that wait for something need no CPU; of those that \
                        compute, the 0.14 vCPU that 256 MB of memory bring carry 1 at a time";
        assert_eq!(text, expected);
        let text = judge(&occupied(8_000, 10_000), 7, "orders", Some(3_538)).unwrap();
        assert!(text.contains("2.00 vCPU that 3538 MB of memory bring carry 2"), "{text}");
    }
}
