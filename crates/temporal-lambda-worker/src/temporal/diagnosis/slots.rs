//! Whether activities waited for slots of this worker.

use std::time::Duration;

use super::super::in_flight::Occupied;

/// Slots that were full for less than this in all are no reason to ask: 2 s.
const LONG: Duration = Duration::from_secs(2);
/// The share of the polling time for which the slots must have been full: 80 %.
const MOST: f64 = 0.8;
/// The memory size that has one vCPU, in MB: 1,769, as Lambda's documentation has it. CPU is in
/// proportion to memory.
const MB_PER_VCPU: f64 = 1_769.0;

/// Whether the slots were full for most of the time.
pub(super) fn were_full(occupied: &Occupied) -> bool {
    occupied.full >= LONG && occupied.full.as_secs_f64() >= MOST * occupied.polled.as_secs_f64()
}

/// The words for slots that were full while so many activities waited. `None`: none did.
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
    use super::*;

    fn occupied(full: u64, polled: u64) -> Occupied {
        let time = Duration::from_millis;
        Occupied { full: time(full), polled: time(polled), most: 2 }
    }

    #[test]
    fn slots_were_full_if_they_were_for_four_fifths_of_the_time_and_for_two_seconds() {
        assert!(were_full(&occupied(8_000, 10_000)));
        assert!(!were_full(&occupied(7_900, 10_000)));
        assert!(!were_full(&occupied(1_900, 1_900)));
        assert!(!were_full(&occupied(0, 0)));
    }

    #[test]
    fn nothing_is_said_if_no_activity_waited() {
        assert_eq!(judge(&occupied(8_000, 10_000), 0, "q", Some(256)), None);
    }

    #[test]
    fn the_words_name_the_setting_and_what_the_cpu_carries() {
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
