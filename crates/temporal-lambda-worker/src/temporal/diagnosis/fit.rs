//! Whether an activity fits into the windows of its function.

use std::time::{Duration, SystemTime};

use temporalio_sdk::activities::ActivityInfo;

/// The longest timeout that Lambda lets a function have: 900 s.
const LONGEST_INVOCATION: Duration = Duration::from_secs(900);

/// The limits of one attempt of an activity.
#[derive(Clone, Debug)]
pub(super) struct Attempt<'a> {
    pub(super) activity_type: &'a str,
    pub(super) number: u32,
    /// How long it may take: its start-to-close timeout, or what is left of its schedule-to-close
    /// timeout where that is less.
    pub(super) timeout: Option<Duration>,
    pub(super) heartbeat_timeout: Option<Duration>,
}

/// The time that an invocation gives to an activity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// From the beginning of polling to the end of the grace period, when activities are cancelled.
    pub(super) time: Duration,
    /// The rest of the function's timeout, before polling and after the grace period.
    pub(super) beside: Duration,
}

impl<'a> Attempt<'a> {
    pub(super) fn of(activity: &'a ActivityInfo) -> Self {
        let till = |deadline: SystemTime| deadline.duration_since(activity.started_time?).ok();
        Self {
            activity_type: &activity.activity_type,
            number: activity.attempt,
            timeout: activity.deadline.and_then(till),
            heartbeat_timeout: activity.heartbeat_timeout.filter(|it| !it.is_zero()),
        }
    }

    /// Whether the attempt may take longer than the window without heartbeats, by which the next attempt would know
    /// how far it came.
    pub(super) fn is_too_long_for(&self, window: Window) -> bool {
        self.heartbeat_timeout.is_none() && self.timeout.is_some_and(|it| it > window.time)
    }
}

/// The text about an activity that may take longer than a window; `cut_after`: how long its last attempt ran before
/// the end of an invocation cut it off.
pub(super) fn judge(
    attempt: &Attempt<'_>,
    window: Option<Window>,
    cut_after: Option<Duration>,
) -> String {
    let Attempt { activity_type, number, .. } = attempt;
    let timeout = match attempt.timeout {
        Some(timeout) => format!("a start-to-close timeout of {}", round(timeout)),
        None => "no start-to-close timeout".to_owned(),
    };
    let heartbeat = match attempt.heartbeat_timeout {
        Some(timeout) => format!("a heartbeat timeout of {}", round(timeout)),
        None => "no heartbeat timeout".to_owned(),
    };
    let room = match window {
        Some(window) => {
            format!(
                "an invocation of this function gives an activity {} at most",
                round(window.time)
            )
        }
        None => "invocations have no deadline".to_owned(),
    };
    let cut = match cut_after {
        Some(after) => format!(
            "; its last attempt was cut off after {} by the end of an invocation",
            round(after)
        ),
        None => String::new(),
    };
    let change = change(attempt, window);
    format!(
        "activity {activity_type:?} (attempt {number}) has {timeout} and {heartbeat}, and {room}{cut}. \
         {change}"
    )
}

/// The advice in such a text.
fn change(attempt: &Attempt<'_>, window: Option<Window>) -> String {
    let resume = if attempt.heartbeat_timeout.is_some() {
        "let each attempt begin where the details of the last heartbeat say"
    } else {
        "give it a heartbeat timeout, and let each attempt begin where the details of the last \
         heartbeat say"
    };
    let needed = match (attempt.timeout, window) {
        (Some(timeout), Some(window)) => timeout.saturating_add(window.beside),
        _ => return format!("To change it, {resume}"),
    };
    if needed > LONGEST_INVOCATION {
        return format!(
            "No function may run for longer than {}: {resume}, or split it into shorter activities",
            round(LONGEST_INVOCATION)
        );
    }
    format!(
        "If it can take that long, raise the function's timeout to {} or more, or {resume}; if it \
         cannot, lower its start-to-close timeout",
        round(Duration::from_secs(needed.as_secs() + 1))
    )
}

/// Rounds to tenths of a second.
fn round(time: Duration) -> humantime::FormattedDuration {
    let tenths = u64::try_from(time.as_millis() / 100).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(tenths.saturating_mul(100)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const WINDOW: Window = Window { time: Duration::from_secs(18), beside: Duration::from_secs(2) };

    fn attempt(timeout: Duration, heartbeat_timeout: Option<Duration>) -> Attempt<'static> {
        let timeout = Some(timeout);
        Attempt { activity_type: "charge", number: 2, timeout, heartbeat_timeout }
    }

    #[test]
    fn an_activity_fits_if_its_timeout_is_within_the_window_or_if_it_heartbeats() {
        assert!(attempt(19 * SECOND, None).is_too_long_for(WINDOW));
        assert!(!attempt(18 * SECOND, None).is_too_long_for(WINDOW));
        assert!(!attempt(19 * SECOND, Some(SECOND)).is_too_long_for(WINDOW));
        let unlimited = Attempt { timeout: None, ..attempt(SECOND, None) };
        assert!(!unlimited.is_too_long_for(WINDOW), "the server always sets one");
    }

    #[test]
    fn the_text_about_a_long_activity_names_type_attempt_timeouts_window_and_advice() {
        let text = judge(&attempt(60 * SECOND, None), Some(WINDOW), None);
        let expected = "activity \"charge\" (attempt 2) has a start-to-close timeout of 1m and no \
                        heartbeat timeout, and an invocation of this function gives an activity 18s \
                        at most. If it can take that long, raise the function's timeout to 1m 3s or \
                        more, or give it a heartbeat timeout, and let each attempt begin where the \
                        details of the last heartbeat say; if it cannot, lower its start-to-close \
                        timeout";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_advice_names_no_function_timeout_above_lambdas_maximum() {
        let text = judge(&attempt(900 * SECOND, None), Some(WINDOW), None);
        assert!(!text.contains("raise") && text.contains("longer than 15m"), "{text}");
    }

    #[test]
    fn an_activity_that_was_cut_off_is_named_and_one_that_heartbeats_is_not_told_to_heartbeat() {
        let cut = Some(Duration::from_millis(12_340));
        let text = judge(&attempt(60 * SECOND, Some(SECOND)), Some(WINDOW), cut);
        assert!(text.contains("a heartbeat timeout of 1s"), "{text}");
        assert!(text.contains("cut off after 12s 300ms"), "{text}");
        assert!(!text.contains("give it a heartbeat timeout"), "{text}");
    }
}
