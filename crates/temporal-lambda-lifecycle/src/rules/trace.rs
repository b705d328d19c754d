//! What can be seen of an invocation from outside: what was heard, what was done, and when.
//!
//! The machine's tests and the driver's tests write the same traces, so the same rules judge both.

use std::fmt;

use super::ms;
use crate::{Allowance, Cause, Effect, Ending, Event, Input, Moment, Refusal, Window};

/// A failure: a number, so that one can be told from another.
pub type Failure = u32;

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// Somebody said this, and it was taken.
    Heard(Input<Failure>),
    /// Somebody said this, and it was refused.
    Refused(Input<Failure>, Refusal),
    /// A timer fired.
    Timer(Event),
    /// This was done.
    Did(Effect),
    /// The environment thawed after it had been frozen past a timer.
    Thawed,
}

/// One thing that was seen, with its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When.
    pub at: Moment,
    /// How many hooks were registered then.
    pub hooks: usize,
    /// What.
    pub seen: Seen,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// When.
    pub at: Moment,
    /// Whether the environment may serve another invocation.
    pub healthy: bool,
    /// Why polling ended, or the invocation went into draining without.
    pub ending: Option<Ending>,
    /// What went wrong, the first thing first.
    pub causes: Vec<Cause<Failure>>,
}

/// One invocation, from its event to its end.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The invocation's time.
    pub window: Window,
    /// The settings before `configure`.
    pub before: Allowance,
    /// What was seen, in order.
    pub lines: Vec<Line>,
    /// How it ended. `None`: it did not.
    pub end: Option<End>,
    /// How coarse the clock is that wrote it: nothing for the machine, some for the driver.
    pub blur: std::time::Duration,
}

impl Trace {
    /// What was done, and when, in order.
    pub fn done(&self) -> impl Iterator<Item = (Moment, Effect)> {
        self.lines.iter().filter_map(|line| match line.seen {
            Seen::Did(effect) => Some((line.at, effect)),
            _ => None,
        })
    }

    /// When this was done first.
    pub fn first(&self, effect: Effect) -> Option<Moment> {
        self.done().find(|(_, it)| *it == effect).map(|(at, _)| at)
    }

    /// How often something like this was done.
    pub fn count(&self, like: impl Fn(Effect) -> bool) -> usize {
        self.done().filter(|(_, it)| like(*it)).count()
    }

    /// What was heard, and when, in order.
    pub fn heard(&self) -> impl Iterator<Item = (Moment, &Input<Failure>)> {
        self.lines.iter().filter_map(|line| match &line.seen {
            Seen::Heard(input) => Some((line.at, input)),
            _ => None,
        })
    }

    /// The settings in force: what `configure` left, if it came so far.
    pub fn allowance(&self) -> Allowance {
        let configured = self.heard().find_map(|(_, input)| match input {
            Input::Configured(allowance) => Some(*allowance),
            _ => None,
        });
        configured.unwrap_or(self.before)
    }

    /// Whether the event came too late for anything.
    pub fn came_too_late(&self) -> bool {
        let left = self.window.deadline.map(|deadline| deadline.since(self.window.arrival));
        left.is_some_and(|left| left <= ms(100))
    }

    /// When the environment was last frozen past a timer.
    pub fn thawed(&self) -> Option<Moment> {
        self.lines.iter().filter(|line| line.seen == Seen::Thawed).map(|line| line.at).next_back()
    }

    /// The place of the first thing that is done only while draining.
    pub fn draining_from(&self) -> Option<usize> {
        self.lines.iter().position(|line| match line.seen {
            Seen::Did(effect) => match effect {
                Effect::Configure
                | Effect::Connect
                | Effect::CreateWorker
                | Effect::OnStart
                | Effect::Poll
                | Effect::HoldPolls
                | Effect::ResumePolls
                | Effect::WarnShortWork(_) => false,
                Effect::AbortStep
                | Effect::StopWorker
                | Effect::AbandonActivities
                | Effect::AbandonWorker
                | Effect::Finalize
                | Effect::RunHook(_)
                | Effect::OnShutdown
                | Effect::Settle => true,
            },
            _ => false,
        })
    }

    /// The place at which polls were last held back.
    pub fn last_hold(&self) -> Option<usize> {
        self.lines.iter().rposition(|line| line.seen == Seen::Did(Effect::HoldPolls))
    }

    /// How long the worker's polls may take to end.
    pub fn polls_end_within(&self) -> std::time::Duration {
        let created = self.heard().find_map(|(_, input)| match input {
            Input::WorkerCreated { polls_end_within } => Some(*polls_end_within),
            _ => None,
        });
        created.unwrap_or_default()
    }

    /// When draining began.
    pub fn draining_since(&self) -> Option<Moment> {
        self.draining_from().map(|index| self.lines[index].at)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  invoked {:?}, {:?}", self.window, self.before)?;
        for line in &self.lines {
            let millis = line.at.since(self.window.arrival).as_secs_f64() * 1e3;
            match &line.seen {
                Seen::Heard(input) => writeln!(f, "  {millis:>9.1} ms  <- {input:?}")?,
                Seen::Refused(_, refusal) => writeln!(f, "  {millis:>9.1} ms  xx {refusal:?}")?,
                Seen::Timer(event) => writeln!(f, "  {millis:>9.1} ms  .. {event:?}")?,
                Seen::Did(effect) => writeln!(f, "  {millis:>9.1} ms  -> {effect:?}")?,
                Seen::Thawed => writeln!(f, "  {millis:>9.1} ms  ** thawed")?,
            }
        }
        writeln!(f, "  ended {:?}", self.end)
    }
}
