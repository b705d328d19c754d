//! The rules that every driver of the machine has to keep, by name. They are written from the design, know
//! nothing of the table, and look at a [`Trace`] only, so that they judge the bare machine and a driver
//! alike.

mod account;
mod order;
mod time;
mod trace;

use std::time::Duration;

use account::{
    it_is_healthy_exactly_if_everything_settled, the_reason_is_what_ended_it,
    what_failed_is_reported_in_its_order,
};
use order::{
    a_worker_is_finalized_when_it_has_ended_or_is_given_up,
    activities_of_a_worker_that_ended_by_itself_are_dropped,
    configure_runs_once_unless_the_event_came_too_late, every_created_worker_is_finalized,
    hooks_run_once_each_in_order_before_on_shutdown, it_ends, nothing_begins_before_what_it_needs,
    on_shutdown_runs_exactly_once_if_configure_was_entered,
    on_start_runs_at_most_once_and_only_after_connected, one_callback_runs_at_a_time,
    polls_are_held_back_and_let_go_on_in_turn, work_comes_in_the_order_of_an_invocation,
};
use time::{
    activities_have_their_grace_and_no_more,
    an_idle_worker_polls_for_the_idle_timeout_and_the_minimum_stay,
    callbacks_at_the_end_share_what_is_left, draining_takes_no_longer_than_the_buffer,
    draining_waits_for_the_last_polls, it_ends_before_the_response_is_due,
    nothing_begins_after_the_stop_time, nothing_polls_after_the_stop_time,
};
pub use trace::{End, Failure, Line, Seen, Trace};

/// A rule. Its error says what it found wrong.
pub type Rule = fn(&Trace) -> Result<(), String>;

macro_rules! rules {
    ($($name:ident),* $(,)?) => {
        /// Every rule, with its name.
        pub const RULES: &[(&str, Rule)] = &[$((stringify!($name), $name)),*];
    };
}

rules! {
    it_ends,
    it_ends_before_the_response_is_due,
    draining_takes_no_longer_than_the_buffer,
    work_comes_in_the_order_of_an_invocation,
    nothing_begins_before_what_it_needs,
    configure_runs_once_unless_the_event_came_too_late,
    on_start_runs_at_most_once_and_only_after_connected,
    nothing_begins_after_the_stop_time,
    nothing_polls_after_the_stop_time,
    polls_are_held_back_and_let_go_on_in_turn,
    draining_waits_for_the_last_polls,
    an_idle_worker_polls_for_the_idle_timeout_and_the_minimum_stay,
    activities_have_their_grace_and_no_more,
    every_created_worker_is_finalized,
    activities_of_a_worker_that_ended_by_itself_are_dropped,
    a_worker_is_finalized_when_it_has_ended_or_is_given_up,
    hooks_run_once_each_in_order_before_on_shutdown,
    on_shutdown_runs_exactly_once_if_configure_was_entered,
    one_callback_runs_at_a_time,
    callbacks_at_the_end_share_what_is_left,
    what_failed_is_reported_in_its_order,
    the_reason_is_what_ended_it,
    it_is_healthy_exactly_if_everything_settled,
}

/// Holds a trace against every rule.
///
/// # Panics
/// With the name of the first rule that does not hold, what it found wrong, and the trace.
pub fn judge(trace: &Trace) {
    for (name, rule) in RULES {
        if let Err(why) = rule(trace) {
            panic!("{name}: {why}\n{trace}");
        }
    }
}

fn check(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

/// So many milliseconds.
const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
