//! A scripted invocation: how long each part takes and how it ends. All times are in milliseconds.

use std::time::Duration;

use super::ms;
use crate::lifecycle::Allowance;
use crate::lifecycle::rules::Failure;

/// How a part of an invocation ends that is not the driver's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Succeeds,
    Errs,
    Panics,
    /// It does not end.
    Hangs,
}

/// A part of an invocation that is not the driver's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) how: How,
    pub(super) after: u64,
}

impl Part {
    pub(super) const fn new(how: How, after: u64) -> Self {
        Self { how, after }
    }

    pub(super) const fn ok(after: u64) -> Self {
        Self::new(How::Succeeds, after)
    }

    pub(super) const HANGS: Self = Self::new(How::Hangs, 0);
}

/// How a worker ends that was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    /// When its tasks have ended, or were dropped.
    Stops(u64),
    /// The same, with an error.
    Fails(u64),
    /// Not before its activities are dropped.
    Stubborn,
    /// Not before it is dropped itself.
    Deaf,
    /// Never: it blocks its thread.
    Never,
}

/// Instead of milliseconds: `Duration::MAX`.
pub(super) const FOR_EVER: u64 = u64::MAX;

/// An invocation as it is to happen. Its `Debug` is what a failing test shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ScriptedInvocation {
    /// From arrival to deadline; `None`: no deadline.
    pub(super) lasts: Option<u64>,
    pub(super) grace: u64,
    /// How much longer the buffer is than it must be.
    pub(super) spare: u64,
    pub(super) idle: Option<u64>,
    pub(super) stay: u64,
    pub(super) configure: Part,
    pub(super) connect: Part,
    /// Creating the worker; if that panics, its thread is gone.
    pub(super) create: Part,
    pub(super) on_start: Part,
    /// How long polls may take to end, as the worker says.
    pub(super) polls_end_within: u64,
    /// How long after polls are held back the last one ends; `None`: the server does not answer it.
    pub(super) polls_end: Option<u64>,
    /// After how long a task begins, after how much longer it ends, and so on.
    pub(super) tasks: Vec<u64>,
    /// How the worker ends by itself after its tasks; `None`: it does not.
    pub(super) gives_up: Option<Part>,
    pub(super) drain: Drain,
    pub(super) hooks: Vec<Part>,
    pub(super) on_shutdown: Part,
    pub(super) cancelled_at: Option<u64>,
}

impl ScriptedInvocation {
    /// A minute in which all goes well: it works until the deadline nears.
    pub(super) fn good() -> Self {
        Self {
            lasts: Some(60_000),
            grace: 5_000,
            spare: 1_400,
            idle: None,
            stay: 1_000,
            configure: Part::ok(10),
            connect: Part::ok(200),
            create: Part::ok(50),
            on_start: Part::ok(30),
            polls_end_within: 1_550,
            polls_end: Some(1_200),
            tasks: Vec::new(),
            gives_up: None,
            drain: Drain::Stops(300),
            hooks: vec![Part::ok(20), Part::ok(40)],
            on_shutdown: Part::ok(60),
            cancelled_at: None,
        }
    }

    /// What `configure` leaves.
    pub(super) fn allowance(&self) -> Allowance {
        let long = |millis| if millis == FOR_EVER { Duration::MAX } else { ms(millis) };
        let grace = long(self.grace);
        Allowance {
            grace,
            buffer: grace.saturating_add(ms(600 + self.spare)),
            idle_timeout: self.idle.map(long),
            minimum_stay: long(self.stay),
        }
    }

    /// What `configure` finds: the defaults.
    pub(super) fn before() -> Allowance {
        super::defaults()
    }
}

/// Numbers by which failures are told apart.
pub(super) const CONFIGURE: Failure = 1;
pub(super) const CONNECT: Failure = 2;
pub(super) const CREATE: Failure = 3;
pub(super) const ON_START: Failure = 4;
pub(super) const WORKER: Failure = 5;
/// The first hook; those of the others follow.
pub(super) const HOOK: Failure = 10;
pub(super) const ON_SHUTDOWN: Failure = 6;

/// The message of a failure.
pub(super) fn words(failure: Failure) -> String {
    format!("failure {failure}")
}

/// Paused time is kept in whole milliseconds: a timer fires at the first one that is not early.
pub(super) fn tick(moment: Duration) -> Duration {
    let millis = moment.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}
